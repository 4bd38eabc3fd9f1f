"""``denoising``: ``conv``, trained to rebuild clean pictures from noisy ones.

Vincent, Larochelle, Bengio and Manzagol, "Extracting and composing robust features with denoising
autoencoders", ICML 2008 (masking noise), and Vincent et al., "Stacked denoising autoencoders",
JMLR 11, 2010 (Gaussian noise): a network that must undo what was done to a picture has to know
what such pictures look like, where one that may copy need not. The source stacks layers that are
trained one by one; here the convolutional body of ``conv`` is trained at once.

There is no noise in scoring: a picture has one score.
"""

from __future__ import annotations

import torch
from torch import Tensor

from residua.errors import ConfigurationError
from residua.models.base import Loss
from residua.models.conv import ConvAutoencoder


class DenoisingAutoencoder(ConvAutoencoder):
    """The network of ``conv``, shown noisy pictures and asked for the clean ones.

    Parameters
    ----------
    channels, height, width, latent_dim, loss, first_channels, depth
        As `ConvAutoencoder` has them.
    noise_std : float, default=0.2
        Standard deviation of the Gaussian noise, where a pixel is in [0, 1]. 0: none.
    masked_share : float, default=0.1
        Probability, in [0, 1), that a value is set to 0, after the noise. 0: none.
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
        noise_std: float = 0.2,
        masked_share: float = 0.1,
    ) -> None:
        super().__init__(
            channels,
            height,
            width,
            latent_dim,
            loss=loss,
            first_channels=first_channels,
            depth=depth,
        )
        if noise_std < 0:
            raise ConfigurationError(f"noise_std is {noise_std}; it must be at least 0")
        if not 0 <= masked_share < 1:
            raise ConfigurationError(
                f"masked_share is {masked_share}; it must be at least 0 and below 1"
            )
        self.noise_std, self.masked_share = noise_std, masked_share

    def training_losses(self, x: Tensor) -> dict[str, Tensor]:
        """Loss of the clean pictures (B, C, H, W), rebuilt from noisy ones while in training."""
        seen = self.corrupt(x) if self.training else x
        return {"loss": self.rebuilding_loss(self.decode(self.encode(seen)), x)}

    def corrupt(self, x: Tensor) -> Tensor:
        """Add the noise to pictures (B, C, H, W); what leaves [0, 1] stays outside."""
        if self.noise_std:
            x = x + self.noise_std * torch.randn_like(x)
        if self.masked_share:
            x = x * (torch.rand_like(x) >= self.masked_share)
        return x
