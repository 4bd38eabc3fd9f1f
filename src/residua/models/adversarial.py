"""``adversarial``: ``conv`` whose codes a second network cannot tell from a standard normal draw.

Makhzani, Shlens, Jaitly, Goodfellow and Frey, "Adversarial autoencoders", 2015 (arXiv:1511.05644):
a discriminator learns to tell codes from draws of the prior, and the encoder learns to deceive it,
so that the codes fill the prior without holes, where a foreign picture could find a place.

The source alternates steps of reconstruction, discriminator and encoder, with an optimiser each.
Here one step does all three on one batch: the discriminator meets codes cut off from the encoder,
and the encoder meets a discriminator whose weights are held fast, so that the gradient of the sum
is that of the three losses, each in its own weights. A gradient reversal (Ganin and Lempitsky,
2015) would do with one pass of the discriminator, but gives the encoder no gradient any more once
the discriminator is sure; then the codes run away. The encoder's loss here, ``-log D``, is that of
Goodfellow et al. (2014, section 3), which keeps its gradient there. And the discriminator pays for
its slope (Mescheder, Geiger and Nowozin, "Which training methods for GANs do actually converge?",
ICML 2018, the penalties R1 and R2), without which it drives codes of more than a few numbers apart
instead of together.

The discriminator takes no part in scoring: its weights are saved with the others, and are not in
the exported graph.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from residua.errors import ConfigurationError
from residua.models.base import Loss
from residua.models.conv import ConvAutoencoder

_UNITS = 128
_SLOPE_WEIGHT = 1.0


class AdversarialAutoencoder(ConvAutoencoder):
    """The network of ``conv`` with codes that a discriminator holds to a standard normal prior.

    Parameters
    ----------
    channels, height, width, latent_dim, loss, first_channels, depth
        As `ConvAutoencoder` has them.
    prior_weight : float, default=0.001
        Weight, at least 0, of deceiving the discriminator, beside a reconstruction loss that is a
        mean over values. More draws the codes to the prior sooner and rebuilds less faithfully.
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
        prior_weight: float = 0.001,
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
        if prior_weight < 0:
            raise ConfigurationError(f"prior_weight is {prior_weight}; it must be at least 0")
        self.prior_weight = prior_weight
        self.discriminator = nn.Sequential(  # (B, D) -> (B, 1), the logit of "from the prior"
            nn.Linear(self.latent_dim, _UNITS),
            nn.LeakyReLU(0.2),
            nn.Linear(_UNITS, _UNITS),
            nn.LeakyReLU(0.2),
            nn.Linear(_UNITS, 1),
        )

    def training_losses(self, x: Tensor) -> dict[str, Tensor]:
        """Reconstruction loss of pictures (B, C, H, W) and, in training, those of the adversaries.

        ``"reconstruction"``, ``"discrimination"`` (log 2 where the discriminator can do no better
        than guess), its ``"slope"`` and ``"deception"`` go into ``"loss"``. In evaluation mode the
        first is all: how two adversaries stand says nothing of an epoch.
        """
        code = self.encode(x).float()
        reconstruction = self.rebuilding_loss(self.decode(code), x)
        if not self.training:
            return {"loss": reconstruction}
        drawn = self.discriminator(torch.randn_like(code)).float()
        known = self.discriminator(code.detach()).float()
        discrimination = 0.5 * (F.softplus(-drawn) + F.softplus(known)).mean()
        slope = self._slope(torch.cat([torch.randn_like(code), code.detach()]))
        deception = F.softplus(-_held_fast(self.discriminator, code).float()).mean()
        return {
            "loss": reconstruction
            + discrimination
            + _SLOPE_WEIGHT * slope
            + self.prior_weight * deception,
            "reconstruction": reconstruction.detach(),
            "discrimination": discrimination.detach(),
            "slope": slope.detach(),
            "deception": deception.detach(),
        }

    def _slope(self, codes: Tensor) -> Tensor:
        """Mean squared length of the discriminator's gradient at codes (B, D)."""
        if not torch.is_grad_enabled():
            return codes.new_zeros(())
        codes = codes.requires_grad_()
        logits = self.discriminator(codes).float()
        (gradient,) = torch.autograd.grad(logits.sum(), codes, create_graph=True)
        return gradient.square().sum(1).mean()


def _held_fast(network: nn.Module, x: Tensor) -> Tensor:
    """Apply a network so that gradients pass through it to ``x``, and not into its weights."""
    weights = {name: value.detach() for name, value in network.named_parameters()}
    applied: Tensor = functional_call(network, weights, (x,))
    return applied
