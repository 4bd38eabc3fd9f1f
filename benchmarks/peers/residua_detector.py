"""Residua's detector as it comes, in a process of its own, as its peers run.

python residua_detector.py TRAINING TEST EPOCHS BATCH SEED

TRAINING and TEST are .npy files of pictures (N, H, W), uint8, or folders of pictures. The result
holds the seconds of the import, of the fit and of scoring, and the score of each test picture.
"""

import json
import sys
import time
import warnings


def main() -> None:
    started = time.perf_counter()
    from residua import AutoencoderDetector

    imported = time.perf_counter() - started

    import numpy as np

    from residua.errors import ResiduaWarning
    from residua.images.resolve import resolve_source

    training, test = (
        resolve_source(np.load(path) if path.endswith(".npy") else path) for path in sys.argv[1:3]
    )
    epochs, batch, seed = map(int, sys.argv[3:6])
    warnings.simplefilter("ignore", ResiduaWarning)
    settings = {"batch_size": batch, "random_state": seed, "on_failed_fit": "warn"}
    few = training.take(range(2 * batch))
    AutoencoderDetector(epochs=1, **settings).fit(few).anomaly_scores(few)  # what is imported late

    started = time.perf_counter()
    detector = AutoencoderDetector(epochs=epochs, **settings)
    detector.fit(training)
    fitted = time.perf_counter()
    scores = detector.anomaly_scores(test)
    scored = time.perf_counter()
    found = {"import": imported, "fit": fitted - started, "score": scored - fitted}
    print(json.dumps({**found, "scores": scores.tolist()}))


if __name__ == "__main__":
    main()
