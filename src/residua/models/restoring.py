"""``restoring``: ``conv``, trained to restore pictures on which it was shown synthetic defects.

The reconstructive part of Zavrtanik, Kristan and Skočaj, "DRÆM: a discriminatively trained
reconstruction embedding for surface anomaly detection", ICCV 2021: half of the pictures get a
synthetic defect, and all are to be rebuilt without. A network that was taught to take defects out
does not rebuild them by accident. Of the source's two losses the squared error is taken; its
second network, which segments, and its photographs of textures are not needed: see
`residua.models.defects`.

Nothing is added in scoring: a picture has one score.
"""

from __future__ import annotations

from torch import Tensor

from residua.errors import ConfigurationError
from residua.models.base import Loss
from residua.models.conv import ConvAutoencoder
from residua.models.defects import with_defects


class RestoringAutoencoder(ConvAutoencoder):
    """The network of ``conv``, shown pictures with synthetic defects and asked for the sound ones.

    Parameters
    ----------
    channels, height, width, latent_dim, loss, first_channels, depth
        As `ConvAutoencoder` has them.
    defective_share : float, default=0.5
        Probability, in [0, 1], that a picture gets a defect while in training.
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
        defective_share: float = 0.5,
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
        if not 0 <= defective_share <= 1:
            raise ConfigurationError(
                f"defective_share is {defective_share}; it must be from 0 to 1"
            )
        self.defective_share = defective_share

    def training_losses(self, x: Tensor) -> dict[str, Tensor]:
        """Loss of the sound pictures (B, C, H, W), restored from defective ones in training."""
        seen = with_defects(x, self.defective_share)[0] if self.training else x
        return {"loss": self.rebuilding_loss(self.decode(self.encode(seen)), x)}
