"""Does a network do what fitting, scoring and saving ask of one?

Built-in networks are held to it by the tests; those of other packages, by `check_contract` before
the first step of training. What a network must be:

- an ``nn.Module``, of `Autoencoder` or not, with the numbers ``channels``, ``height``, ``width``
  and ``latent_dim``, and with ``loss``, the name of its training loss;
- ``forward(x)``, for pictures x (B, C, H, W) in [0, 1], returns a `Reconstruction`, or another
  named tuple of ``x_hat`` (B, C, H, W), in [0, 1], and ``latent`` (B, D), both float32;
- ``encode(x)`` returns (B, D), ``decode(latent)`` returns (B, C, H, W);
- ``training_losses(x)`` returns scalars by name, ``"loss"`` the one to minimise.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from residua.errors import BrokenContract, ResiduaError
from residua.models.base import Autoencoder

_NUMBERS = ("channels", "height", "width", "latent_dim")
_METHODS = ("encode", "decode", "forward", "training_losses")
# More than one, so that a batch taken for a picture is noticed, and unlike usual channels.
_BATCH = 5


def check_contract(model: Autoencoder | nn.Module, name: str | None = None) -> None:
    """Try a network on a few random pictures; its weights and all random states stay as they are.

    Parameters
    ----------
    model : nn.Module
        With weights, or on the device "meta", where shapes alone are checked.
    name : str or None, default=None
        What messages call it. None: the name of its class.

    Raises
    ------
    BrokenContract
        Names what the network gave and what was wanted.
    """
    _Trial(model, name or type(model).__name__).run()


class _Trial:
    def __init__(self, model: nn.Module, name: str) -> None:
        self.name = name
        self._check_members(model)
        # Trying it in training mode would move the statistics of batch normalisation.
        self.model: Any = self._call("copy.deepcopy", copy.deepcopy, model)
        weights = next(model.parameters(), None)
        self.device = torch.device("cpu") if weights is None else weights.device
        self.shape = (_BATCH, self.model.channels, self.model.height, self.model.width)
        drawn = torch.rand(self.shape, generator=torch.Generator().manual_seed(0), device="cpu")
        self.x = drawn.to(self.device)

    def run(self) -> None:
        codes = (_BATCH, self.model.latent_dim)
        cards = [self.device] if self.device.type == "cuda" else []
        with torch.random.fork_rng(cards):
            self.model.eval()
            with torch.no_grad():
                rebuilt = self._call("forward", self.model, self.x)
                for part, shape in (("x_hat", self.shape), ("latent", codes)):
                    value: Any = getattr(rebuilt, part, None)
                    self._check_tensor(f"forward(…).{part}", value, shape)
                    if value.dtype != torch.float32:
                        self._refuse(f"gives {value.dtype} for forward(…).{part}", "torch.float32")
                self._check_range(rebuilt.x_hat)
                latent = self._call("encode", self.model.encode, self.x)
                self._check_tensor("encode(…)", latent, codes)
                logits = self._call("decode", self.model.decode, latent)
                self._check_tensor("decode(…)", logits, self.shape)
            self.model.train()
            self._check_losses(self._call("training_losses", self.model.training_losses, self.x))

    def _check_members(self, model: object) -> None:
        if not isinstance(model, nn.Module):
            self._refuse(f"is {type(model).__name__}", "a torch.nn.Module")
        for method in _METHODS:
            if not callable(getattr(model, method, None)):
                self._refuse(f"has no method {method!r}", "all of " + ", ".join(_METHODS))
        for attribute in _NUMBERS:
            value = getattr(model, attribute, None)
            if not isinstance(value, int) or value < 1:
                self._refuse(f"has {attribute} = {value!r}", "a whole number of at least 1")
        if not isinstance(getattr(model, "loss", None), str):
            self._refuse(f"has loss = {getattr(model, 'loss', None)!r}", "its training loss's name")

    def _call(self, what: str, method: Callable[..., Any], argument: Any) -> Any:
        try:
            return method(argument)
        except ResiduaError:
            raise
        except Exception as error:  # another package's code may fail in any way
            of = f" of a tensor {tuple(argument.shape)}" if isinstance(argument, Tensor) else ""
            raise BrokenContract(
                f"the model {self.name!r} fails in {what}{of}: {type(error).__name__}: {error}"
            ) from error

    def _check_tensor(self, what: str, value: object, shape: tuple[int, ...]) -> None:
        if not isinstance(value, Tensor):
            self._refuse(f"gives {type(value).__name__} for {what}", f"a tensor {shape}")
        elif tuple(value.shape) != shape:
            self._refuse(
                f"gives {what} of shape {tuple(value.shape)} for pictures {self.shape}", f"{shape}"
            )
        elif not value.is_meta and not torch.isfinite(value).all():
            self._refuse(f"gives {what} with values that are not finite", "finite ones")

    def _check_range(self, x_hat: Tensor) -> None:
        if x_hat.is_meta:
            return
        low, high = float(x_hat.min()), float(x_hat.max())
        if low < 0 or high > 1:
            self._refuse(
                f"rebuilds pictures with values from {low:.4g} to {high:.4g}",
                "values in [0, 1], as a sigmoid gives",
            )

    def _check_losses(self, losses: object) -> None:
        if not isinstance(losses, dict) or "loss" not in losses:
            found = sorted(losses) if isinstance(losses, dict) else type(losses).__name__
            self._refuse(f"gives {found} for training_losses(…)", "a dict with 'loss'")
            return
        for key, value in losses.items():
            self._check_tensor(f"training_losses(…)[{key!r}]", value, ())
        if not losses["loss"].requires_grad:
            self._refuse("gives a 'loss' without a gradient", "one that depends on its weights")

    def _refuse(self, found: str, wanted: str) -> None:
        raise BrokenContract(f"the model {self.name!r} {found}; wanted {wanted}")
