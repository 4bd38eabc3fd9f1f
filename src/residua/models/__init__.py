"""The networks: plain ``nn.Module``s, one architecture a file, and the registry of their names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, cast, get_args

from residua.errors import ConfigurationError, NetworkNotInstalled, UnknownName
from residua.models.adversarial import AdversarialAutoencoder
from residua.models.base import Autoencoder, Loss, Reconstruction, to_network
from residua.models.conv import ConvAutoencoder
from residua.models.denoising import DenoisingAutoencoder
from residua.models.masked import MaskedAutoencoder
from residua.models.memory import MemoryAutoencoder
from residua.models.repairing import RepairingAutoencoder
from residua.models.residual import ResidualAutoencoder
from residua.models.restoring import RestoringAutoencoder
from residua.models.seed_caltech import SeedCaltech
from residua.models.seed_mnist import SeedMnist
from residua.models.variational import VariationalAutoencoder
from residua.plugins import find_plugin, installed_plugins

__all__ = [
    "MODELS",
    "Autoencoder",
    "Loss",
    "Reconstruction",
    "build_model",
    "find_network",
    "package_of",
    "require_network",
    "to_network",
]

MODELS: Mapping[str, type[Autoencoder]] = MappingProxyType(
    {
        "conv": ConvAutoencoder,
        "residual": ResidualAutoencoder,
        "denoising": DenoisingAutoencoder,
        "variational": VariationalAutoencoder,
        "adversarial": AdversarialAutoencoder,
        "memory": MemoryAutoencoder,
        "masked": MaskedAutoencoder,
        "restoring": RestoringAutoencoder,
        "repairing": RepairingAutoencoder,
        "seed-mnist": SeedMnist,
        "seed-caltech": SeedCaltech,
    }
)


def build_model(
    name: str,
    shape: tuple[int, int, int],
    *,
    latent_dim: int | None = None,
    loss: str | None = None,
    options: Mapping[str, Any] | None = None,
) -> Autoencoder:
    """Build the network called ``name`` with fresh weights.

    Parameters
    ----------
    name : str
        A name from `MODELS`, or one that an installed package offers (`residua.plugins`); of two
        equal ones the built-in network wins.
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
    PluginFailed
        The network of an installed package cannot be imported.
    ConfigurationError
        An option that the network does not have, or a shape that it cannot take.
    """
    network = find_network(name)
    height, width, channels = shape
    chosen: dict[str, Any] = dict(options or {})
    if loss is not None:
        if loss not in get_args(Loss):
            raise UnknownName.among("loss", loss, get_args(Loss))
        chosen["loss"] = loss
    try:
        return network(channels, height, width, latent_dim, **chosen)
    except TypeError as error:
        raise ConfigurationError(f"model {name!r} does not take these options: {error}") from error


def find_network(name: str) -> Callable[..., Autoencoder]:
    """Return what builds the network called ``name``, built in or of an installed package.

    Raises
    ------
    UnknownName
        There is none.
    PluginFailed
        It cannot be imported.
    """
    if name in MODELS:
        return MODELS[name]
    plugin = find_plugin(name)
    if plugin is None:
        raise UnknownName.among("model", name, [*MODELS, *(p.name for p in installed_plugins())])
    # Whether it is as good as an Autoencoder is for `residua.models.check` to say.
    return cast(Callable[..., Autoencoder], plugin.load())


def require_network(name: str, package: str | None) -> None:
    """Make sure that the network of a saved model can be built here.

    Parameters
    ----------
    name : str
        What the network is called.
    package : str or None
        The package that offered it when the model was saved, with its version. None: built in.

    Raises
    ------
    NetworkNotInstalled
        It is neither built in nor offered by an installed package.
    """
    if name in MODELS or find_plugin(name) is not None:
        return
    wanted = f"the package {package}" if package else "a package"
    raise NetworkNotInstalled(
        f"the saved model's network {name!r} came from {wanted}, which is not installed here or no "
        f"longer offers it; install that package, or score without it by `residua score` or "
        f"BundleScorer, which need the saved ONNX graph alone"
    )


def package_of(name: str) -> str | None:
    """Return the package that offers a network, with its version; None for a built-in one."""
    plugin = None if name in MODELS else find_plugin(name)
    return None if plugin is None else plugin.package
