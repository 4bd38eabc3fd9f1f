"""``variational``: ``conv`` with a code that is a distribution, kept near a standard normal one.

Kingma and Welling, "Auto-encoding variational Bayes", ICLR 2014; the weight β of the divergence
after Higgins et al., "β-VAE: learning basic visual concepts with a constrained variational
framework", ICLR 2017. The encoder gives a mean and a variance of each number of the code; training
decodes a draw from it, scoring decodes the mean, so that a picture has one score.

**Scale of the two terms.** The source adds the log-likelihood, a sum over the C·H·W values of a
picture, and the divergence, a sum over the D numbers of the code. Here both are divided by C·H·W,
so that the loss stays comparable with that of other networks::

    loss = mean over values of the reconstruction loss + β · KL / (C·H·W)

With ``loss="bce"``, β = 1 is the source's bound exactly. A squared error is the log-likelihood of
a Gaussian of variance 1/2: far more noise than pictures in [0, 1] have, so that β = 1 would leave
the code empty (posterior collapse). Noise of standard deviation s asks for β = 2 s²; the default,
0.02, is that of s = 0.1.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from residua.errors import ConfigurationError
from residua.models.base import Loss
from residua.models.conv import ConvAutoencoder
from residua.models.layers import to_rows

_DEFAULT_BETA = {"mse": 0.02, "bce": 0.2}
# Bound of the log-variance on both sides: its exponential fits any float.
_LOG_VARIANCE = 10.0
# Standard deviation e^-2 at the start: a code drowned in noise is soon given up.
_FIRST_LOG_VARIANCE = -4.0


class VariationalAutoencoder(ConvAutoencoder):
    """The network of ``conv`` with a code drawn from a distribution near the standard normal.

    Parameters
    ----------
    channels, height, width, latent_dim, loss, first_channels, depth
        As `ConvAutoencoder` has them.
    beta : float or None, default=None
        Weight of the divergence, at least 0, in the scale that the module's text gives. None:
        0.02 for "mse", 0.2 for "bce".
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
        beta: float | None = None,
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
        if beta is not None and beta < 0:
            raise ConfigurationError(f"beta is {beta}; it must be at least 0")
        self.beta = _DEFAULT_BETA[loss] if beta is None else beta
        self.to_log_variance = nn.Linear(self.to_code.in_features, self.latent_dim)
        nn.init.zeros_(self.to_log_variance.weight)
        nn.init.constant_(self.to_log_variance.bias, _FIRST_LOG_VARIANCE)

    def posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log-variance of the codes, (B, D) each, of pictures (B, C, H, W)."""
        features = to_rows(self.encoder(x))
        mean: Tensor = self.to_code(features)
        raw: Tensor = self.to_log_variance(features)
        # A hard limit has no gradient beyond it, from which there is no way back.
        return mean.float(), _LOG_VARIANCE * torch.tanh(raw.float() / _LOG_VARIANCE)

    def training_losses(self, x: Tensor) -> dict[str, Tensor]:
        """Negative evidence bound of pictures (B, C, H, W), a value of the picture.

        ``"reconstruction"`` and ``"divergence"``, in nats a picture, go into ``"loss"``.
        """
        mean, log_variance = self.posterior(x)
        code = mean
        if self.training:
            code = mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)
        reconstruction = self.rebuilding_loss(self.decode(code), x)
        divergence = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1).mean()
        return {
            "loss": reconstruction + self.beta * divergence / x[0].numel(),
            "reconstruction": reconstruction.detach(),
            "divergence": divergence.detach(),
        }
