"""Smooth random fields, thresholded to the ragged regions of synthetic defects.

Perlin, "An image synthesizer", SIGGRAPH 1985; as masks of defects: Zavrtanik, Kristan and Skočaj,
"DRAEM: a discriminatively trained reconstruction embedding for surface anomaly detection",
ICCV 2021.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def perlin(height: int, width: int, cells: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return gradient noise (H, W) of ``cells`` cells to each side, about 0, within (-1, 1)."""
    angles = rng.uniform(0, 2 * np.pi, (cells + 1, cells + 1))
    gradients = np.stack([np.sin(angles), np.cos(angles)])  # (2, cells + 1, cells + 1)
    y, x = (
        np.linspace(0, cells, side, endpoint=False) + cells / (2 * side) for side in (height, width)
    )
    row, column = y.astype(np.int64), x.astype(np.int64)
    v, u = (y - row)[:, None], (x - column)[None, :]

    def towards(down: int, right: int) -> NDArray[np.float64]:
        g = gradients[:, row + down][:, :, column + right]  # (2, H, W)
        product: NDArray[np.float64] = g[0] * (v - down) + g[1] * (u - right)
        return product

    across, along = _fade(u), _fade(v)
    top = towards(0, 0) * (1 - across) + towards(0, 1) * across
    bottom = towards(1, 0) * (1 - across) + towards(1, 1) * across
    field: NDArray[np.float64] = top * (1 - along) + bottom * along
    return field


def ragged_region(
    height: int, width: int, share: float, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """Return a region (H, W) of blobs that covers about ``share`` of the picture."""
    field = perlin(height, width, int(rng.integers(2, 5)), rng)
    return field > np.quantile(field, 1 - share)


def _fade(t: NDArray[np.float64]) -> NDArray[np.float64]:
    smooth: NDArray[np.float64] = t**3 * (t * (6 * t - 15) + 10)
    return smooth
