"""``seed-mnist``: the convolutional autoencoder of the MNIST / Fashion-MNIST report.

Convolutions with max-pooling, then convolutions with up-sampling, the textbook autoencoder of
Keras tutorials; weights start as Keras starts them (Glorot and Bengio, 2010). Its code of
64 x H/4 x W/4 numbers is four times as large as a grey picture: not a bottleneck. It is kept
because the report's figures rest on it, and because its failure (it measures how much grey a
picture has) has to be reproducible.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from residua.errors import ConfigurationError
from residua.models.base import Autoencoder, Loss
from residua.models.layers import to_grid, to_rows


class SeedMnist(Autoencoder):
    """Convolutions of 32 and 64 channels with max-pooling; 64 and 32 with up-sampling.

    Parameters
    ----------
    channels, height, width : int
        Shape of the pictures. Height and width must be multiples of 4.
    latent_dim : None
        The code's size follows from the picture's; anything else is refused.
    loss : {"bce", "mse"}, default="bce"
        As in the report: binary cross-entropy.
    """

    def __init__(
        self,
        channels: int,
        height: int,
        width: int,
        latent_dim: int | None = None,
        *,
        loss: Loss = "bce",
    ) -> None:
        if height % 4 or width % 4:
            raise ConfigurationError(
                f"seed-mnist halves the picture twice and needs sides that are multiples of 4, "
                f"not {height} x {width}; set another image size or use the model 'conv'"
            )
        code = 64 * (height // 4) * (width // 4)
        if latent_dim not in (None, code):
            raise ConfigurationError(
                f"seed-mnist has a code of {code} numbers at {height} x {width}, which cannot be "
                f"set to {latent_dim}; use the model 'conv' to choose the code's size"
            )
        super().__init__(channels, height, width, code, loss=loss)
        self.encoder = nn.Sequential(  # (B, C, H, W)
            nn.Conv2d(channels, 32, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),  # (B, 32, H/2, W/2)
            nn.Conv2d(32, 64, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),  # (B, 64, H/4, W/4)
        )
        self.decoder = nn.Sequential(
            nn.Conv2d(64, 64, 3, padding=1),
            nn.ReLU(),
            nn.Upsample(scale_factor=2),  # (B, 64, H/2, W/2)
            nn.Conv2d(64, 32, 3, padding=1),
            nn.ReLU(),
            nn.Upsample(scale_factor=2),  # (B, 32, H, W)
            nn.Conv2d(32, channels, 3, padding=1),
        )
        self.apply(start_as_keras)

    def encode(self, x: Tensor) -> Tensor:
        """Turn pictures (B, C, H, W) into codes (B, 64 · H/4 · W/4)."""
        return to_rows(self.encoder(x))

    def decode(self, latent: Tensor) -> Tensor:
        """Turn codes into logits of pictures (B, C, H, W)."""
        grid = (64, self.height // 4, self.width // 4)
        logits: Tensor = self.decoder(to_grid(latent, grid))
        return logits


def start_as_keras(layer: nn.Module) -> None:
    """Draw the weights of a layer as Keras does: Glorot-uniform, and no bias."""
    if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
        nn.init.xavier_uniform_(layer.weight)
        assert layer.bias is not None
        torch.nn.init.zeros_(layer.bias)
