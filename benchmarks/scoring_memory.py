"""Peak memory of scoring a folder: 1,000 files against 10,000.

scripts/bench scoring_memory [--counts 1000,10000]
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from _table import print_table

COMMAND = Path(sys.executable).with_name("residua")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--counts", default="1000,10000")
    options = parser.parse_args()
    counts = [int(count) for count in options.counts.split(",")]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = fitted_model(folder)
        peaks = []
        for count in counts:
            incoming = folder / f"{count}"
            write_pictures(incoming, count)
            out = folder / "scores.csv"
            peaks.append(peak_memory([COMMAND, "score", model, incoming, "--out", out]))
    print_table(
        "peak memory of `residua score`, JPEG files of 256 × 256, model of 128 × 128",
        ["files", "peak, MB", f"{counts[0]:,} files = 1"],
        [
            [f"{count:,}", f"{peak / 1e6:.0f}", f"{peak / peaks[0]:.3f}"]
            for count, peak in zip(counts, peaks, strict=True)
        ],
    )


def fitted_model(folder: Path) -> Path:
    from residua import AutoencoderDetector, load_dataset

    detector = AutoencoderDetector(epochs=1, on_failed_fit="warn")
    detector.fit(load_dataset("surfaces", "train", n=64))
    return detector.save(folder / "model.residua")


def write_pictures(folder: Path, count: int) -> None:
    folder.mkdir()
    rng = np.random.default_rng(0)
    base = rng.integers(0, 256, (256, 256), np.uint8)
    for number in range(count):
        Image.fromarray(np.roll(base, number)).save(folder / f"{number:06}.jpg")


def peak_memory(command: list[object]) -> int:
    """Return the greatest resident size of a command, in bytes."""
    process = os.posix_spawn(str(command[0]), [str(part) for part in command], dict(os.environ))
    _, status, usage = os.wait4(process, 0)
    if os.waitstatus_to_exitcode(status):
        raise SystemExit(f"the command failed: {command}")
    return usage.ru_maxrss * 1024


if __name__ == "__main__":
    main()
