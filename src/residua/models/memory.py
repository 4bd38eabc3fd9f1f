"""``memory``: ``conv`` whose code is replaced by a mixture of a few remembered codes.

Gong, Liu, Le, Saha, Mansour, Venkatesh and van den Hengel, "Memorizing normality to detect anomaly:
memory-augmented deep autoencoder for unsupervised anomaly detection", ICCV 2019 (MemAE). The
encoder's code is a query; the decoder sees a weighted mean of the memory items that are most like
it instead. Items learn what normal pictures are like, so that even a foreign picture is rebuilt
from normal parts.

The code that `encode` returns is the query, before the memory: that one says how a picture differs,
while the addressed code is normal by its making. `address` gives the weights.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from residua.errors import ConfigurationError
from residua.models.base import Loss, in_float32
from residua.models.conv import ConvAutoencoder

# Of the shrinkage's threshold. The source divides by an all but infinitely small number, which
# makes a jump of the shrinkage, and of the score from one machine to the next.
_SMOOTHING = 0.01
# Share of the greatest weight that the threshold never exceeds.
_NEAREST = 0.9


class MemoryAutoencoder(ConvAutoencoder):
    """The network of ``conv`` with a memory between code and decoder.

    Parameters
    ----------
    channels, height, width, latent_dim, loss, first_channels, depth
        As `ConvAutoencoder` has them.
    items : int, default=500
        Remembered codes, N, at least 2. The more, the finer the distinctions among normal
        pictures.
    shrinkage : float, default=1.0
        Weight below which an item is not used, from 0 to 3, in units of the mean weight 1/N; the
        source takes 1 to 3. From 2 on, few items are left at first, and training may fail.
    entropy_weight : float, default=2e-4
        Weight, at least 0, of the entropy of the addressing in the loss.
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
        items: int = 500,
        shrinkage: float = 1.0,
        entropy_weight: float = 2e-4,
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
        if items < 2:
            raise ConfigurationError(f"items is {items}; a memory has at least 2")
        if not 0 <= shrinkage <= 3:
            raise ConfigurationError(f"shrinkage is {shrinkage}; it must be from 0 to 3")
        if entropy_weight < 0:
            raise ConfigurationError(f"entropy_weight is {entropy_weight}; it must be at least 0")
        self.shrinkage, self.entropy_weight = shrinkage, entropy_weight
        self.items = nn.Parameter(torch.empty(items, self.latent_dim))  # (N, D)
        nn.init.normal_(self.items)

    def address(self, query: Tensor) -> Tensor:
        """Return the weights (B, N) of the items for codes (B, D): equations 4 to 7 of the source.

        None is below 0, and each row adds up to 1.
        """
        # In float32: the weights differ by less than bf16 resolves.
        with in_float32(query):
            cosine = F.normalize(query.float()) @ F.normalize(self.items).T
        weights = torch.softmax(cosine, dim=1)
        if self.shrinkage:
            # An undecided query, whose weights are all alike, still finds its nearest item.
            nearest = weights.amax(1, keepdim=True)
            threshold = (_NEAREST * nearest).clamp_max(self.shrinkage / len(self.items))
            above = F.relu(weights - threshold)
            weights = above * weights / (above + _SMOOTHING * threshold)
        # Not F.normalize: OpenVINO reads the sum in it as one over all axes.
        return weights / weights.sum(1, keepdim=True).clamp_min(1e-12)

    def decode(self, latent: Tensor) -> Tensor:
        """Turn codes (B, D), by way of the memory, into logits of pictures (B, C, H, W)."""
        return super().decode(self.address(latent) @ self.items)

    def training_losses(self, x: Tensor) -> dict[str, Tensor]:
        """Reconstruction loss of pictures (B, C, H, W) and the entropy of the addressing.

        ``"reconstruction"`` and ``"entropy"``, in nats a picture, go into ``"loss"``.
        """
        weights = self.address(self.encode(x))
        reconstruction = self.rebuilding_loss(super().decode(weights @ self.items), x)
        entropy = -torch.xlogy(weights, weights.clamp_min(1e-12)).sum(1).mean()
        return {
            "loss": reconstruction + self.entropy_weight * entropy,
            "reconstruction": reconstruction.detach(),
            "entropy": entropy.detach(),
        }
