"""Scoring pictures in memory with the MNIST report's network: each engine, and Keras's `predict`.

    scripts/bench scoring_speed [--images 20000] [--repeats 3]

Both sides start from an array in memory. Keras gets float32 pictures, scaled beforehand, and gives
reconstructions; it is timed in batches of 32, its default, and of 128 and 512, in float32 as it
comes and in its mixed precision. The goal is set against the fastest in float32; the last column
stands beside the fastest of all. Residua gets uint8 and gives scores: scaling, network, error map
and score are in its time, so are the reconstructions, which it also computes.
`BundleScorer.anomaly_scores` is timed whole, and besides it the fitted detector's, which computes
with torch.

float32 is what Residua scores in unless it is told otherwise; scores in bf16 are used only where
they are within 0.1 % of those of float32, on these very pictures.
"""

from __future__ import annotations

import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from _page import Goal, Table, parser, publish
from _peer import KERAS, exchange
from _table import alternate, median_of, paired_ratio

NAME = "scoring_speed"
KERAS_BATCHES = (32, 128, 512)
WANTED = 2.5
ENGINES = (
    ("onnxruntime", "float32"),
    ("openvino", "float32"),
    ("openvino", "bf16"),
    ("torch", "float32"),
    ("torch", "bf16"),
)
DETECTOR = "`AutoencoderDetector.anomaly_scores` (torch, float32)"


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--images", type=int, default=20_000)
    made.add_argument("--repeats", type=int, default=3)
    options = made.parse_args()
    images = pictures(options.images)
    with exchange() as name, tempfile.TemporaryDirectory() as models:
        folder = Path(name)
        np.save(folder / "pictures.npy", images)
        sides: dict[str, Callable[[], float]] = {
            f"Keras `predict`, {policy}, batches of {batch}": lambda batch=batch, policy=policy: (
                KERAS.run("keras_prediction.py", folder / "pictures.npy", batch, policy)["seconds"]
            )
            for policy in ("float32", "mixed_bfloat16")
            for batch in KERAS_BATCHES
        }
        ours = residua_sides(images, Path(models))
        seconds = alternate({**sides, **ours}, options.repeats)
    speeds = {side: [len(images) / s for s in times] for side, times in seconds.items()}

    def fastest(among: Iterable[str]) -> str:
        return max(among, key=lambda side: statistics.median(speeds[side]))

    plain, any_keras = fastest(side for side in sides if "float32" in side), fastest(sides)
    rows = [
        [
            side,
            median_of(speed),
            *(median_of(paired_ratio(speed, speeds[one]), ".2f") for one in (plain, any_keras)),
        ]
        for side, speed in speeds.items()
    ]
    publish(
        NAME,
        [
            Table(
                f"scoring {len(images):,} pictures of 28 × 28 in memory, `seed-mnist`; "
                f"median of {options.repeats} alternating runs (least to greatest)",
                ["", "images/s", f"speed, {plain} = 1", f"speed, {any_keras} = 1"],
                rows,
            )
        ],
        [
            goal(precision, fastest(found), speeds, plain)
            for precision in ("float32", "bf16")
            if (found := [side for side in ours if precision in side])
        ],
        page=options.page,
    )


def goal(precision: str, side: str, speeds: Mapping[str, Sequence[float]], keras: str) -> Goal:
    ratio = paired_ratio(speeds[side], speeds[keras])
    return Goal(
        f"score in memory, report A's network, against Keras `predict` as it comes: {precision}",
        f"≥ {WANTED} ×",
        f"{median_of(ratio, '.2f')} × ({side})",
        statistics.median(ratio) >= WANTED,
    )


def pictures(count: int) -> NDArray[np.uint8]:
    """Return MNIST's training pictures, or the digits that come with scikit-learn, repeated."""
    from residua.errors import DatasetError
    from residua.images.datasets import load_dataset
    from residua.images.preprocess import InputSpec

    try:
        source = load_dataset("mnist", "train")
    except DatasetError:
        source = load_dataset("digits")
    spec = InputSpec(height=28, width=28, channels=1)
    found = np.concatenate([batch.images for batch in source.batches(spec, 4_096)])
    return np.resize(found, (count, *spec.shape))[..., 0]


def residua_sides(images: NDArray[np.uint8], folder: Path) -> dict[str, Callable[[], float]]:
    """Fit the network and return each way to score with it, warm."""
    from residua import AutoencoderDetector, BundleScorer
    from residua.errors import ResiduaWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResiduaWarning)
        detector = AutoencoderDetector("seed-mnist", scoring="error", epochs=1, learning_rate=1e-3)
        detector.fit(images[:8_000])
    bundle = detector.save(folder / "report.residua")
    sides: dict[str, Callable[[], float]] = {}
    for engine, precision in ENGINES:
        scorer = BundleScorer(bundle, engine=engine, precision=precision)
        scorer.anomaly_scores(images[:2_000])
        assert scorer.engine is not None
        if (scorer.engine.name, scorer.engine.precision) == (engine, precision):
            sides[f"Residua, {engine}, {precision}"] = timed(scorer.anomaly_scores, images)
    sides[DETECTOR] = timed(detector.anomaly_scores, images)
    return sides


def timed(score: Callable[[NDArray[np.uint8]], object], images: NDArray[np.uint8]):
    """Return what scores the pictures and gives the seconds that it took."""

    def seconds() -> float:
        started = time.perf_counter()
        score(images)
        return time.perf_counter() - started

    return seconds


if __name__ == "__main__":
    main()
