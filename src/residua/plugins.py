"""Networks of other packages, found by the entry-point group ``residua.models``.

A package offers one by a line in its ``pyproject.toml``::

    [project.entry-points."residua.models"]
    my-net = "my_package.networks:MyNet"

What it names is called as the built-in networks are, ``(channels, height, width, latent_dim,
**options)``, and returns a network that does what `residua.models.check.check_contract` asks.
Nothing of a package is imported before its network is asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from residua.errors import PluginFailed

GROUP = "residua.models"


@dataclass(frozen=True)
class Plugin:
    """A network that an installed package offers."""

    name: str
    """Its name as a model."""
    target: str
    """Where it lies, ``module:attribute``."""
    package: str
    """The distribution that brings it, with its version."""
    entry_point: EntryPoint

    def load(self) -> Any:
        """Import what the entry point names.

        Raises
        ------
        PluginFailed
            It cannot be imported, or is nothing that can be called.
        """
        try:
            found = self.entry_point.load()
        except Exception as error:  # another package's import may fail in any way
            raise PluginFailed(
                f"the model {self.name!r} of the package {self.package} cannot be imported from "
                f"{self.target}: {type(error).__name__}: {error}; mend or uninstall that package"
            ) from error
        if not callable(found):
            raise PluginFailed(
                f"the model {self.name!r} of the package {self.package}, {self.target}, is "
                f"{found!r}; wanted a class, or a function that builds a network"
            )
        return found


def installed_plugins() -> list[Plugin]:
    """Return the networks that installed packages offer, by name, without importing any."""
    entries = sorted(entry_points(group=GROUP), key=lambda entry: entry.name)
    return [Plugin(entry.name, entry.value, _package(entry), entry) for entry in entries]


def find_plugin(name: str) -> Plugin | None:
    """Return the network called ``name`` that an installed package offers, or None.

    Raises
    ------
    PluginFailed
        Several packages offer one.
    """
    found = [plugin for plugin in installed_plugins() if plugin.name == name]
    if len(found) > 1:
        packages = " and ".join(plugin.package for plugin in found)
        raise PluginFailed(
            f"the packages {packages} each offer a model called {name!r}; uninstall all but one"
        )
    return found[0] if found else None


def _package(entry: EntryPoint) -> str:
    if entry.dist is None:
        return entry.value.partition(".")[0].partition(":")[0]
    return f"{entry.dist.name} {entry.dist.version}"
