"""``residual``: a deeper autoencoder of residual blocks in both halves.

The blocks are those of He, Zhang, Ren and Sun, "Deep residual learning for image recognition",
CVPR 2016, figures 2 and 5: two convolutions around which the input passes unchanged, or by a
projection where the shape changes. The source classifies; here the same blocks, mirrored, also
lead back from the code to the picture, with sub-pixel convolutions where the source has strides.

It takes pictures down by the same sizes as ``conv`` and to a code of the same size, so that what
it gains it owes to depth alone.
"""

from __future__ import annotations

from itertools import pairwise
from math import prod

from torch import Tensor, nn
from torch.nn import functional as F

from residua.errors import ConfigurationError
from residua.models.base import Loss
from residua.models.conv import GridAutoencoder, SubPixelUp, default_latent_dim, halvings
from residua.models.layers import StridedConv2d

_SMALL_SIDE = 64
_MOST_CHANNELS = 128
_MOST_BLOCKS = 100


class ResidualAutoencoder(GridAutoencoder):
    """Residual blocks down to a code of ``latent_dim`` numbers and back.

    Parameters
    ----------
    channels, height, width : int
        Shape of the pictures; any channels, sides of 8 to 1024 pixels.
    latent_dim : int or None, default=None
        Numbers in the code. None: as many as ``conv`` has.
    loss : {"mse", "bce"}, default="mse"
        Training loss.
    first_channels : int or None, default=None
        Channels of the first level; they double with each level, up to 128. None: 32, or 16 where
        a side is above 64 pixels.
    depth : int or None, default=None
        Levels of halving. None: until the longer side is at most 8.
    blocks : int, default=2
        Residual blocks of each level, in each half, up to 100; two convolutions each.
    """

    def __init__(
        self,
        channels: int,
        height: int,
        width: int,
        latent_dim: int | None = None,
        *,
        loss: Loss = "mse",
        first_channels: int | None = None,
        depth: int | None = None,
        blocks: int = 2,
    ) -> None:
        latent_dim = latent_dim or default_latent_dim(channels, height, width)
        super().__init__(channels, height, width, latent_dim, loss=loss)
        if not 1 <= blocks <= _MOST_BLOCKS:
            raise ConfigurationError(f"blocks is {blocks}; a level has 1 to {_MOST_BLOCKS}")
        sizes = halvings(height, width, depth)  # of each level, the picture's own first
        first = first_channels or (32 if max(height, width) <= _SMALL_SIDE else 16)
        self.first_channels, self.depth = first, len(sizes) - 1
        widths = [min(first << level, _MOST_CHANNELS) for level in range(self.depth)]
        self.grid = (widths[-1], *sizes[-1])

        down: list[nn.Module] = [_conv(channels, first, stride=2), nn.BatchNorm2d(first), nn.ReLU()]
        for level, (c_in, c_out) in enumerate(pairwise([first, *widths])):
            # The first convolution has halved once.
            down += [ResidualBlock(c_in, c_out, stride=2 if level else 1)]
            down += [ResidualBlock(c_out, c_out) for _ in range(blocks - 1)]
        self.encoder = nn.Sequential(*down)  # (B, C, H, W) -> (B, *grid)
        self.to_code = nn.Linear(prod(self.grid), latent_dim)

        self.from_code = nn.Linear(latent_dim, prod(self.grid))
        up: list[nn.Module] = []
        for level in range(self.depth, 0, -1):
            c_in, c_out = widths[level - 1], widths[max(level - 2, 0)]
            up += [ResidualBlock(c_in, c_in) for _ in range(blocks - 1)]
            if level > 1:
                up += [ResidualUp(c_in, c_out, sizes[level - 1])]
            else:
                up += [ResidualBlock(c_in, c_out)]
        self.decoder = nn.Sequential(*up, SubPixelUp(first, channels, sizes[0]))


class ResidualBlock(nn.Module):
    """Two convolutions and a way around them (the source's equations 1 and 2).

    Parameters
    ----------
    c_in, c_out : int
        Channels before and after.
    stride : int, default=1
        2 halves height and width, odd ones rounded up.
    """

    def __init__(self, c_in: int, c_out: int, *, stride: int = 1) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            _conv(c_in, c_out, stride=stride),
            nn.BatchNorm2d(c_out),
            nn.ReLU(),
            _conv(c_out, c_out),
            nn.BatchNorm2d(c_out),
        )
        self.around = (
            nn.Identity()
            if stride == 1 and c_in == c_out
            else nn.Sequential(
                StridedConv2d(c_in, c_out, 1, stride=stride, bias=False), nn.BatchNorm2d(c_out)
            )
        )

    def forward(self, x: Tensor) -> Tensor:
        """Turn (B, c_in, h, w) into (B, c_out, h / stride, w / stride)."""
        return F.relu(self.layers(x) + self.around(x))


class ResidualUp(nn.Module):
    """A residual block that doubles height and width.

    Parameters
    ----------
    c_in, c_out : int
        Channels before and after.
    size : (int, int)
        Rows and columns to crop to, where the old size was an odd one rounded up.
    """

    def __init__(self, c_in: int, c_out: int, size: tuple[int, int]) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            SubPixelUp(c_in, c_out, size),
            nn.BatchNorm2d(c_out),
            nn.ReLU(),
            _conv(c_out, c_out),
            nn.BatchNorm2d(c_out),
        )
        self.around = nn.Sequential(
            nn.Conv2d(c_in, c_out, 1, bias=False),
            nn.BatchNorm2d(c_out),
            nn.Upsample(scale_factor=2),
        )
        self.height, self.width = size

    def forward(self, x: Tensor) -> Tensor:
        """Turn (B, c_in, h, w) into (B, c_out, height, width)."""
        around = self.around(x)[:, :, : self.height, : self.width]
        return F.relu(self.layers(x) + around)


def _conv(c_in: int, c_out: int, *, stride: int = 1) -> nn.Conv2d:
    # No bias: each is followed by a batch normalisation, which has one.
    kind = nn.Conv2d if stride == 1 else StridedConv2d
    return kind(c_in, c_out, 3, stride=stride, padding=1, bias=False)
