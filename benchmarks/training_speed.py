"""Training speed on the MNIST report's network: Residua, a bare PyTorch loop, Keras.

    scripts/bench training_speed [--images 20000] [--epochs 3] [--repeats 3] [--no-keras]

All sides train the same network on the same pictures, split alike, in shuffled batches of the same
size with Adam and cross-entropy, and pass over the validation pictures after each epoch. Residua's
side is the whole of `fit`: decoding and holding out, training, the comparison with the mean
picture, scoring the calibration pictures by the plain error as the report does, the threshold. The
others are timed in training alone: the bare loop, which computes as Residua does, in bf16 where the
processor has it, and Keras in an environment of its own, once its graph is traced. No side's
imports are counted.

Keras stands here twice: as it comes, in float32, which the goal is set against, and with its
mixed precision switched on, the best that a user who knows of it gets.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np

from _page import Goal, Table, parser, publish
from _peer import KERAS, exchange
from _table import alternate, median_of, paired_ratio

NAME = "training_speed"
BATCH = 128
BARE, WHOLE = "bare PyTorch loop, training alone", "Residua, whole `fit`"
PLAIN, MIXED = "Keras, float32 (its default)", "Keras, mixed_bfloat16"
WANTED = 2.5


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--images", type=int, default=20_000)
    made.add_argument("--epochs", type=int, default=3)
    made.add_argument("--repeats", type=int, default=3)
    made.add_argument("--no-keras", action="store_true")
    options = made.parse_args()

    images = pictures(options.images)
    n_held = round(0.1 * len(images))
    n_train = len(images) - 2 * n_held
    few = images[:2_000]
    for warm_up in (lambda: bare_loop(few, 1_600, 200, 1), lambda: residua_fit(few, 1)):
        warm_up()  # imports, first allocations
    sides: dict[str, Callable[[], float]] = {
        BARE: lambda: bare_loop(images, n_train, n_held, options.epochs),
        WHOLE: lambda: residua_fit(images, options.epochs),
    }
    with exchange() as name:
        folder = Path(name)
        if not options.no_keras:
            np.save(folder / "training.npy", images[:n_train])
            np.save(folder / "validation.npy", images[n_train : n_train + n_held])
            sides[PLAIN] = lambda: keras_fit(folder, options.epochs, "float32")
            sides[MIXED] = lambda: keras_fit(folder, options.epochs, "mixed_bfloat16")
        seconds = alternate(sides, options.repeats)
    header = ["", "seconds", "training images/s", "time, bare loop = 1"]
    header += [] if options.no_keras else ["speed, Keras float32 = 1"]
    rows = []
    for side, times in seconds.items():
        speed = [n_train * options.epochs / s for s in times]
        over_bare = paired_ratio(times, seconds[BARE])
        row = [side, median_of(times, ".2f"), median_of(speed), median_of(over_bare, ".3f")]
        if not options.no_keras:
            row.append(median_of(paired_ratio(seconds[PLAIN], times), ".2f"))
        rows.append(row)
    table = Table(
        f"The MNIST report's network, {n_train:,} training pictures of 28 × 28, "
        f"{options.epochs} epochs, batch {BATCH}; median of {options.repeats} alternating runs "
        f"(least to greatest)",
        header,
        rows,
    )
    goals = [] if options.no_keras else [goal(paired_ratio(seconds[PLAIN], seconds[WHOLE]))]
    publish(NAME, [table], goals, page=options.page)


def goal(faster: list[float]) -> Goal:
    return Goal(
        "train, the MNIST report's network, images/s against Keras/TensorFlow as it comes, float32",
        f"≥ {WANTED} ×",
        f"{median_of(faster, '.2f')} ×",
        float(np.median(faster)) >= WANTED,
    )


def pictures(count: int) -> np.ndarray:
    """Take MNIST where it is on disk, else noise of the same shape: the speed is the same."""
    from residua.errors import DatasetError
    from residua.images.datasets import load_dataset
    from residua.images.preprocess import InputSpec

    try:
        source = load_dataset("mnist", "train")
    except DatasetError:
        return np.random.default_rng(0).integers(0, 256, (count, 28, 28), np.uint8)
    spec = InputSpec(height=28, width=28, channels=1)
    batches = source.batches(spec, count, np.arange(min(count, len(source))))
    return next(iter(batches)).images[..., 0]


def residua_fit(images: np.ndarray, epochs: int) -> float:
    from residua import AutoencoderDetector
    from residua.errors import ResiduaWarning

    detector = AutoencoderDetector(
        "seed-mnist",
        error_map="bce",
        scoring="error",
        epochs=epochs,
        batch_size=BATCH,
        learning_rate=1e-3,
        schedule="constant",
        on_failed_fit="warn",
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResiduaWarning)
        started = time.perf_counter()
        detector.fit(images)
        return time.perf_counter() - started


def bare_loop(images: np.ndarray, n_train: int, n_held: int, epochs: int) -> float:
    import torch

    from residua.models import build_model
    from residua.training.fit import computes_in_bf16

    def batch_loss(batch: torch.Tensor) -> torch.Tensor:
        x = batch.permute(0, 3, 1, 2).float() / 255
        with torch.autocast("cpu", torch.bfloat16, enabled=computes_in_bf16("cpu")):
            return model.training_losses(x)["loss"]

    started = time.perf_counter()
    torch.manual_seed(0)
    model = build_model("seed-mnist", (28, 28, 1)).to(memory_format=torch.channels_last)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
    data = torch.from_numpy(images[..., None])
    for _ in range(epochs):
        model.train()
        order = torch.randperm(n_train)
        for start in range(0, n_train, BATCH):
            loss = batch_loss(data[order[start : start + BATCH]])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        model.eval()
        with torch.no_grad():
            for start in range(n_train, n_train + n_held, BATCH):
                batch_loss(data[start : start + BATCH])
    return time.perf_counter() - started


def keras_fit(folder: Path, epochs: int, policy: str) -> float:
    return float(KERAS.run("keras_training.py", folder, epochs, BATCH, policy)["seconds"])


if __name__ == "__main__":
    main()
