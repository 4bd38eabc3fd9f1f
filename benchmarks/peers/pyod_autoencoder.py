"""PyOD's AutoEncoder on flattened pixels; runs in an environment of its own.

python pyod_autoencoder.py FOLDER EPOCHS BATCH SEED

FOLDER holds training.npy and test.npy, pictures (N, H, W), uint8. The result holds the seconds of
the import, of the fit and of scoring, and the score of each test picture.
"""

import json
import sys
import time
from pathlib import Path


def main() -> None:
    started = time.perf_counter()
    from pyod.models.auto_encoder import AutoEncoder

    imported = time.perf_counter() - started

    import numpy as np

    folder = Path(sys.argv[1])
    epochs, batch, seed = map(int, sys.argv[2:5])
    training, test = (
        np.load(folder / name).astype(np.float32) / 255 for name in ("training.npy", "test.npy")
    )
    training, test = (pictures.reshape(len(pictures), -1) for pictures in (training, test))

    settings = {"batch_size": batch, "random_state": seed, "verbose": 0}
    few = training[: 2 * batch]
    AutoEncoder(epoch_num=1, **settings).fit(few).decision_function(few)  # what is imported late

    started = time.perf_counter()
    detector = AutoEncoder(epoch_num=epochs, **settings)
    detector.fit(training)
    fitted = time.perf_counter()
    scores = detector.decision_function(test)
    scored = time.perf_counter()
    found = {"import": imported, "fit": fitted - started, "score": scored - fitted}
    print(json.dumps({**found, "scores": np.asarray(scores, float).tolist()}))


if __name__ == "__main__":
    main()
