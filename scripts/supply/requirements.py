"""What pyproject.toml asks for, as requirement lines; needs nothing but Python itself.

    python scripts/supply/requirements.py all,dev      # for: pip install --requirement FILE
    python scripts/supply/requirements.py --build      # what builds the package

A group is an extra or a dependency group. The dependencies of the bare install always belong to it.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
# Of this package itself, as in residua[serve].
_OWN = re.compile(r"residua\[([a-z0-9,]+)\]")


def requirements(groups: str = "", pyproject: Path = ROOT / "pyproject.toml") -> list[str]:
    """Return the direct requirements of the bare install and of these groups, sorted.

    Parameters
    ----------
    groups
        Names with commas between them: extras, and dependency groups as `test` and `dev`.
    pyproject
        The file that they are read from.

    Raises
    ------
    KeyError
        If there is no such group.
    """
    content = tomllib.loads(pyproject.read_text(encoding="utf-8"))
    known: dict[str, list[str | dict[str, str]]] = dict(content["project"]["optional-dependencies"])
    known |= content["dependency-groups"]
    found = set(content["project"]["dependencies"])
    for group in filter(None, groups.split(",")):
        found |= set(_spelt_out(group, known))
    return sorted(found, key=str.lower)


def to_build(pyproject: Path = ROOT / "pyproject.toml") -> list[str]:
    """Return what builds the package, as a wheel or to be edited in place."""
    content = tomllib.loads(pyproject.read_text(encoding="utf-8"))
    return sorted({*content["build-system"]["requires"], *content["dependency-groups"]["build"]})


def _spelt_out(group: str, known: dict[str, list[str | dict[str, str]]]) -> Iterator[str]:
    for line in known[group]:
        if isinstance(line, dict):
            yield from _spelt_out(line["include-group"], known)
        elif own := _OWN.fullmatch(line):
            for name in own[1].split(","):
                yield from _spelt_out(name, known)
        else:
            yield line


if __name__ == "__main__":
    asked = sys.argv[1] if len(sys.argv) > 1 else ""
    print("\n".join(to_build() if asked == "--build" else requirements(asked)))
