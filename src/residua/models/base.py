"""What every network offers: a reconstruction with its code, and its own training losses."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager, nullcontext
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from residua.errors import ConfigurationError, UnknownName
from residua.models.layers import mean_squared_error

Loss = Literal["mse", "bce"]


class Reconstruction(NamedTuple):
    """A batch of pictures as the network rebuilds it."""

    x_hat: Tensor
    """The rebuilt pictures, (B, C, H, W), float in [0, 1]."""
    latent: Tensor
    """The codes from which they were rebuilt, flattened, (B, D)."""


def to_network(images: Tensor) -> Tensor:
    """Scale uint8 pictures (B, H, W, C) to float (B, C, H, W) in [0, 1].

    The result lies in memory as it came, channels last, the faster layout for convolutions. What
    comes as floats, features in rows (B, N), is passed on in float32.
    """
    if images.is_floating_point():
        return images.float()
    return images.permute(0, 3, 1, 2).float() / 255


def in_float32(x: Tensor) -> AbstractContextManager[object]:
    """Return a context in which products of what lies where ``x`` does are not taken in bf16."""
    kind = x.device.type
    if torch.amp.is_autocast_available(kind):
        return torch.autocast(kind, enabled=False)
    return nullcontext()


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
        """Scalar losses of a batch (B, C, H, W) in [0, 1]; ``"loss"`` is the one to minimise.

        Further entries are for a log. In evaluation mode nothing is drawn at random, and
        ``"loss"`` is what an epoch is judged by.
        """
        return {"loss": self.rebuilding_loss(self.decode(self.encode(x)), x)}

    def rebuilding_loss(self, logits: Tensor, target: Tensor) -> Tensor:
        """Compare logits (B, C, H, W) with pictures in [0, 1]: the mean over all values."""
        # Losses are taken in float32 whatever the precision of the layers: bf16 has 3 digits.
        logits = logits.float()
        if self.loss == "bce":
            return F.binary_cross_entropy_with_logits(logits, target)
        return mean_squared_error(torch.sigmoid(logits), target)
