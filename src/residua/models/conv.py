"""``conv``: the default convolutional autoencoder, with a true bottleneck.

Strided convolutions halve the picture until its longer side is at most 8, a linear layer makes
the code, and sub-pixel convolutions (Shi et al., "Real-time single image and video
super-resolution using an efficient sub-pixel convolutional neural network", CVPR 2016) double it
back. Batch normalisation (Ioffe and Szegedy, 2015) and leaky rectifiers keep units from dying, the
quiet failure of plain networks.

A code far smaller than the picture is what makes the error mean something: a network that can
copy its input rebuilds the foreign as well as the familiar.
"""

from __future__ import annotations

from itertools import pairwise
from math import log2, prod, sqrt

from torch import Tensor, nn

from residua.errors import ConfigurationError
from residua.models.base import Autoencoder, Loss
from residua.models.layers import StridedConv2d, sub_pixel, to_grid, to_rows

_SMALLEST_GRID = 8
_LEAST_CODE, _MAX_CODE = 16, 128
_SMALL_SIDE = 64
_MOST_CHANNELS = 128


class GridAutoencoder(Autoencoder):
    """Base of networks whose code is a linear image of a small grid of channels.

    A subclass sets ``encoder`` (B, C, H, W) to (B, *grid), ``to_code``, ``from_code``, ``decoder``
    (B, *grid) to logits of pictures, and ``grid``: channels, rows and columns.
    """

    encoder: nn.Module
    to_code: nn.Linear
    from_code: nn.Linear
    decoder: nn.Module
    grid: tuple[int, int, int]

    def encode(self, x: Tensor) -> Tensor:
        """Turn pictures (B, C, H, W) into codes (B, D)."""
        code: Tensor = self.to_code(to_rows(self.encoder(x)))
        return code

    def decode(self, latent: Tensor) -> Tensor:
        """Turn codes (B, D) into logits of pictures (B, C, H, W)."""
        logits: Tensor = self.decoder(to_grid(self.from_code(latent), self.grid))
        return logits


class ConvAutoencoder(GridAutoencoder):
    """Strided convolutions to a code of ``latent_dim`` numbers and back.

    Parameters
    ----------
    channels, height, width : int
        Shape of the pictures; any channels, sides of 8 to 1024 pixels.
    latent_dim : int or None, default=None
        Numbers in the code. None: half the power of two nearest to the square root of the number
        of values in the picture, from 16 to 128 (16 for 28 x 28, 64 for 128 x 128), and at most a
        quarter of their number.
    loss : {"mse", "bce"}, default="mse"
        Training loss.
    first_channels : int or None, default=None
        Channels of the first level; they double with each level, up to 128. None: 32, or 16 where
        a side is above 64 pixels, since the first levels cost most there.
    depth : int or None, default=None
        Levels of halving, from 1 to as many as leave one pixel of the longer side. None: until
        the longer side is at most 8.
    stem : {2, 4}, default=2
        By what the first convolution divides the sides, and the last one multiplies them. 4 counts
        as two levels of the depth; large pictures are scored three times as fast, and rebuilt
        somewhat less finely.
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
        stem: int = 2,
    ) -> None:
        latent_dim = latent_dim or default_latent_dim(channels, height, width)
        super().__init__(channels, height, width, latent_dim, loss=loss)
        levels = halvings(height, width, depth)
        if stem not in (2, 4) or stem // 2 >= len(levels):
            raise ConfigurationError(
                f"stem is {stem} with {len(levels) - 1} levels of halving; it must be 2, or 4 with "
                f"at least 2 levels"
            )
        self.first_channels = first_channels or (32 if max(height, width) <= _SMALL_SIDE else 16)
        self.depth = len(levels) - 1
        sizes = [levels[0], *levels[stem // 2 :]]  # of each level, the picture's own first
        widths = [min(self.first_channels << i, _MOST_CHANNELS) for i in range(len(sizes) - 1)]
        self.stem, self.grid = stem, (widths[-1], *sizes[-1])

        first = StridedConv2d(self.channels, widths[0], stem + 1, stride=stem, padding=stem // 2)
        down: list[nn.Module] = [first, nn.BatchNorm2d(widths[0]), _activation()]
        for c_in, c_out in pairwise(widths):
            down += [_conv(c_in, c_out, stride=2), nn.BatchNorm2d(c_out), _activation()]
        self.encoder = nn.Sequential(*down)  # (B, C, H, W) -> (B, *grid)
        self.to_code = nn.Linear(prod(self.grid), self.latent_dim)

        self.from_code = nn.Linear(self.latent_dim, prod(self.grid))
        up: list[nn.Module] = []
        for (c_in, c_out), size in zip(pairwise(widths[::-1]), sizes[-2:0:-1], strict=True):
            up += [SubPixelUp(c_in, c_out, size), nn.BatchNorm2d(c_out), _activation()]
        up += [_conv(widths[0], widths[0]), nn.BatchNorm2d(widths[0]), _activation()]
        self.decoder = nn.Sequential(*up, SubPixelUp(widths[0], self.channels, sizes[0], stem))


class SubPixelUp(nn.Module):
    """Multiplies height and width by a convolution that computes all new pixels of each old one.

    Parameters
    ----------
    c_in, c_out : int
        Channels before and after.
    size : (int, int)
        Rows and columns to crop to, where the old size was an odd one rounded up.
    factor : int, default=2
        New rows for each old one, and new columns.
    """

    def __init__(self, c_in: int, c_out: int, size: tuple[int, int], factor: int = 2) -> None:
        super().__init__()
        self.conv = _conv(c_in, factor**2 * c_out)
        self.factor = factor
        self.height, self.width = size

    def forward(self, x: Tensor) -> Tensor:
        """Turn (B, c_in, h, w) into (B, c_out, height, width)."""
        finer = sub_pixel(self.conv, x, self.factor)
        if self.height % self.factor or self.width % self.factor:
            finer = finer[:, :, : self.height, : self.width]
        return finer


def default_latent_dim(channels: int, height: int, width: int) -> int:
    """Return the code's size that suits a picture: about half the root of its number of values."""
    values = channels * height * width
    half_root = 1 << (round(log2(sqrt(values))) - 1)
    return min(max(half_root, _LEAST_CODE), _MAX_CODE, values // 4)


def halvings(height: int, width: int, depth: int | None) -> list[tuple[int, int]]:
    """Return sizes from the picture's own down; without a depth, to a longer side of at most 8.

    Raises
    ------
    ConfigurationError
        A depth that pictures of this size do not have.
    """
    most = (max(height, width) - 1).bit_length()
    if depth is not None and not 1 <= depth <= most:
        raise ConfigurationError(
            f"depth is {depth}; pictures of {height} x {width} can be halved from 1 to {most} times"
        )
    sizes = [(height, width)]
    while len(sizes) <= depth if depth else max(sizes[-1]) > _SMALLEST_GRID or len(sizes) == 1:
        h, w = sizes[-1]
        sizes.append(((h + 1) // 2, (w + 1) // 2))
    return sizes


def _conv(c_in: int, c_out: int, *, stride: int = 1) -> nn.Conv2d:
    kind = nn.Conv2d if stride == 1 else StridedConv2d
    return kind(c_in, c_out, 3, stride=stride, padding=1)


def _activation() -> nn.Module:
    return nn.LeakyReLU(0.1)
