"""Which distributions of this environment some requirements bring, with all that they need."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import Distribution, DistributionFinder, MetadataPathFinder

from packaging.requirements import Requirement

from supply.pins import canonical


@dataclass
class Installed:
    """A distribution and which of its extras are asked for, with "" for none."""

    distribution: Distribution
    extras: set[str]

    @property
    def needs(self) -> set[str]:
        """What it needs on this machine with these extras, as canonical names."""
        needed = map(Requirement, self.distribution.requires or [])
        return {canonical(one.name) for one in needed if applies(one, self.extras)}


def closure(requirements: Iterable[str], path: Sequence[str] | None = None) -> dict[str, Installed]:
    """Return the installed distributions behind these requirements, by canonical name.

    Parameters
    ----------
    requirements
        Requirement lines; those whose marker does not fit this machine are left out.
    path
        Folders in which is looked; those of this Python by default.

    Raises
    ------
    LookupError
        If a distribution is not installed.
    """
    found: dict[str, Installed] = {}
    waiting = [(Requirement(line), frozenset({""})) for line in requirements]
    while waiting:
        requirement, extras = waiting.pop()
        if not applies(requirement, extras):
            continue
        name = canonical(requirement.name)
        if name not in found:
            found[name] = Installed(_distribution(name, path), set())
        new = {"", *requirement.extras} - found[name].extras
        if new:
            found[name].extras |= new
            lines = found[name].distribution.requires or []
            waiting += [(Requirement(line), frozenset(new)) for line in lines]
    return dict(sorted(found.items()))


def applies(requirement: Requirement, extras: Iterable[str]) -> bool:
    """Tell whether a requirement holds on this machine, for any of these extras."""
    marker = requirement.marker
    return marker is None or any(marker.evaluate({"extra": extra}) for extra in extras)


def _distribution(name: str, path: Sequence[str] | None) -> Distribution:
    where = list(sys.path if path is None else path)
    context = DistributionFinder.Context(name=name, path=where)
    for found in MetadataPathFinder.find_distributions(context):
        return found
    raise LookupError(f"{name} is not installed; scripts/setup installs it")
