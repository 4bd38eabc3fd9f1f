"""The networks: plain ``nn.Module``s, one architecture a file, and the registry of their names."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, get_args

from residua.errors import ConfigurationError, UnknownName
from residua.models.base import Autoencoder, Loss, Reconstruction, to_network
from residua.models.conv import ConvAutoencoder
from residua.models.seed_caltech import SeedCaltech
from residua.models.seed_mnist import SeedMnist

__all__ = ["MODELS", "Autoencoder", "Loss", "Reconstruction", "build_model", "to_network"]

MODELS: Mapping[str, type[Autoencoder]] = MappingProxyType(
    {"conv": ConvAutoencoder, "seed-mnist": SeedMnist, "seed-caltech": SeedCaltech}
)


def build_model(
    name: str,
    shape: tuple[int, int, int],
    *,
    latent_dim: int | None = None,
    loss: str | None = None,
    options: Mapping[str, Any] | None = None,
) -> Autoencoder:
    """Build the registered network ``name`` with fresh weights.

    Parameters
    ----------
    name : str
        A name from `MODELS`.
    shape : tuple of int
        Height, width and channels of the pictures.
    latent_dim : int or None
        Numbers in the code; None leaves the choice to the network.
    loss : {"mse", "bce"} or None
        Training loss; None leaves the choice to the network.
    options : mapping or None
        Further keyword parameters of the network.

    Raises
    ------
    UnknownName
        No network of that name, or no loss.
    ConfigurationError
        An option that the network does not have, or a shape that it cannot take.
    """
    if name not in MODELS:
        raise UnknownName.among("model", name, MODELS)
    height, width, channels = shape
    chosen: dict[str, Any] = dict(options or {})
    if loss is not None:
        if loss not in get_args(Loss):
            raise UnknownName.among("loss", loss, get_args(Loss))
        chosen["loss"] = loss
    try:
        # The base's signature says nothing of a subclass's own defaults.
        return MODELS[name](channels, height, width, latent_dim, **chosen)  # type: ignore[arg-type]
    except TypeError as error:
        raise ConfigurationError(f"model {name!r} does not take these options: {error}") from error
