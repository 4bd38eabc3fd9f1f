"""Peak memory of scoring a folder, by the number of files, the model's input size and the engine.

    scripts/bench scoring_memory [--counts 1000,10000,100000] [--sizes 28,128,256,512,1024] [--page]

What is measured is the greatest resident size of the command ``residua score``, start and packages
included. The files are 1,000 different JPEG files of 256 × 256 under as many names as wanted (hard
links), so that listing, decoding and scoring see that many files and the disk need not hold them.
Models by input size are fitted for one epoch on a few generated colour pictures and score 64 JPEG
files of their own size: what they find is of no matter here, what they hold is that of any other.
The engine is named, as ``auto`` may choose another one for more files: ONNX Runtime, which every
installation has, but in the last table, where each engine that is installed scores 1,000 files.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from _page import Goal, Table, parser, publish

COMMAND = Path(sys.executable).with_name("residua")
DISTINCT = 1_000
FILE_SIDE = 256
GREY_SIDES = {64: None, 128: 10_000}
"""Input sizes of the models by number of files, with the most files that each is given."""
SCORED_BY_SIZE = 64
FLAT = 1.10
"""A peak that is called flat: at most this multiple of that of the fewest files."""

# A process inherits the peak of the one that starts it, so the command is started from a small one.
_STARTER = """
import os, sys
to_stderr = [(os.POSIX_SPAWN_DUP2, 2, 1)]
child = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ, file_actions=to_stderr)
_, status, usage = os.wait4(child, 0)
print(usage.ru_maxrss)
sys.exit(os.waitstatus_to_exitcode(status))
"""


def main() -> None:
    options_of = parser(__doc__)
    options_of.add_argument("--counts", default="1000,10000,100000")
    options_of.add_argument("--sizes", default="28,128,256,512,1024")
    options = options_of.parse_args()
    counts = [int(count) for count in options.counts.split(",")]
    sizes = [int(size) for size in options.sizes.split(",")]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        by_count, goals = peaks_by_count(folder, counts)
        by_size = peaks_by_size(folder, sizes)
        by_engine = peaks_by_engine(folder)
    publish("scoring_memory", [by_count, by_size, by_engine], goals, page=options.page)


def peaks_by_count(folder: Path, counts: list[int]) -> tuple[Table, list[Goal]]:
    files = write_pictures(folder / "distinct", DISTINCT, FILE_SIDE, channels=1)
    rows, goals = [], []
    for side, most in GREY_SIDES.items():
        model = fitted_model(folder / f"grey-{side}.residua", side, channels=1)
        wanted = [count for count in counts if most is None or count <= most]
        peaks = []
        for count in wanted:
            with hard_links(folder / "incoming", files, count) as incoming:
                peaks.append(peak_of_scoring(model, incoming))
            ratio = peaks[-1] / peaks[0]
            cells = (f"{side} × {side}", f"{count:,}", f"{peaks[-1] / 1e6:.0f}", f"{ratio:.3f}")
            rows.append(cells)
            print(*cells, sep="\t", file=sys.stderr)
        if most is None:
            goals = [flatness(wanted, peaks)]
    header = ["model", "files", "peak, MB", "fewest files = 1"]
    title = f"Peak memory of `residua score`, JPEG files of {FILE_SIDE} × {FILE_SIDE}, grey"
    return Table(title, header, rows), goals


def flatness(counts: list[int], peaks: list[int]) -> Goal:
    ratio = max(peaks) / peaks[0]
    shown = " / ".join(f"{peak / 1e6:.0f}" for peak in peaks)
    return Goal(
        "peak memory while scoring " + " / ".join(f"{count:,}" for count in counts) + " files",
        "flat within 10 %",
        f"{shown} MB, at most {ratio:.3f} of the first",
        ratio <= FLAT,
    )


def peaks_by_size(folder: Path, sizes: list[int]) -> Table:
    from residua.scoring.verdicts import batch_size_for

    rows = []
    for side in sizes:
        model = fitted_model(folder / f"colour-{side}.residua", side, channels=3)
        files = write_pictures(folder / f"files-{side}", SCORED_BY_SIZE, side, channels=3)
        peak = peak_of_scoring(model, files[0].parent)
        batch = batch_size_for(input_spec(model))
        megabytes = (model / "model.onnx").stat().st_size / 1e6
        rows.append([f"{side} × {side}", f"{megabytes:.1f}", f"{batch}", f"{peak / 1e6:.0f}"])
        print(*rows[-1], sep="\t", file=sys.stderr)
    header = ["model", "`model.onnx`, MB", "pictures a batch", "peak, MB"]
    return Table("Peak memory of `residua score` by input size, colour", header, rows)


def peaks_by_engine(folder: Path) -> Table:
    from residua.engines.registry import ENGINES

    side = max(GREY_SIDES)
    model, files = folder / f"grey-{side}.residua", folder / "distinct"
    rows = [
        [f"{kind.title} {kind.version}", f"{peak_of_scoring(model, files, kind.name) / 1e6:.0f}"]
        for kind in ENGINES.values()
        if kind.installed
    ]
    title = (
        f"Peak memory of `residua score` by engine, model of {side} × {side}, {DISTINCT:,} files"
    )
    return Table(title, ["engine", "peak, MB"], rows)


def input_spec(model: Path):
    from residua.bundle import open_bundle

    return open_bundle(model).manifest.input


def fitted_model(path: Path, side: int, *, channels: int) -> Path:
    from residua import AutoencoderDetector
    from residua.errors import ResiduaWarning

    images = np.stack(list(islice(generated(side, channels), 24)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResiduaWarning)
        detector = AutoencoderDetector(epochs=1, image_size=side, on_failed_fit="warn")
        return detector.fit(images).save(path)


def generated(side: int, channels: int) -> Iterator[NDArray[np.uint8]]:
    """Yield pictures without end: a soft pattern of its own under a common grain."""
    rng = np.random.default_rng(side)
    grain = rng.normal(0, 8, (side, side, channels))
    while True:
        coarse = rng.integers(60, 196, (4, 4, channels), np.uint8)
        soft = Image.fromarray(coarse.squeeze()).resize((side, side), Image.Resampling.BICUBIC)
        picture = np.asarray(soft, np.float64).reshape(side, side, channels) + grain
        yield picture.clip(0, 255).astype(np.uint8).squeeze()


def write_pictures(folder: Path, count: int, side: int, *, channels: int) -> list[Path]:
    """Write generated pictures as JPEG files and return their paths."""
    folder.mkdir()
    files = []
    for number, picture in enumerate(islice(generated(side, channels), count)):
        files.append(folder / f"{number:04}.jpg")
        Image.fromarray(picture).save(files[-1])
    return files


@contextmanager
def hard_links(folder: Path, files: list[Path], count: int) -> Iterator[Path]:
    """Give the files ``count`` names in a folder, for the time of the block."""
    folder.mkdir()
    names = [folder / f"{number:07}.jpg" for number in range(count)]
    for number, name in enumerate(names):
        name.hardlink_to(files[number % len(files)])
    yield folder
    for name in names:
        name.unlink()
    folder.rmdir()


def peak_of_scoring(model: Path, incoming: Path, engine: str = "onnxruntime") -> int:
    table = model.parent / "scores.csv"
    return peak_memory([COMMAND, "score", model, incoming, "--engine", engine, "--out", table])


def peak_memory(command: list[object]) -> int:
    """Return the greatest resident size of a command, in bytes."""
    starter = [sys.executable, "-S", "-c", _STARTER, *map(str, command)]
    done = subprocess.run(starter, check=False, capture_output=True, text=True, env=os.environ)
    if done.returncode:
        raise SystemExit(f"the command failed: {command}\n{done.stderr}")
    return int(done.stdout) * (1 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    main()
