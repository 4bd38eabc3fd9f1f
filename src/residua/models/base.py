"""What every network offers: a reconstruction with its code, and its own training losses."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from residua.errors import ConfigurationError, UnknownName

Loss = Literal["mse", "bce"]


class Reconstruction(NamedTuple):
    """A batch of pictures as the network rebuilds it."""

    x_hat: Tensor
    """The rebuilt pictures, (B, C, H, W), float in [0, 1]."""
    latent: Tensor
    """The codes from which they were rebuilt, flattened, (B, D)."""


def to_network(images: Tensor) -> Tensor:
    """Scale uint8 pictures (B, H, W, C) to float (B, C, H, W) in [0, 1].

    The result lies in memory as it came, channels last, the faster layout for convolutions.
    """
    return images.permute(0, 3, 1, 2).float() / 255


class Autoencoder(nn.Module, ABC):
    """Base of the networks: pictures to a code, and the code to logits of pictures.

    Parameters
    ----------
    channels, height, width : int
        Shape of the pictures, C, H, W.
    latent_dim : int
        Numbers in the code, D.
    loss : {"mse", "bce"}, default="mse"
        Mean squared error, or binary cross-entropy that reads the pixels as probabilities.
    """

    def __init__(
        self, channels: int, height: int, width: int, latent_dim: int, *, loss: Loss = "mse"
    ) -> None:
        super().__init__()
        if loss not in get_args(Loss):
            raise UnknownName.among("loss", loss, get_args(Loss))
        if latent_dim < 1:
            raise ConfigurationError(f"latent_dim is {latent_dim}; a code has at least 1 number")
        self.channels, self.height, self.width = channels, height, width
        self.latent_dim = latent_dim
        self.loss: Loss = loss

    @abstractmethod
    def encode(self, x: Tensor) -> Tensor:
        """Turn pictures (B, C, H, W) in [0, 1] into codes (B, D)."""

    @abstractmethod
    def decode(self, latent: Tensor) -> Tensor:
        """Turn codes (B, D) into logits of pictures (B, C, H, W)."""

    def forward(self, x: Tensor) -> Reconstruction:
        """Rebuild pictures (B, C, H, W), float in [0, 1]."""
        latent = self.encode(x)
        return Reconstruction(torch.sigmoid(self.decode(latent).float()), latent.float())

    def training_losses(self, x: Tensor) -> dict[str, Tensor]:
        """Scalar losses of a batch (B, C, H, W) in [0, 1]; ``"loss"`` is the one to minimise."""
        # Losses are taken in float32 whatever the precision of the layers: bf16 has 3 digits.
        logits = self.decode(self.encode(x)).float()
        if self.loss == "bce":
            return {"loss": F.binary_cross_entropy_with_logits(logits, x)}
        return {"loss": F.mse_loss(torch.sigmoid(logits), x)}
