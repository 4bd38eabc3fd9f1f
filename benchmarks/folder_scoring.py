"""Scoring a folder of JPEG files, beside Pillow's bare decoding and resizing of the same files.

    scripts/bench folder_scoring [--files 600] [--size 256] [--repeats 3] [--data FOLDER]

The bare side opens each file, turns it to RGB, resizes it to the model's size by the bilinear
filter and makes an array of it, in as many threads as there are cores: what any program must do
that looks at these pictures. It is timed also with Pillow's draft mode, which Residua uses; the
faster of the two is the one to beat. Residua scores the same files: reading, network, score,
verdict, a row of CSV. The goal is judged on its default network and score; beside them stand a
network with a cheaper first and last layer, and a score that bears bf16.

What the network alone costs is measured beside it, on decoded pictures: where it is the greater
part, no reading can be fast enough. The last column says which share of the possible is reached,
where reading and network have the cores to themselves, one after the other.

Caltech-101 must be there or be downloadable, or `--data` names another folder of JPEG files.
"""

from __future__ import annotations

import io
import os
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from _page import Goal, Table, parser, publish
from _table import alternate, median_of, paired_ratio

NAME = "folder_scoring"
WANTED = 0.8
BARE, DRAFT = "Pillow: open, convert, resize", "the same with draft mode"
ALONE = ", network alone"
DEFAULT = "default network and score"
MODELS: dict[str, dict[str, Any]] = {
    DEFAULT: {},
    "`stem=4`, default score": {"model_options": {"stem": 4}},
    "default network, plain error": {"scoring": "error"},
    "`stem=4`, plain error": {"model_options": {"stem": 4}, "scoring": "error"},
}
CASES = (
    (DEFAULT, "onnxruntime", "float32"),
    (DEFAULT, "openvino", "float32"),
    ("`stem=4`, default score", "onnxruntime", "float32"),
    ("default network, plain error", "openvino", "bf16"),
    ("`stem=4`, plain error", "openvino", "bf16"),
)


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--files", type=int, default=600)
    made.add_argument("--size", type=int, default=256)
    made.add_argument("--repeats", type=int, default=3)
    made.add_argument("--data", default="caltech101")
    options = made.parse_args()
    from residua import BundleScorer
    from residua.images.resolve import resolve_source

    source = resolve_source(options.data)
    chosen = np.linspace(0, len(source) - 1, options.files).astype(int)
    files = [os.fspath(source.paths[i]) for i in chosen]
    with tempfile.TemporaryDirectory() as name:
        bundles = {
            what: fitted(files, options.size, Path(name) / f"{number}.residua", settings)
            for number, (what, settings) in enumerate(MODELS.items())
        }
        scorers = {}
        for what, engine, precision in CASES:
            scorer = BundleScorer(bundles[what], engine=engine, precision=precision)
            score(scorer, files[:64])
            assert scorer.engine is not None
            # One that was replaced is not shown under its name.
            if (scorer.engine.name, scorer.engine.precision) == (engine, precision):
                scorers[f"Residua, {what}, {engine}, {precision}"] = scorer
        decoded = np.stack([bare(file, options.size, draft=False) for file in files])
        sides: dict[str, Callable[[], float]] = {
            BARE: lambda: decode(files, options.size, draft=False),
            DRAFT: lambda: decode(files, options.size, draft=True),
            **{side: lambda s=s: score(s, files) for side, s in scorers.items()},
            **{side + ALONE: lambda s=s: network(s, decoded) for side, s in scorers.items()},
        }
        seconds = alternate(sides, options.repeats)
    base = min((BARE, DRAFT), key=lambda side: statistics.median(seconds[side]))
    rows = []
    for side in (BARE, DRAFT, *scorers):
        times = seconds[side]
        row = [
            side,
            median_of([len(files) / s for s in times]),
            median_of(paired_ratio(seconds[base], times), ".2f"),
        ]
        if side in scorers:
            alone = seconds[side + ALONE]
            both = [a + b for a, b in zip(seconds[base], alone, strict=True)]
            row += [
                median_of([len(files) / s for s in alone]),
                median_of(paired_ratio(both, times), ".2f"),
            ]
        else:
            row += ["–", "–"]
        rows.append(row)
    judged = [side for side in scorers if DEFAULT in side]
    best = min(judged, key=lambda side: statistics.median(seconds[side]))
    ratio = paired_ratio(seconds[base], seconds[best])
    publish(
        NAME,
        [
            Table(
                f"{len(files):,} JPEG files of {source!r} at {options.size} × {options.size} in "
                f"colour, network `conv`; median of {options.repeats} alternating runs",
                [
                    "",
                    "images/s",
                    f"speed, {base} = 1",
                    "network alone, images/s",
                    "share of the possible",
                ],
                rows,
            )
        ],
        [
            Goal(
                f"score a folder of JPEGs at {options.size} × {options.size}, against Pillow's "
                f"bare decode-and-resize",
                f"≥ {WANTED}",
                f"{median_of(ratio, '.2f')} ({best})",
                statistics.median(ratio) >= WANTED,
            )
        ],
        page=options.page,
    )


def fitted(files: list[str], size: int, path: Path, settings: dict[str, Any]) -> Path:
    from residua import AutoencoderDetector
    from residua.errors import ResiduaWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResiduaWarning)
        detector = AutoencoderDetector(
            image_size=size,
            channels=3,
            epochs=1,
            on_failed_fit="warn",
            batch_size=8,
            **settings,
        )
        return detector.fit(files[:160]).save(path)


def bare(file: str, size: int, *, draft: bool) -> np.ndarray:
    with Image.open(file) as image:
        if draft:
            image.draft("RGB", (2 * size, 2 * size))
        resized = image.convert("RGB").resize((size, size), Image.Resampling.BILINEAR)
        return np.asarray(resized)


def decode(files: list[str], size: int, *, draft: bool) -> float:
    threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    started = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        for _ in pool.map(lambda file: bare(file, size, draft=draft), files):
            pass
    return time.perf_counter() - started


def score(scorer, files: list[str]) -> float:
    from residua.results import csv_rows

    started = time.perf_counter()
    with csv_rows(io.StringIO()) as write:
        for verdict in scorer.verdicts(files):
            write(verdict)
    return time.perf_counter() - started


def network(scorer, decoded: np.ndarray) -> float:
    scorer.anomaly_scores(decoded[:8])
    started = time.perf_counter()
    scorer.anomaly_scores(decoded)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
