"""``seed-caltech``: the convolutional autoencoder of the Caltech-101 report.

Strided convolutions to a code of ``encoding_dim`` numbers, transposed convolutions back: the
report's ``create_autoencoder(input_shape, encoding_dim)``. Its four stages of refinement differ in
the options below. Weights start as Keras starts them (Glorot and Bengio, 2010).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import ceil, prod

from torch import Tensor, nn

from residua.errors import ConfigurationError
from residua.models.base import Autoencoder, Loss
from residua.models.layers import Doubling, StridedConv2d, to_grid, to_rows
from residua.models.seed_mnist import start_as_keras

DEFAULT_CODE = 128


class SeedCaltech(Autoencoder):
    """Convolutions of stride 2, a linear code, transposed convolutions of stride 2.

    Parameters
    ----------
    channels, height, width : int
        Shape of the pictures. What the last level rounds up is cropped from the reconstruction.
    latent_dim : int or None, default=None
        Numbers in the code, the report's ``encoding_dim``. None: 128.
    loss : {"mse", "bce"}, default="mse"
        As in the report: mean squared error.
    widths : sequence of int, default=(16, 32, 64)
        Channels of each level; each level halves height and width.
    batch_norm : bool, default=False
        Whether each convolution but the last is normalised over the batch (Ioffe and Szegedy,
        2015).
    """

    def __init__(
        self,
        channels: int,
        height: int,
        width: int,
        latent_dim: int | None = None,
        *,
        loss: Loss = "mse",
        widths: Sequence[int] = (16, 32, 64),
        batch_norm: bool = False,
    ) -> None:
        if not widths or min(widths) < 1:
            raise ConfigurationError(
                f"seed-caltech: widths are {tuple(widths)}; wanted one or more positive numbers"
            )
        super().__init__(channels, height, width, latent_dim or DEFAULT_CODE, loss=loss)
        stride = 2 ** len(widths)
        self.grid = (widths[-1], ceil(height / stride), ceil(width / stride))

        def block(layer: nn.Module, c_out: int) -> list[nn.Module]:
            return [layer, *([nn.BatchNorm2d(c_out)] if batch_norm else []), nn.ReLU()]

        down: list[nn.Module] = []
        for c_in, c_out in pairwise((channels, *widths)):
            down += block(StridedConv2d(c_in, c_out, 3, stride=2, padding=1), c_out)
        self.encoder = nn.Sequential(*down)  # (B, C, H, W) -> (B, *grid)
        self.to_code = nn.Linear(prod(self.grid), self.latent_dim)

        self.from_code = nn.Linear(self.latent_dim, prod(self.grid))
        up: list[nn.Module] = [nn.ReLU()]
        for c_in, c_out in pairwise(reversed(widths)):
            up += block(Doubling(c_in, c_out), c_out)
        self.decoder = nn.Sequential(*up, Doubling(widths[0], channels))
        self.apply(start_as_keras)

    def encode(self, x: Tensor) -> Tensor:
        """Turn pictures (B, C, H, W) into codes (B, D)."""
        code: Tensor = self.to_code(to_rows(self.encoder(x)))
        return code

    def decode(self, latent: Tensor) -> Tensor:
        """Turn codes (B, D) into logits of pictures (B, C, H, W)."""
        logits: Tensor = self.decoder(to_grid(self.from_code(latent), self.grid))
        return logits[:, :, : self.height, : self.width]


def create_autoencoder(input_shape: tuple[int, int, int], encoding_dim: int) -> SeedCaltech:
    """Build the network as the report does.

    Parameters
    ----------
    input_shape : (int, int, int)
        Height, width and channels.
    encoding_dim : int
        Numbers in the code.
    """
    height, width, channels = input_shape
    return SeedCaltech(channels, height, width, encoding_dim)
