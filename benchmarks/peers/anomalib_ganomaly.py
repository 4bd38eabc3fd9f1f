"""Anomalib's GANomaly on folders of pictures; runs in an environment of its own.

python anomalib_ganomaly.py FOLDER SIZE EPOCHS BATCH SEED

FOLDER holds train/good, test/good and test/bad. The result holds the seconds of the import, of the
fit and of scoring, and the score of each test picture, in the order of their paths.
"""

import json
import sys
import tempfile
import time
import warnings
from pathlib import Path


def main() -> None:
    warnings.simplefilter("ignore")
    started = time.perf_counter()
    from anomalib.data import Folder
    from anomalib.engine import Engine
    from anomalib.models import Ganomaly

    imported = time.perf_counter() - started

    from lightning import seed_everything

    folder = Path(sys.argv[1])
    size, epochs, batch, seed = map(int, sys.argv[2:6])

    def run(epochs: int, **limits: int) -> tuple[float, float, list]:
        """Fit and score; return the seconds of each, and what was predicted."""
        seed_everything(seed)
        started = time.perf_counter()
        data = Folder(
            name="pictures",
            root=folder,
            normal_dir="train/good",
            normal_test_dir="test/good",
            abnormal_dir="test/bad",
            train_batch_size=batch,
            eval_batch_size=batch,
            num_workers=0,  # small files: to start workers costs more than they save
            val_split_mode="same_as_test",  # "none" ends in an error; see limit_val_batches
        )
        model = Ganomaly(
            batch_size=batch,
            pre_processor=Ganomaly.configure_pre_processor((size, size)),
            post_processor=False,  # clamps scores to [0, 1], so that ranks tie
            evaluator=False,
            visualizer=False,
        )
        with tempfile.TemporaryDirectory() as results:
            engine = Engine(
                max_epochs=epochs,
                limit_val_batches=0,
                default_root_dir=results,
                logger=False,
                enable_progress_bar=False,
                enable_model_summary=False,
                **limits,
            )
            engine.fit(model, datamodule=data)
            fitted = time.perf_counter()
            batches = engine.predict(model, datamodule=data)
            scored = time.perf_counter()
        return fitted - started, scored - fitted, batches

    run(1, limit_train_batches=1, limit_predict_batches=1)  # what is imported late
    fit_seconds, score_seconds, batches = run(epochs)
    scores = {
        path: float(score)
        for batch in batches
        for path, score in zip(batch.image_path, batch.pred_score.flatten(), strict=True)
    }
    found = {"import": imported, "fit": fit_seconds, "score": score_seconds}
    print(json.dumps({**found, "scores": [scores[path] for path in sorted(scores)]}))


if __name__ == "__main__":
    main()
