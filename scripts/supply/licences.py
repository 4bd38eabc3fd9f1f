"""The licences of everything that Residua brings at run time, held against those that we allow.

    scripts/check runs it; .venv/bin/python -m supply.licences --list prints every one

A distribution's licence is its SPDX expression (PEP 639) where it has one, else its classifiers,
all of which have to be allowed, else the first line of its field License. Development tools are no
part of what users install, and are not asked.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cache
from importlib.metadata import Distribution

from license_expression import AND, OR, ExpressionError, Licensing, get_spdx_licensing

from supply.installed import Installed, closure
from supply.requirements import requirements

# Permissive ones, and one whose terms bind changes to its own files only (MPL-2.0).
ALLOWED = frozenset(
    {
        "0BSD",
        "Apache-2.0",
        "Apache-2.0 WITH LLVM-exception",
        "BSD-2-Clause",
        "BSD-3-Clause",
        "BSL-1.0",
        "CC0-1.0",
        "ISC",
        "MIT",
        "MIT-0",
        "MIT-CMU",
        "MPL-2.0",
        "PSF-2.0",
        "Zlib",
    }
)
# What older metadata says instead of an identifier.
SPDX = {
    "3-Clause BSD License": "BSD-3-Clause",
    "Apache 2.0": "Apache-2.0",
    "License :: OSI Approved :: Apache Software License": "Apache-2.0",
    # Two or three clauses: both are allowed.
    "License :: OSI Approved :: BSD License": "BSD-3-Clause",
    "License :: OSI Approved :: ISC License (ISCL)": "ISC",
    "License :: OSI Approved :: MIT License": "MIT",
    "License :: OSI Approved :: Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "License :: OSI Approved :: Python Software Foundation License": "PSF-2.0",
}


@dataclass(frozen=True)
class Exemption:
    """A licence that is not allowed in general, and is for some distributions."""

    names: str
    """Canonical name, with * for any characters."""

    licences: frozenset[str]
    reason: str


_NVIDIA = frozenset(
    {
        "LicenseRef-NVIDIA-Proprietary",
        "LicenseRef-NVIDIA-SOFTWARE-LICENSE",
        "License :: Other/Proprietary License",
        "NVIDIA Proprietary Software",
        "NVIDIA Software License",
    }
)
EXEMPTIONS = (
    Exemption(
        "psycopg*",
        frozenset({"LGPL-3.0-only"}),
        "the driver of the extra postgres, imported unchanged as a library of its own, which its "
        "user can replace; the LGPL asks no more. Nothing else of Residua needs it.",
    ),
    *(
        Exemption(
            names,
            _NVIDIA,
            "come with the builds of torch for CUDA, from NVIDIA and on its terms; Residua neither "
            "contains nor passes them on, and the builds for processors only do without.",
        )
        for names in ("nvidia-*", "cuda-*")
    ),
    Exemption(
        "cuda-toolkit",
        frozenset({"none named"}),
        "an empty package that only names NVIDIA's libraries, which are asked themselves.",
    ),
)


def licence(distribution: Distribution) -> str:
    """Return the licence that a distribution names: an SPDX expression, or its own words."""
    metadata = distribution.metadata
    if "License-Expression" in metadata:
        return metadata["License-Expression"]
    classifiers = [
        line
        for line in metadata.get_all("Classifier") or []
        if line.startswith("License ::") and line != "License :: OSI Approved"
    ]
    if classifiers:
        return " AND ".join(SPDX.get(line, line) for line in classifiers)
    words = metadata["License"].strip().partition("\n")[0] if "License" in metadata else ""
    return SPDX.get(words, words) or "none named"


def allowed(expression: str, name: str) -> bool:
    """Tell whether a distribution may come under this licence."""
    granted = {
        one
        for exemption in EXEMPTIONS
        if fnmatch(name, exemption.names)
        for one in exemption.licences
    }
    if expression in granted:
        return True
    try:
        parsed = _spdx().parse(expression, validate=True)
    except ExpressionError:
        return False
    return parsed is not None and _holds(parsed, ALLOWED | granted)


def _holds(part: object, accepted: Set[str]) -> bool:
    if isinstance(part, AND):
        return all(_holds(one, accepted) for one in part.args)
    if isinstance(part, OR):
        return any(_holds(one, accepted) for one in part.args)
    return str(part) in accepted


@cache
def _spdx() -> Licensing:
    return get_spdx_licensing()  # reads a list of 2,000 licences each time


def refused(found: Mapping[str, Installed]) -> list[str]:
    """Return a line for each distribution whose licence is not allowed."""
    return [
        f"{name} {one.distribution.version}: {licence(one.distribution)}"
        for name, one in found.items()
        if not allowed(licence(one.distribution), name)
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Print what is refused; returns 1 if anything is."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--list", action="store_true")
    found = closure(requirements("all"))
    if parser.parse_args(arguments).list:
        for name, one in found.items():
            print(f"{name} {one.distribution.version}: {licence(one.distribution)}")
        return 0
    bad = refused(found)
    if bad:
        print(
            "\n".join(bad) + "\nnot allowed: leave the distribution out, or give "
            "scripts/supply/licences.py an exemption with its reason",
            file=sys.stderr,
        )
        return 1
    print(f"licences: {len(found)} distributions, all allowed")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
