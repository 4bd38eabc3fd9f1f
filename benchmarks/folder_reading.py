"""Reading a folder: `ImageSource.batches` against Pillow's bare decode and resize.

    scripts/bench folder_reading [--repeats 7]

The bare side opens each file with `PIL.Image.open`, converts and resizes it (bilinear, as Residua
does) and takes the array, which it then drops: in a loop, or in a pool of as many threads as
Residua is given. A second bare side calls `draft` before, which is how Pillow decodes a JPEG at a
reduced size. Residua does more with each file: it refuses what is no picture or too large, turns by
EXIF, gathers batches of 64, and keeps what fails apart.

Three folders: pictures of Caltech-101 as they are (about 300 × 200, colour JPEG), else drawn ones;
grey PNGs of 28 × 28, where handling the files is nearly all; and the first ones scaled up to JPEGs
of 2,000 × 1,500, with noise. The files are in the system's cache; sides alternate.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
from PIL import Image

from _page import Goal, Table, parser, publish
from _table import alternate, median_of, paired_ratio

NAME = "folder_reading"
WANTED = 0.8
BATCH = 64
SIDES = ("Pillow", "Pillow, draft mode", "Residua")


class Folder(NamedTuple):
    """Files to read, and to what."""

    name: str
    paths: list[Path]
    side: int
    mode: str


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--repeats", type=int, default=7)
    options = made.parse_args()

    from residua.images.parallel import usable_processors

    cores = usable_processors()
    rows, ratios = [], {}
    with TemporaryDirectory() as place:
        for folder in folders(Path(place)):
            for path in folder.paths:
                path.read_bytes()
            for workers in sorted({1, cores}):
                seconds = alternate(sides(folder, workers), options.repeats)
                speed = {side: [len(folder.paths) / s for s in seconds[side]] for side in SIDES}
                ratios[folder.name, workers] = paired_ratio(seconds["Pillow"], seconds["Residua"])
                over_draft = paired_ratio(seconds["Pillow, draft mode"], seconds["Residua"])
                rows.append(
                    [f"{folder.name} ({len(folder.paths):,})", str(workers)]
                    + [median_of(speed[side]) for side in SIDES]
                    + [median_of(ratios[folder.name, workers], ".2f"), median_of(over_draft, ".2f")]
                )
    title = (
        f"Pictures a second from a folder to arrays; median of {options.repeats} alternating runs "
        "(least to greatest)"
    )
    header = ["folder", "threads", *SIDES, "speed, Pillow = 1", "speed, draft mode = 1"]
    reached = ratios[next(iter(ratios))[0], cores]
    goal = Goal(
        "read a folder of JPEGs (256 × 256) against Pillow's bare decode and resize, same cores",
        f"≥ {WANTED} × its speed",
        median_of(reached, ".2f"),
        median(reached) >= WANTED,
    )
    publish(NAME, [Table(title, header, rows)], [goal], page=options.page)


def sides(folder: Folder, workers: int) -> dict[str, Callable[[], float]]:
    """Return what is timed, each returning its seconds."""

    def residua() -> float:
        from residua.images.preprocess import InputSpec
        from residua.images.source import FileSource

        channels = 3 if folder.mode == "RGB" else 1
        spec = InputSpec(height=folder.side, width=folder.side, channels=channels)
        source = FileSource(folder.paths)
        started = time.perf_counter()
        read = sum(len(batch.images) for batch in source.batches(spec, BATCH, workers=workers))
        taken = time.perf_counter() - started
        if read != len(folder.paths):
            raise SystemExit(f"{len(folder.paths) - read} pictures of {folder.name} failed")
        return taken

    return dict(
        zip(
            SIDES,
            (
                lambda: bare(folder, workers, draft=False),
                lambda: bare(folder, workers, draft=True),
                residua,
            ),
            strict=True,
        )
    )


def bare(folder: Folder, workers: int, *, draft: bool) -> float:
    """Read all files with Pillow alone; return the seconds."""
    size = folder.side, folder.side

    def read(path: Path) -> None:
        with Image.open(path) as image:
            if draft:
                image.draft(None, (2 * folder.side, 2 * folder.side))
            np.asarray(image.convert(folder.mode).resize(size, Image.Resampling.BILINEAR))

    started = time.perf_counter()
    if workers == 1:
        for path in folder.paths:
            read(path)
    else:
        with ThreadPoolExecutor(workers) as pool:
            for _ in pool.map(read, folder.paths):
                pass
    return time.perf_counter() - started


def folders(place: Path) -> list[Folder]:
    """Find or write the files."""
    jpegs = caltech(400) or drawn_jpegs(place / "drawn", 400)
    small, photos = place / "small", place / "photos"
    small.mkdir()
    photos.mkdir()
    rng = np.random.default_rng(0)
    for number in range(2_000):
        blob = Image.fromarray(rng.integers(0, 256, (7, 7), np.uint8)).resize((28, 28))
        blob.save(small / f"{number:04}.png")
    for number, path in enumerate(jpegs[:12]):
        with Image.open(path) as image:
            large = np.asarray(image.convert("RGB").resize((2000, 1500), Image.Resampling.BICUBIC))
        noisy = np.clip(large + rng.normal(0, 6, large.shape), 0, 255).astype(np.uint8)
        Image.fromarray(noisy).save(photos / f"{number:02}.jpg", quality=88)
    kind = "Caltech-101" if jpegs[0].parent.parent != place else "drawn"
    return [
        Folder(f"{kind}, JPEG to 256 × 256", jpegs, 256, "RGB"),
        Folder("drawn, grey PNG of 28 × 28", sorted(small.iterdir()), 28, "L"),
        Folder(
            "scaled up, JPEG of 2,000 × 1,500 to 256 × 256", sorted(photos.iterdir()), 256, "RGB"
        ),
    ]


def caltech(count: int) -> list[Path]:
    """Choose pictures of Caltech-101; none where it is not there."""
    from residua.errors import DatasetError
    from residua.images.datasets import load_dataset

    try:
        source = load_dataset("caltech101")
    except DatasetError:
        return []
    assert source.paths is not None
    chosen = np.random.default_rng(0).choice(len(source), count, replace=False)
    return [source.paths[index] for index in chosen]


def drawn_jpegs(folder: Path, count: int) -> list[Path]:
    """Write pictures of Caltech-101's size."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(count):
        coarse = Image.fromarray(rng.integers(0, 256, (40, 60, 3), np.uint8))
        stream = io.BytesIO()
        coarse.resize((300, 200)).save(stream, "JPEG", quality=90)
        (folder / f"{number:03}.jpg").write_bytes(stream.getvalue())
    return sorted(folder.iterdir())


if __name__ == "__main__":
    main()
