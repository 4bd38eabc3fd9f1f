"""``conv``: the default convolutional autoencoder, with a true bottleneck.

Strided convolutions halve the picture until its longer side is at most 8, a linear layer makes
the code, and the decoder mirrors the way back with nearest-neighbour up-sampling before each
convolution, which leaves no checkerboard (Odena, Dumoulin and Olah, "Deconvolution and
checkerboard artifacts", Distill 2016). Batch normalisation (Ioffe and Szegedy, 2015) and leaky
rectifiers keep units from dying, the quiet failure of plain networks.

A code far smaller than the picture is what makes the error mean something: a network that can
copy its input rebuilds the foreign as well as the familiar.
"""

from __future__ import annotations

from itertools import pairwise
from math import log2, prod, sqrt

from torch import Tensor, nn

from residua.models.base import Autoencoder, Loss

_SMALLEST_GRID = 8
_MAX_CODE = 256


class ConvAutoencoder(Autoencoder):
    """Strided convolutions to a code of ``latent_dim`` numbers and back.

    Parameters
    ----------
    channels, height, width : int
        Shape of the pictures; any channels, sides of 8 to 1024 pixels.
    latent_dim : int or None, default=None
        Numbers in the code. None: the power of two nearest to the square root of the number of
        values in the picture, at most 256 (32 for 28 x 28, 128 for 128 x 128).
    loss : {"mse", "bce"}, default="mse"
        Training loss.
    width_factor : int, default=32
        Channels of the first level; they double with each level up to four times as many.
    """

    def __init__(
        self,
        channels: int,
        height: int,
        width: int,
        latent_dim: int | None = None,
        *,
        loss: Loss = "mse",
        width_factor: int = 32,
    ) -> None:
        latent_dim = latent_dim or default_latent_dim(channels, height, width)
        super().__init__(channels, height, width, latent_dim, loss=loss)
        sizes = _halvings(height, width)  # of each level, the picture's own first
        widths = [channels] + [width_factor * min(2**i, 4) for i in range(len(sizes) - 1)]
        self.grid = (widths[-1], *sizes[-1])

        down: list[nn.Module] = []
        for c_in, c_out in pairwise(widths):
            down += [_conv(c_in, c_out, stride=2), nn.BatchNorm2d(c_out), _activation()]
        self.encoder = nn.Sequential(*down)  # (B, C, H, W) -> (B, *grid)
        self.to_code = nn.Linear(prod(self.grid), latent_dim)

        self.from_code = nn.Linear(latent_dim, prod(self.grid))
        up: list[nn.Module] = []
        for level in range(len(sizes) - 1, 0, -1):
            c_in, c_out = widths[level], max(widths[level - 1], width_factor)
            up += [_conv(c_in, c_out), nn.BatchNorm2d(c_out), _activation()]
            up += [nn.Upsample(size=sizes[level - 1])]
        self.decoder = nn.Sequential(*up, _conv(width_factor, channels))

    def encode(self, x: Tensor) -> Tensor:
        """Turn pictures (B, C, H, W) into codes (B, D)."""
        code: Tensor = self.to_code(self.encoder(x).flatten(1))
        return code

    def decode(self, latent: Tensor) -> Tensor:
        """Turn codes (B, D) into logits of pictures (B, C, H, W)."""
        logits: Tensor = self.decoder(self.from_code(latent).reshape(-1, *self.grid))
        return logits


def default_latent_dim(channels: int, height: int, width: int) -> int:
    """Return the code's size that suits a picture: about the root of its number of values."""
    root = sqrt(channels * height * width)
    return min(1 << round(log2(root)), _MAX_CODE)


def _halvings(height: int, width: int) -> list[tuple[int, int]]:
    """Sizes from the picture's own down to a grid whose longer side is at most 8."""
    sizes = [(height, width)]
    while max(sizes[-1]) > _SMALLEST_GRID or len(sizes) == 1:
        h, w = sizes[-1]
        sizes.append(((h + 1) // 2, (w + 1) // 2))
    return sizes


def _conv(c_in: int, c_out: int, *, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(c_in, c_out, 3, stride=stride, padding=1)


def _activation() -> nn.Module:
    return nn.LeakyReLU(0.1)
