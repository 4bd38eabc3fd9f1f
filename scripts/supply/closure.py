"""What requirements need on every machine, where pip has chosen the versions for one of them."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.tags import Tag
from packaging.version import Version

from supply import index
from supply.environments import Environment
from supply.pins import canonical

AT_ONCE = 16


class Unresolved(Exception):
    """The versions do not go together somewhere; the text says where."""


@dataclass
class Closure:
    """The versions of everything that is needed somewhere; grows with each environment."""

    versions: dict[str, str]
    """By canonical name; to begin with, what pip chose."""

    preferred: dict[str, str] = field(default_factory=dict)
    """What is taken before the newest, where it fits."""

    known: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """What a wheel needs, by its SHA-256, where that is known without asking the index."""

    without_wheel: set[tuple[str, str]] = field(default_factory=set)
    """Distributions and the machines for which the index has no wheel of them."""

    _added: dict[str, SpecifierSet] = field(default_factory=dict)
    """What was asked of each distribution that is here beside pip's choice."""

    def add(self, wanted: Iterable[str], environment: Environment) -> None:
        """Add what these requirements need on a machine.

        Raises
        ------
        Unresolved
            If a version does not satisfy a requirement there, or no wheel does.
        """
        lines = list(wanted)
        while not self._walked(lines, environment):
            pass

    def fetch(self, every: Iterable[Environment]) -> None:
        """Fetch at once what add would fetch one after the other, for the versions so far."""
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(index.wheels, self.versions))
            found = {
                wheel.url
                for environment in every
                for tags in [environment.tags()]
                for name in self.versions
                if (wheel := self._wheel(name, tags)) is not None and wheel.sha256 not in self.known
            }
            list(pool.map(index.needs, found))

    def _walked(self, wanted: list[str], environment: Environment) -> bool:
        """Go once through all requirements; False where a choice of our own had to be revoked."""
        markers, tags = environment.markers(), environment.tags()
        waiting = [(Requirement(line), "pyproject.toml", frozenset({""})) for line in wanted]
        seen: set[tuple[str, str]] = set()
        while waiting:
            requirement, origin, extras = waiting.pop()
            if requirement.marker and not any(
                requirement.marker.evaluate({**markers, "extra": extra}) for extra in extras
            ):
                continue
            name = canonical(requirement.name)
            if name not in self.versions:
                self._added[name] = self._added.get(name, SpecifierSet()) & requirement.specifier
                self.versions[name] = self._newest(name, tags, environment)
            elif not requirement.specifier.contains(self.versions[name], prereleases=True):
                if name in self._added:
                    self._added[name] &= requirement.specifier
                    del self.versions[name]
                    return False
                raise Unresolved(
                    f"{environment}: {origin} needs {requirement}, and {name}=="
                    f"{self.versions[name]} is pinned; try: scripts/lock --upgrade {name},{origin}"
                )
            new = {(name, extra) for extra in {"", *requirement.extras}} - seen
            if new:
                seen |= new
                asked = frozenset(extra for _, extra in new)
                lines = self._needs(name, tags, environment)
                waiting += [(Requirement(line), name, asked) for line in lines]
        return True

    def _needs(self, name: str, tags: dict[Tag, int], environment: Environment) -> tuple[str, ...]:
        wheel = self._wheel(name, tags)
        if wheel is None:
            self.without_wheel.add((name, environment.name))
            return ()
        return self.known[wheel.sha256] if wheel.sha256 in self.known else index.needs(wheel.url)

    def _wheel(self, name: str, tags: dict[Tag, int]) -> index.Wheel | None:
        version = Version(self.versions[name])
        return index.best((w for w in index.wheels(name) if w.version == version), tags)

    def _newest(self, name: str, tags: dict[Tag, int], environment: Environment) -> str:
        specifier = self._added[name]
        preferred = self.preferred.get(name)
        if preferred is not None and specifier.contains(preferred, prereleases=True):
            return preferred
        fitting = [
            wheel.version
            for wheel in index.wheels(name)
            if not wheel.yanked
            and specifier.contains(wheel.version, prereleases=False)
            and any(tag in tags for tag in wheel.tags)
        ]
        if not fitting:
            raise Unresolved(f"{environment}: no wheel of {name}{specifier} fits")
        return str(max(fitting))
