"""Error maps as pictures, with NumPy and Pillow alone."""

from __future__ import annotations

import hashlib
import os
from functools import cache
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from residua.errors import OutputError
from residua.writing import whole_file

_MIN_SIDE = 224
# Stands for a step up in an id, so that ../a.png and a.png have maps of their own.
_UP = "__up__"
# Bytes of a file name; the file systems in use take 255.
_LONGEST_NAME = 240
_TINY = float(np.finfo(np.float32).tiny)
# Dark to light with evenly rising lightness, told apart by the colour-blind and in grey print.
_STOPS = (0.0, 0.25, 0.5, 0.75, 1.0)
_COLOURS = ((4, 6, 28), (74, 16, 108), (182, 54, 84), (244, 136, 38), (252, 246, 168))


def colourise(error_map: NDArray[np.float32], ceiling: float) -> NDArray[np.uint8]:
    """Colour an error map (H, W) as RGB (H, W, 3); ``ceiling`` and above are brightest.

    Parameters
    ----------
    error_map : ndarray of shape (H, W)
    ceiling : float
        Full scale: for one model the same for all pictures, so that they can be compared.
    """
    return colour_table()[colour_steps(error_map, ceiling)]


def colour_steps(error_map: NDArray[np.float32], ceiling: float) -> NDArray[np.uint8]:
    """Return an error map (H, W) in steps from 0, no error, to 255, ``ceiling`` and above."""
    level = np.clip(error_map / max(ceiling, _TINY), 0, 1)
    steps: NDArray[np.uint8] = np.rint(255 * level).astype(np.uint8)
    return steps


@cache
def colour_table() -> NDArray[np.uint8]:
    """Return the colours (256, 3) of the steps, RGB."""
    level = np.linspace(0, 1, 256)
    bands = [np.interp(level, _STOPS, band) for band in zip(*_COLOURS, strict=True)]
    table: NDArray[np.uint8] = np.rint(np.stack(bands, axis=-1)).astype(np.uint8)
    table.flags.writeable = False
    return table


def overlay(
    image: NDArray[np.uint8], error_map: NDArray[np.float32], ceiling: float
) -> Image.Image:
    """Lay a heat map over the grey picture; faint where the error is small.

    Parameters
    ----------
    image : ndarray of shape (H, W, C), uint8
    error_map : ndarray of shape (H, W)
    ceiling : float
        Full scale of the heat map.
    """
    grey = np.repeat(image.mean(axis=-1, keepdims=True), 3, axis=-1)
    weight = np.clip(error_map / max(ceiling, _TINY), 0, 1)[..., None]
    weight = 0.15 + 0.7 * weight
    blended = (1 - weight) * grey + weight * colourise(error_map, ceiling)
    return enlarge(Image.fromarray(np.rint(blended).astype(np.uint8)))


def enlarge(picture: Image.Image) -> Image.Image:
    """Enlarge a small picture by a whole factor, each pixel a square."""
    factor = -(-_MIN_SIDE // max(picture.size))
    return (
        picture
        if factor <= 1
        else picture.resize(
            (picture.width * factor, picture.height * factor), Image.Resampling.NEAREST
        )
    )


def save_overlay(folder: Path, picture_id: str, picture: Image.Image) -> Path:
    """Save a heat map as PNG under ``folder``, by the picture's own id.

    Raises
    ------
    OutputError
        The file cannot be written.
    """
    # An id may be a path from anywhere; the map stays below the folder.
    parts = [_UP if part == ".." else part for part in PurePosixPath(picture_id).parts]
    parts = [_shortened(part) for part in parts if part != "/"] or ["picture"]
    path = folder.joinpath(*parts[:-1], f"{parts[-1]}.png")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as beside:
            picture.save(beside, "PNG")
    except OSError as error:
        raise OutputError(f"the heat map {path} cannot be written: {error}") from error
    return path


def _shortened(name: str) -> str:
    encoded = os.fsencode(name)
    if len(encoded) <= _LONGEST_NAME:
        return name
    digest = hashlib.sha256(encoded).hexdigest()[:16]
    return encoded[: _LONGEST_NAME - 17].decode("utf-8", "ignore") + "-" + digest
