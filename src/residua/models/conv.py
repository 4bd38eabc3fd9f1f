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
from torch.nn import functional as F

from residua.errors import ConfigurationError
from residua.models.base import Autoencoder, Loss

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
        code: Tensor = self.to_code(self.encoder(x).flatten(1))
        return code

    def decode(self, latent: Tensor) -> Tensor:
        """Turn codes (B, D) into logits of pictures (B, C, H, W)."""
        logits: Tensor = self.decoder(self.from_code(latent).reshape(-1, *self.grid))
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
    ) -> None:
        latent_dim = latent_dim or default_latent_dim(channels, height, width)
        super().__init__(channels, height, width, latent_dim, loss=loss)
        sizes = halvings(height, width, depth)  # of each level, the picture's own first
        first = first_channels or (32 if max(height, width) <= _SMALL_SIDE else 16)
        self.first_channels, self.depth = first, len(sizes) - 1
        widths = [channels] + [min(first << i, _MOST_CHANNELS) for i in range(len(sizes) - 1)]
        self.grid = (widths[-1], *sizes[-1])

        down: list[nn.Module] = []
        for c_in, c_out in pairwise(widths):
            down += [_conv(c_in, c_out, stride=2), nn.BatchNorm2d(c_out), _activation()]
        self.encoder = nn.Sequential(*down)  # (B, C, H, W) -> (B, *grid)
        self.to_code = nn.Linear(prod(self.grid), latent_dim)

        self.from_code = nn.Linear(latent_dim, prod(self.grid))
        up: list[nn.Module] = []
        for level in range(len(sizes) - 1, 1, -1):
            c_in, c_out = widths[level], widths[level - 1]
            up += [SubPixelUp(c_in, c_out, sizes[level - 1]), nn.BatchNorm2d(c_out), _activation()]
        up += [_conv(widths[1], widths[1]), nn.BatchNorm2d(widths[1]), _activation()]
        self.decoder = nn.Sequential(*up, SubPixelUp(widths[1], channels, sizes[0]))


class SubPixelUp(nn.Module):
    """Doubles height and width by a convolution that computes all four new pixels of each old one.

    Parameters
    ----------
    c_in, c_out : int
        Channels before and after.
    size : (int, int)
        Rows and columns to crop to, where the old size was an odd one rounded up.
    """

    def __init__(self, c_in: int, c_out: int, size: tuple[int, int]) -> None:
        super().__init__()
        self.conv = _conv(c_in, 4 * c_out)
        self.height, self.width = size

    def forward(self, x: Tensor) -> Tensor:
        """Turn (B, c_in, h, w) into (B, c_out, height, width)."""
        doubled = F.pixel_shuffle(self.conv(x), 2)
        return doubled[:, :, : self.height, : self.width]


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
    return nn.Conv2d(c_in, c_out, 3, stride=stride, padding=1)


def _activation() -> nn.Module:
    return nn.LeakyReLU(0.1)
