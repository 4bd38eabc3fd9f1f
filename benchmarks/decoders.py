"""Faster decoders against Pillow: would one be worth another dependency?

    scripts/bench decoders [--repeats 5]

Each decodes the same pictures, and what comes out is resized to 256 × 256 by Pillow: no other one
gives Pillow's antialiased pixels, on which every saved model's scores rest. A decoder counts where
its pixels are Pillow's, bit for bit. Those that can decode a JPEG at a reduced size do, at the
reduction that Residua chooses with Pillow's draft mode. Times are from bytes in memory to the
resized array, sides alternating; in one thread and in as many as there are cores, since a decoder
that keeps the interpreter's lock gains nothing from a second one.

The pictures are of Caltech-101 where it is there, else drawn; the large ones are those scaled up,
with noise. The decoders run in `.bench/decoders`. PyTurboJPEG needs a system library and is left
out: simplejpeg brings the same one along.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from _page import Table, parser, publish
from _peer import Peer, exchange
from _table import median_of, paired_ratio

NAME = "decoders"
SIDE = 256
LARGE = (2000, 1500)
SMALL_PICTURES, LARGE_PICTURES = 100, 6
BASE = "Pillow, draft mode"
PEER = Peer(
    "decoders",
    (
        "pillow==13.0.0",
        "numpy==2.4.6",
        "simplejpeg==1.9.0",
        "opencv-python-headless==5.0.0.93",
        "imagecodecs==2026.3.6",
        "pyvips[binary]==3.2.0",
        "kornia-rs==0.2.0",
    ),
)
KINDS = {
    "small": f"{SMALL_PICTURES} JPEGs of Caltech-101",
    "large": f"{LARGE_PICTURES} JPEGs of {LARGE[0]:,} × {LARGE[1]:,}",
    "png": f"{SMALL_PICTURES} PNGs of Caltech-101",
}


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--repeats", type=int, default=5)
    options = made.parse_args()

    from residua.images.parallel import usable_processors

    cores = usable_processors()
    with exchange() as folder:
        write_pictures(Path(folder))
        found = PEER.run("decoders.py", folder, SIDE, options.repeats, cores)
    runs = f"median of {options.repeats} alternating runs (least to greatest)"
    header = ["decoder", "speed, one thread", f"speed, {cores} threads", "pixels are Pillow's"]
    tables = [
        Table(f"{kind} to {SIDE} × {SIDE}, {BASE} = 1; {runs}", header, rows(found[name]))
        for name, kind in KINDS.items()
    ]
    publish(NAME, tables, page=options.page)


def rows(results: list[dict[str, Any]]) -> list[list[str]]:
    """Compare each decoder with the first."""
    base = results[0]
    return [
        [
            result["decoder"],
            median_of(paired_ratio(base["alone"], result["alone"]), ".2f"),
            median_of(paired_ratio(base["together"], result["together"]), ".2f"),
            "all" if result["equal"] == base["equal"] else f"{result['equal']}",
        ]
        for result in results
    ]


def write_pictures(folder: Path) -> None:
    """Write the three kinds of pictures into folders of their names."""
    contents = small_jpegs()
    for kind in KINDS:
        (folder / kind).mkdir()
    rng = np.random.default_rng(0)
    for number, content in enumerate(contents):
        (folder / "small" / f"{number:03}.jpg").write_bytes(content)
        picture = Image.open(io.BytesIO(content)).convert("RGB")
        picture.save(folder / "png" / f"{number:03}.png")
        if number < LARGE_PICTURES:
            pixels = np.asarray(picture.resize(LARGE, Image.Resampling.BICUBIC))
            noisy = np.clip(pixels + rng.normal(0, 6, pixels.shape), 0, 255).astype(np.uint8)
            Image.fromarray(noisy).save(folder / "large" / f"{number:03}.jpg", quality=88)


def small_jpegs() -> list[bytes]:
    """Take pictures of Caltech-101, else of drawn surfaces of the same size."""
    from residua.errors import DatasetError
    from residua.images.datasets import load_dataset

    rng = np.random.default_rng(0)
    try:
        source = load_dataset("caltech101")
    except DatasetError:
        drawn = []
        for _ in range(SMALL_PICTURES):
            coarse = rng.integers(0, 256, (20, 30, 3), np.uint8)
            stream = io.BytesIO()
            Image.fromarray(coarse).resize((300, 200)).save(stream, "JPEG", quality=90)
            drawn.append(stream.getvalue())
        return drawn
    assert source.paths is not None
    chosen = rng.choice(len(source), SMALL_PICTURES, replace=False)
    return [source.paths[index].read_bytes() for index in chosen]


if __name__ == "__main__":
    main()
