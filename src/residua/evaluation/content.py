"""What is in a picture, whatever a model makes of it: simple figures that cost nothing to learn.

A score that merely follows one of them measures the picture's content and not what is odd in it.
"""

from __future__ import annotations

import zlib
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_MOST_SIDE = 128
# Outer ring that counts as border, as a share of the side.
BORDER = 0.125


class Content(NamedTuple):
    """Simple figures of pictures, one entry a picture, (N,) each."""

    brightness: NDArray[np.float64]
    """Mean grey level, 0 to 1."""
    contrast: NDArray[np.float64]
    """Standard deviation of the grey levels, 0 to 0.5."""
    entropy: NDArray[np.float64]
    """Of the histogram of the 256 grey levels, 0 to 8 bits."""
    gradient: NDArray[np.float64]
    """Mean squared difference of neighbouring grey levels, levels from 0 to 1."""
    compressed: NDArray[np.float64]
    """Bytes a pixel after lossless compression of the grey picture, at most 128 a side."""
    colourfulness: NDArray[np.float64]
    """Mean distance of the channels from their grey, 0 to 1; 0 for grey pictures."""

    @classmethod
    def of(cls, images: NDArray[np.uint8]) -> Content:
        """Measure pictures (N, H, W, C), uint8."""
        grey = images.mean(axis=-1, dtype=np.float32)
        level = grey / 255
        down, right = np.diff(level, axis=1), np.diff(level, axis=2)
        spread = np.abs(images - grey[..., None]).mean(axis=(1, 2, 3)) / 255
        rounded = np.rint(grey).astype(np.uint8)
        return cls(
            brightness=level.mean(axis=(1, 2)).astype(np.float64),
            contrast=level.std(axis=(1, 2)).astype(np.float64),
            entropy=np.array([_entropy(picture) for picture in rounded]),
            gradient=((down**2).mean(axis=(1, 2)) + (right**2).mean(axis=(1, 2))).astype(
                np.float64
            ),
            compressed=np.array([_compressed(picture) for picture in rounded]),
            colourfulness=spread.astype(np.float64),
        )

    @classmethod
    def joined(cls, parts: list[Content]) -> Content:
        """Join the figures of several batches."""
        if not parts:
            return cls(*(np.empty(0) for _ in cls._fields))
        return cls(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def border_ring(height: int, width: int) -> tuple[int, int, float]:
    """Return the ring's thickness in rows and in columns, and its share of the area."""
    top, left = max(1, round(BORDER * height)), max(1, round(BORDER * width))
    return top, left, 1 - (height - 2 * top) * (width - 2 * left) / (height * width)


def border_share(error_maps: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the share of each map's error (N, H, W) in its outer ring, 0 to 1.

    The ring is an eighth of the side wide and holds 44 % of a square picture's pixels. A map
    without any error has the share of its pixels.
    """
    height, width = error_maps.shape[1:]
    top, left, by_area = border_ring(height, width)
    inner = error_maps[:, top : height - top, left : width - left].sum((1, 2), dtype=np.float64)
    total = error_maps.sum((1, 2), dtype=np.float64)
    share: NDArray[np.float64] = np.full(len(total), by_area)
    np.divide(total - inner, total, out=share, where=total > 0)
    return share


def _entropy(grey: NDArray[np.uint8]) -> float:
    counts = np.bincount(grey.ravel(), minlength=256)
    shares = counts[counts > 0] / grey.size
    return float(-(shares * np.log2(shares)).sum())


def _compressed(grey: NDArray[np.uint8]) -> float:
    step = -(-max(grey.shape) // _MOST_SIDE)
    small = np.ascontiguousarray(grey[::step, ::step])
    # Differences to the left neighbour, as PNG's filter takes them.
    small[:, 1:] -= small[:, :-1].copy()
    return len(zlib.compress(small.tobytes(), 1)) / small.size
