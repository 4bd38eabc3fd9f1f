"""Fitting colour pictures of 256 × 256 from JPEG files: Residua beside the same network in Keras.

    scripts/bench training_colour [--images 600] [--epochs 3] [--repeats 3] [--data FOLDER]

Both sides train Residua's default network of that size on the same files of Caltech-101, with Adam
and squared error, for as many epochs in batches of 32, which is Keras's own choice. The script
reads the layers off Residua's network and Keras builds them anew; the numbers of trainable weights
must agree. Two figures each:

- training alone, from pictures that are decoded already, validation not counted;
- the whole. Of Residua it is `fit`: decoding, training with validation, checks, score, threshold.
  Of Keras it is decoding by tf.data, in parallel and kept in memory, and training with validation.

No side's imports are counted, nor the tracing of Keras's graph. Keras trains in float32, as it
comes, which the goals are set against, and also with its mixed precision switched on.

Caltech-101 must be there or be downloadable, or `--data` names another folder of JPEG files.
"""

from __future__ import annotations

import json
import statistics
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from _page import Goal, Table, parser, publish
from _peer import KERAS, exchange
from _table import median_of, paired_ratio

NAME = "training_colour"
SIZE, BATCH = 256, 32
OWN = "Residua"
POLICIES = {
    "Keras, float32 (its default)": "float32",
    "Keras, mixed_bfloat16": "mixed_bfloat16",
}
PLAIN = next(iter(POLICIES))
WANTED = 2.0


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--images", type=int, default=600)
    made.add_argument("--epochs", type=int, default=3)
    made.add_argument("--repeats", type=int, default=3)
    made.add_argument("--data", default="caltech101", help="data set or folder")
    options = made.parse_args()

    from residua.images.resolve import resolve_source
    from residua.images.splits import holdout
    from residua.models import build_model

    source = resolve_source(options.data, prefer="train")
    drawn = np.random.default_rng(0).permutation(len(source))[: options.images]
    source = source.take(np.sort(drawn))
    files = [str(Path(path).resolve()) for path in source.paths]
    parts = holdout(len(files), (0.1, 0.1), 0)
    network = build_model("conv", (SIZE, SIZE, 3))
    job = {
        "layers": list(layers_of(network)),
        "training": [files[i] for i in parts.train],
        "validation": [files[i] for i in parts.validation],
        "size": SIZE,
        "batch": BATCH,
        "epochs": options.epochs,
    }
    weights = sum(p.numel() for p in network.parameters() if p.requires_grad)
    residua_fit(files[:BATCH], 1)  # imports, first allocations

    trained = len(parts.train) * options.epochs
    alone: dict[str, list[float]] = {OWN: [], **{side: [] for side in POLICIES}}
    whole: dict[str, list[float]] = {side: [] for side in alone}
    with exchange() as name:
        path = Path(name) / "job.json"
        for _ in range(options.repeats):
            speed, seconds = residua_fit(files, options.epochs)
            alone[OWN].append(speed)
            whole[OWN].append(trained / seconds)
            for side, policy in POLICIES.items():
                path.write_text(json.dumps({**job, "policy": policy}), encoding="utf-8")
                found = KERAS.run("keras_colour.py", path)
                if found["weights"] != weights:
                    raise SystemExit(f"Keras trains {found['weights']:,} weights, not {weights:,}")
                alone[side].append(trained / found["alone"])
                whole[side].append(trained / found["whole"])
    rows = [
        [
            side,
            median_of(alone[side], ".1f"),
            median_of(paired_ratio(alone[side], alone[PLAIN]), ".2f"),
            median_of(whole[side], ".1f"),
            median_of(paired_ratio(whole[side], whole[PLAIN]), ".2f"),
        ]
        for side in alone
    ]
    table = Table(
        f"The default network, {weights:,} weights, on {len(parts.train)} JPEG files brought to "
        f"{SIZE} × {SIZE} in colour, {options.epochs} epochs, batch {BATCH}; median of "
        f"{options.repeats} alternating runs (least to greatest)",
        ["", "training alone, images/s", "Keras float32 = 1", "whole, images/s", "Keras = 1"],
        rows,
    )
    goals = [
        goal("training alone", paired_ratio(alone[OWN], alone[PLAIN])),
        goal("whole, decoding included", paired_ratio(whole[OWN], whole[PLAIN])),
    ]
    publish(NAME, [table], goals, page=options.page)


def goal(part: str, faster: list[float]) -> Goal:
    return Goal(
        f"fit {SIZE} × {SIZE} colour on Caltech-101, images/s against the same network in Keras, "
        f"float32; {part}",
        f"≥ {WANTED:g} ×",
        f"{median_of(faster, '.2f')} ×",
        statistics.median(faster) >= WANTED,
    )


def layers_of(network: Any) -> Iterator[dict[str, Any]]:
    """Yield the layers of Residua's network in order, as the Keras script reads them."""
    yield from described(network.encoder)
    yield from described(network.to_code)
    yield from described(network.from_code)
    channels, rows, columns = network.grid
    yield {"kind": "grid", "shape": [rows, columns, channels]}
    yield from described(network.decoder)


def described(module: Any) -> Iterator[dict[str, Any]]:
    from torch import nn

    from residua.models.conv import SubPixelUp

    if isinstance(module, nn.Conv2d):
        yield {
            "kind": "conv",
            "out": module.out_channels,
            "kernel": module.kernel_size[0],
            "stride": module.stride[0],
            "bias": module.bias is not None,
        }
    elif isinstance(module, nn.Linear):
        yield {"kind": "dense", "out": module.out_features, "bias": module.bias is not None}
    elif isinstance(module, nn.BatchNorm2d):
        yield {"kind": "norm"}
    elif isinstance(module, nn.LeakyReLU):
        yield {"kind": "leaky", "slope": module.negative_slope}
    elif isinstance(module, SubPixelUp):
        yield from described(module.conv)
        yield {"kind": "unfold", "by": module.factor}
    elif isinstance(module, nn.Sequential):
        for part in module:
            yield from described(part)
    else:
        raise SystemExit(f"say in {NAME}.py how Keras builds {type(module).__name__}")


def residua_fit(files: list[str], epochs: int) -> tuple[float, float]:
    """Return training pictures a second, and the seconds of the whole fit."""
    from residua import AutoencoderDetector
    from residua.errors import ResiduaWarning

    detector = AutoencoderDetector(
        image_size=SIZE, channels=3, epochs=epochs, batch_size=BATCH, on_failed_fit="warn"
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResiduaWarning)
        started = time.perf_counter()
        detector.fit(files)
        seconds = time.perf_counter() - started
    speeds = [record.images_per_second for record in detector.history_]
    return statistics.harmonic_mean(speeds), seconds


if __name__ == "__main__":
    main()
