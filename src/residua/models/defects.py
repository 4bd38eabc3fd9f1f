"""Synthetic defects, laid on a batch of normal pictures in torch, all pictures at once.

Regions cut out of Perlin noise and filled with a foreign texture are those of Zavrtanik, Kristan
and Skočaj, "DRÆM: a discriminatively trained reconstruction embedding for surface anomaly
detection", ICCV 2021; pasted rectangles are those of Li, Sohn, Yoon and Pfister, "CutPaste:
self-supervised learning for anomaly detection and localization", CVPR 2021. The source's textures
are photographs of a data set of their own; here they are other pictures of the batch, moved,
mirrored and recoloured, so that nothing has to be downloaded.

Randomness is drawn from torch's global generator.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

# Where the noise, in [-1, 1], is above this, a region lies: about a tenth of the picture.
_NOISE_LEVEL = 0.35
# Cells of the coarsest noise along a side, and pixels of the smallest cell of the finest.
_FEWEST_CELLS = 2
_SMALLEST_CELL = 4
_RECTANGLE_SIDES = (0.08, 0.4)
_OPACITY = (0.2, 1.0)


def with_defects(x: Tensor, share: float) -> tuple[Tensor, Tensor]:
    """Lay a defect on some pictures of a batch.

    Parameters
    ----------
    x : Tensor of shape (B, C, H, W), in [0, 1]
    share : float
        Probability that a picture gets a defect, in [0, 1].

    Returns
    -------
    defective : Tensor of shape (B, C, H, W), in [0, 1]
    mask : Tensor of shape (B, 1, H, W)
        1 where a defect lies, else 0.
    """
    count, _, height, width = x.shape
    noise = perlin_noise(count, height, width, x.device)
    ragged = noise > _NOISE_LEVEL
    dice = torch.rand(2, count, 1, 1, device=x.device)
    region = torch.where(dice[0] < 0.5, ragged, _rectangles(count, height, width, x.device))
    mask = (region & (dice[1] < share)).unsqueeze(1).to(x.dtype)
    opacity = _uniform(_OPACITY, count, x.device).unsqueeze(1)
    return x + mask * opacity * (_textures(x) - x), mask


def perlin_noise(count: int, height: int, width: int, device: torch.device) -> Tensor:
    """Draw gradient noise, (count, H, W) in [-1, 1], of one random fineness for all.

    Perlin, "An image synthesizer", SIGGRAPH 1985, with the smooth step of "Improving noise",
    SIGGRAPH 2002.
    """
    rows, columns = _cells(height), _cells(width)
    angle = 2 * math.pi * torch.rand(count, rows + 1, columns + 1, device=device)
    slopes = angle.sin(), angle.cos()  # of each corner, along rows and columns
    i, y = _within_cells(height, rows, device)
    j, x = _within_cells(width, columns, device)
    y, smooth_y = y.unsqueeze(1), _smooth(y).unsqueeze(1)
    corners = [
        [
            slopes[0][:, i + below][:, :, j + right] * (y - below)
            + slopes[1][:, i + below][:, :, j + right] * (x - right)
            for right in (0, 1)
        ]
        for below in (0, 1)
    ]
    upper, lower = (torch.lerp(left, right, _smooth(x)) for left, right in corners)
    # A corner's slope has length 1, so that half a cell away from four of them is √½ the most.
    return math.sqrt(2) * (upper + smooth_y * (lower - upper))


def _cells(side: int) -> int:
    most = max(side // _SMALLEST_CELL, _FEWEST_CELLS)
    powers = int(math.log2(most / _FEWEST_CELLS)) + 1
    # On the processor, whatever the default device: the number is needed here.
    return _FEWEST_CELLS << int(torch.randint(powers, (), device="cpu"))


def _within_cells(side: int, cells: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Cell of each pixel along a side, and its place in the cell, in [0, 1)."""
    place = (torch.arange(side, device=device) + 0.5) * (cells / side)
    cell = place.floor()
    return cell.long(), place - cell


def _smooth(t: Tensor) -> Tensor:
    return t**3 * (t * (t * 6 - 15) + 10)


def _rectangles(count: int, height: int, width: int, device: torch.device) -> Tensor:
    """Rectangles (count, H, W), each of its own size and place."""

    def band(side: int) -> Tensor:
        size = _uniform(_RECTANGLE_SIDES, count, device).flatten()
        centre = torch.rand(count, device=device)
        place = (torch.arange(side, device=device) + 0.5) / side
        return (place - centre.unsqueeze(1)).abs() <= 0.5 * size.unsqueeze(1)

    return band(height).unsqueeze(2) & band(width).unsqueeze(1)


def _textures(x: Tensor) -> Tensor:
    """Other pictures of the batch, moved, mirrored and with other contrast, level and colour."""
    count, channels, height, width = x.shape
    down, right = (int(torch.randint(1, side, (), device="cpu")) for side in (height, width))
    other = x[torch.randperm(count, device=x.device)].roll((down, right), (2, 3)).flip(3)
    contrast = _uniform((-1.5, 1.5), count, x.device).unsqueeze(1)
    level = torch.rand(count, channels, 1, 1, device=x.device)
    return (level + contrast * (other - 0.5)).clamp(0, 1)


def _uniform(bounds: tuple[float, float], count: int, device: torch.device) -> Tensor:
    low, high = bounds
    return low + (high - low) * torch.rand(count, 1, 1, device=device)
