"""``repairing``: ``conv``, trained to repair pictures of which a block was overwritten.

Each picture that the network learns from has a block of it overwritten: by a piece of another
picture, by noise, or by one shade. It is asked for the picture as it was. What belongs in the block
has to be known from the rest, as in Pathak, Krähenbühl, Donahue, Darrell and Efros, "Context
encoders: feature learning by inpainting", CVPR 2016; where the block is, nobody says, as in Li,
Sohn, Yoon and Pfister, "CutPaste: self-supervised learning for anomaly detection and
localization", CVPR 2021. A network that was taught to bring back what is usual does not rebuild
what is foreign by accident. When scoring nothing is overwritten, and the cost is that of ``conv``.
"""

from __future__ import annotations

import torch
from torch import Tensor

from residua.errors import ConfigurationError
from residua.models.base import Loss
from residua.models.conv import ConvAutoencoder

_LEAST_SIDE = 0.15


class RepairingAutoencoder(ConvAutoencoder):
    """The network of ``conv``, shown pictures with a block overwritten, asked for the whole ones.

    Parameters
    ----------
    channels, height, width, latent_dim, loss, first_channels, depth
        As `ConvAutoencoder` has them.
    largest_block : float, default=0.5
        Sides of a block, as shares of the picture's, are drawn evenly from 0.15 to this, which is
        at most 1.
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
        largest_block: float = 0.5,
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
        if not _LEAST_SIDE <= largest_block <= 1:
            raise ConfigurationError(
                f"largest_block is {largest_block}; it must be from {_LEAST_SIDE} to 1"
            )
        self.largest_block = largest_block

    def training_losses(self, x: Tensor) -> dict[str, Tensor]:
        """Loss of the whole pictures (B, C, H, W), repaired from overwritten ones in training."""
        seen = overwritten(x, self.largest_block) if self.training else x
        return {"loss": self.rebuilding_loss(self.decode(self.encode(seen)), x)}


def overwritten(x: Tensor, largest: float) -> Tensor:
    """Overwrite a block of each picture (B, C, H, W).

    Randomness is drawn from torch's global generator.

    Parameters
    ----------
    x : Tensor of shape (B, C, H, W), in [0, 1]
    largest : float
        Largest side of a block, as a share of the picture's.
    """
    count, channels, height, width = x.shape
    rows, columns = (_band(count, side, largest, x.device) for side in (height, width))
    block = (rows[:, :, None] & columns[:, None, :])[:, None]
    moved = [int(torch.randint(0, side, (), device="cpu")) for side in (height, width)]
    pieces = x[torch.randperm(count, device=x.device)].roll(moved, (2, 3))
    shades = torch.rand(count, channels, 1, 1, device=x.device, dtype=x.dtype)
    kind = torch.randint(3, (count, 1, 1, 1), device=x.device)
    filling = torch.where(kind == 0, pieces, torch.where(kind == 1, torch.rand_like(x), shades))
    return torch.where(block, filling, x)


def _band(count: int, side: int, largest: float, device: torch.device) -> Tensor:
    """Say which of ``side`` pixels lie in a stretch, of its own length and place for each row."""
    shares = _LEAST_SIDE + (largest - _LEAST_SIDE) * torch.rand(count, 1, device=device)
    length = (shares * side).floor().clamp_min(2)
    start = (torch.rand(count, 1, device=device) * (side - length + 1)).floor()
    place = torch.arange(side, device=device)
    return (place >= start) & (place < start + length)
