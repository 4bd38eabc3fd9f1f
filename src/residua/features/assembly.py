"""Feature maps of several sizes to one row of numbers: the maps on one grid, and the descriptor.

Multi-scale features on one grid: Yang, Shi and Qi, "DFR: deep feature reconstruction for
unsupervised anomaly segmentation", Neurocomputing 424, 2021.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_TINY = 1e-6
# Rows are kept in half precision while a model is trained; what lies further out than this many
# deviations is cut.
_FURTHEST = 1e3


class Assembly(nn.Module):
    """Brings maps to one grid, and every channel to mean 0 and deviation 1 over normal pictures.

    Parameters
    ----------
    channels : sequence of int
        Channels of each map.
    descriptor : int
        Numbers in the descriptor, D.
    grid : (int, int)
        Rows and columns of the grid, h, w.

    Attributes
    ----------
    width : int
        Numbers in a row: the sum of the channels, times h times w, and D.
    """

    map_mean: Tensor
    map_scale: Tensor
    mean: Tensor
    scale: Tensor

    def __init__(self, channels: Sequence[int], descriptor: int, grid: tuple[int, int]) -> None:
        super().__init__()
        self.channels, self.grid = sum(channels), grid
        self.descriptor = descriptor
        self.width = self.channels * grid[0] * grid[1] + descriptor
        self.register_buffer("map_mean", torch.zeros(1, self.channels, 1, 1))
        self.register_buffer("map_scale", torch.ones(1, self.channels, 1, 1))
        self.register_buffer("mean", torch.zeros(1, descriptor))
        self.register_buffer("scale", torch.ones(1, descriptor))

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Turn maps (B, C, h, w), and a descriptor (B, D) behind them, into rows (B, width)."""
        maps, descriptor = self._gathered(features)
        maps = (maps - self.map_mean) / self.map_scale
        descriptor = (descriptor - self.mean) / self.scale
        row = torch.cat([maps.flatten(1), descriptor], dim=1)
        # Not rounded here: a last digit that differs between machines would become one of half.
        return row.clamp(-_FURTHEST, _FURTHEST)

    def fit(self, batches: Iterable[Sequence[Tensor]]) -> None:
        """Take mean and deviation of each channel from the features of normal pictures."""
        sums = [torch.zeros(n, dtype=torch.float64) for n in (self.channels, self.descriptor) * 2]
        count = 0
        for features in batches:
            maps, descriptor = (part.double() for part in self._gathered(features))
            count += len(maps)
            for total, part in zip(
                sums,
                (
                    maps.mean((2, 3)).sum(0),
                    descriptor.sum(0),
                    maps.square().mean((2, 3)).sum(0),
                    descriptor.square().sum(0),
                ),
                strict=True,
            ):
                total += part
        map_mean, mean, map_square, square = (total / count for total in sums)
        self.map_mean.copy_(map_mean.reshape(1, -1, 1, 1))
        self.mean.copy_(mean.reshape(1, -1))
        self.map_scale.copy_(_deviation(map_mean, map_square).reshape(1, -1, 1, 1))
        self.scale.copy_(_deviation(mean, square).reshape(1, -1))

    def _gathered(self, features: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        given = len(features)
        maps = [feature for feature in features if feature.ndim == 4]
        gathered = torch.cat([_on_grid(feature, self.grid) for feature in maps], dim=1)
        descriptor = features[-1] if given > len(maps) else maps[-1].mean((2, 3))
        return gathered, descriptor


def _deviation(mean: Tensor, square: Tensor) -> Tensor:
    # A channel that never varies is left as it is: at 0.
    deviation = (square - mean.square()).clamp_min(0).sqrt()
    return torch.where(deviation > _TINY, deviation, torch.ones_like(deviation))


def _on_grid(feature: Tensor, grid: tuple[int, int]) -> Tensor:
    """Bring a map (B, C, h, w) to a grid: means of blocks where it is finer, else interpolated."""
    height, width = int(feature.shape[2]), int(feature.shape[3])
    if (height, width) == grid:
        return feature
    if height % grid[0] == 0 and width % grid[1] == 0:
        return F.avg_pool2d(feature, (height // grid[0], width // grid[1]))
    return F.interpolate(feature, size=grid, mode="bilinear", align_corners=False)
