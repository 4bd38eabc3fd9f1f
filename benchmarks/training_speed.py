"""Training speed on the MNIST report's network: Residua, a bare PyTorch loop, Keras.

    scripts/bench training_speed [--images 20000] [--epochs 3] [--repeats 3] [--no-keras]

The bare loop does the same steps on the same pictures in the same precision: the shuffled batches,
the loss, Adam, the validation pass. Residua's side is the whole of `fit`: decoding and holding out,
training, the comparison with the mean picture, scoring the calibration pictures, the threshold.
The bare loop times training alone, without imports; so do the others.
Keras runs in a virtual environment of its own, in float32, which is what it trains in by default.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import time
import venv
import warnings
from pathlib import Path

import numpy as np

from _table import alternate, median_of, paired_ratio, print_table

HERE = Path(__file__).parent
KERAS = HERE.parent / ".bench" / "keras"
BATCH = 128


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--no-keras", action="store_true")
    options = parser.parse_args()

    images = pictures(options.images)
    n_held = round(0.1 * len(images))
    n_train = len(images) - 2 * n_held
    few = images[:2_000]
    for warm_up in (lambda: bare_loop(few, 1_600, 200, 1), lambda: residua_fit(few, 1)):
        warm_up()  # imports, first allocations
    sides = {
        "bare PyTorch loop": lambda: bare_loop(images, n_train, n_held, options.epochs),
        "residua fit, whole": lambda: residua_fit(images, options.epochs),
    }
    if not options.no_keras:
        sides["Keras (TensorFlow)"] = lambda: keras_fit(n_train, n_held, options.epochs)
    seconds = alternate(sides, options.repeats)
    rows = []
    for name, times in seconds.items():
        speed = [n_train * options.epochs / s for s in times]
        over_bare = paired_ratio(times, seconds["bare PyTorch loop"])
        row = [name, median_of(times, ".2f"), median_of(speed), median_of(over_bare, ".3f")]
        if not options.no_keras:
            faster = paired_ratio(seconds["Keras (TensorFlow)"], times)
            row.append(median_of(faster, ".2f"))
        rows.append(row)
    header = ["", "seconds", "training images/s", "time, bare loop = 1"]
    header += [] if options.no_keras else ["speed, Keras = 1"]
    print_table(
        f"seed-mnist, {n_train:,} training pictures of 28 × 28, {options.epochs} epochs, "
        f"batch {BATCH}; median of {options.repeats} alternating runs (least to greatest)",
        header,
        rows,
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


def keras_fit(n_train: int, n_held: int, epochs: int) -> float:
    python = KERAS / "bin" / "python"
    if not python.exists():
        venv.create(KERAS, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "-q", "tensorflow-cpu"], check=True)
    script = HERE / "peers" / "keras_training.py"
    command = [python, script, str(n_train), str(n_held), str(epochs), str(BATCH)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(json.loads(done.stdout.splitlines()[-1])["seconds"])


if __name__ == "__main__":
    main()
