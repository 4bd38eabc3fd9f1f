"""The machines for which constraints.txt is complete: three systems, three versions of Python."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from packaging.tags import Tag, compatible_tags, cpython_tags, mac_platforms

PYTHONS = ((3, 11), (3, 12), (3, 13))
# A marker may ask for the last number of the version, so both ends are looked at.
_PATCHES = (0, 99)
# As packages ask for them: sys_platform, platform_system, os_name, platform_machine.
_SYSTEMS = (
    ("linux", "Linux", "posix", "x86_64"),
    ("linux", "Linux", "posix", "aarch64"),
    ("darwin", "Darwin", "posix", "arm64"),
    ("win32", "Windows", "nt", "AMD64"),
)
_MACOS = (14, 0)
_NEWEST_GLIBC = 39


@dataclass(frozen=True)
class Environment:
    """One machine with one Python."""

    python: tuple[int, int]
    patch: int
    system: tuple[str, str, str, str]

    @property
    def name(self) -> str:
        """As it is told to people."""
        return f"Python {self.python[0]}.{self.python[1]} on {self.system[0]} {self.system[3]}"

    def __str__(self) -> str:
        return self.name

    def markers(self) -> dict[str, str]:
        """Return what a requirement's marker is evaluated against (PEP 508)."""
        short = f"{self.python[0]}.{self.python[1]}"
        platform, system, name, machine = self.system
        return {
            "implementation_name": "cpython",
            "implementation_version": f"{short}.{self.patch}",
            "os_name": name,
            "platform_machine": machine,
            "platform_python_implementation": "CPython",
            "platform_release": "",
            "platform_system": system,
            "platform_version": "",
            "python_full_version": f"{short}.{self.patch}",
            "python_version": short,
            "sys_platform": platform,
        }

    def tags(self) -> dict[Tag, int]:
        """Return the tags of wheels that fit, each with its rank; the lowest is the best."""
        platforms = list(self._platforms())
        tags = [
            *cpython_tags(self.python, platforms=platforms),
            *compatible_tags(self.python, f"cp{self.python[0]}{self.python[1]}", platforms),
        ]
        return {tag: rank for rank, tag in reversed(list(enumerate(tags)))}

    def _platforms(self) -> Iterator[str]:
        platform, _, _, machine = self.system
        if platform == "win32":
            yield "win_amd64"
        elif platform == "darwin":
            yield from mac_platforms(_MACOS, machine)
        else:
            for minor in range(_NEWEST_GLIBC, 4, -1):
                yield f"manylinux_2_{minor}_{machine}"
                if (minor, machine) in {(17, "x86_64"), (17, "aarch64")}:
                    yield f"manylinux2014_{machine}"
                if machine == "x86_64" and minor in {12, 5}:
                    yield f"manylinux{'2010' if minor == 12 else '1'}_{machine}"
            yield f"linux_{machine}"


def environments() -> list[Environment]:
    """Return every machine for which the pins have to be complete."""
    return [
        Environment(python, patch, system)
        for python in PYTHONS
        for patch in _PATCHES
        for system in _SYSTEMS
    ]


def fits_a_python(tag: Tag) -> bool:
    """Tell whether a wheel's tag is for one of our Pythons, on whatever system."""
    ours = {f"cp{major}{minor}" for major, minor in PYTHONS}
    if tag.abi in ours:
        return tag.interpreter == tag.abi
    if tag.abi == "abi3":
        return tag.interpreter.startswith("cp3") and int(tag.interpreter[3:] or 0) <= 13
    if tag.abi != "none":
        return False
    generic = tag.interpreter in ours | {"py3"}
    return generic or (tag.interpreter.startswith("py3") and int(tag.interpreter[3:]) <= 13)
