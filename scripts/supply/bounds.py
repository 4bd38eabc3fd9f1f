"""The oldest versions that pyproject.toml allows, as exact pins.

    python scripts/supply/bounds.py all          # for: pip install --constraint FILE

pip knows no resolution that prefers the lowest version; so the lower bound of each direct
dependency becomes its pin. What those need in turn is the newest that they go with.
"""

from __future__ import annotations

import re
import sys

from supply.requirements import requirements

_LOWER_BOUND = re.compile(r"(?P<name>[A-Za-z0-9._-]+)(\[[^]]*\])?>=(?P<version>[0-9.]+)[^;]*")


def lower_bounds(lines: list[str]) -> dict[str, str]:
    """Return name and lowest version of each requirement.

    Raises
    ------
    ValueError
        If a requirement has no lower bound, or one that cannot be a pin.
    """
    found: dict[str, str] = {}
    for line in lines:
        bound = _LOWER_BOUND.match(line)
        if bound is None:
            raise ValueError(f"{line!r} has no lower bound; write it as name>=version")
        found[bound["name"]] = bound["version"]
    return found


if __name__ == "__main__":
    groups = sys.argv[1] if len(sys.argv) > 1 else ""
    print("\n".join(f"{name}=={low}" for name, low in lower_bounds(requirements(groups)).items()))
