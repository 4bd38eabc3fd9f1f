"""Make constraints.txt anew: versions by pip, all platforms by the metadata, hashes by the index.

    scripts/lock                           # keep every pin; take up what pyproject.toml now needs
    scripts/lock --upgrade pillow,torch    # the newest that goes together of these
    scripts/lock --upgrade all

pip chooses the versions for the machine that it runs on. What other systems and Pythons need beside
them is added from the metadata of the wheels that those would install, in the newest version that
fits. A pin lists the hash of each wheel on PyPI for one of our Pythons, and of the build of torch
for processors only; where that build's index does not answer, its hashes of the same version stay.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from packaging.version import Version

from supply import index
from supply.closure import Closure, Unresolved
from supply.environments import PYTHONS, environments, fits_a_python
from supply.pins import CONSTRAINTS, Pin, canonical, read, text
from supply.requirements import requirements, to_build

GROUPS = "all,dev,fuzz"


class Choice(NamedTuple):
    """What pip would install."""

    name: str
    version: str
    """Without its local part."""
    local: str
    """That part, as cpu; empty for what PyPI has."""
    sha256: str
    needs: tuple[str, ...]


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the file; returns 1 where no pins could be found that go together."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--upgrade", default="", metavar="NAMES|all")
    upgrade = {canonical(name) for name in parser.parse_args(arguments).upgrade.split(",") if name}
    old = read()
    if unknown := upgrade - set(old) - {"all"}:
        print(f"not pinned: {', '.join(sorted(unknown))}", file=sys.stderr)
        return 2
    kept = {} if "all" in upgrade else {name: old[name] for name in old if name not in upgrade}
    wanted = [*requirements(GROUPS), *to_build(), "pip"]
    try:
        chosen = _chosen_by_pip(wanted, kept)
        closure = Closure(
            versions={name: choice.version for name, choice in chosen.items()},
            preferred={name: pin.version for name, pin in kept.items()},
            known={choice.sha256: choice.needs for choice in chosen.values()},
        )
        closure.fetch(environments())
        for environment in environments():
            closure.add(wanted, environment)
        pins = {
            name: _pin(name, version, chosen.get(name), old.get(name))
            for name, version in closure.versions.items()
        }
    except Unresolved as why:
        print(why, file=sys.stderr)
        return 1
    first, last = PYTHONS[0], PYTHONS[-1]
    content = text(pins, f"Python {first[0]}.{first[1]} to {last[0]}.{last[1]}")
    CONSTRAINTS.write_text(content, encoding="utf-8")
    for line in changes(old, pins):
        print(line)
    for name, where in sorted(closure.without_wheel):
        print(f"no wheel of {name} {pins[name].version}: {where}")
    return 0


def changes(old: dict[str, Pin], new: dict[str, Pin]) -> list[str]:
    """Return a line for each pin that came, went or moved."""
    lines = []
    for name in sorted(old.keys() | new.keys()):
        before = old[name].version if name in old else "—"
        after = new[name].version if name in new else "—"
        if before != after:
            lines.append(f"{name}: {before} → {after}")
    return lines


def _chosen_by_pip(wanted: Iterable[str], kept: dict[str, Pin]) -> dict[str, Choice]:
    """Return what pip would install on this machine, by canonical names."""
    with tempfile.TemporaryDirectory() as folder:
        constraints = Path(folder) / "kept.txt"
        constraints.write_text("".join(f"{pin.name}=={pin.version}\n" for pin in kept.values()))
        done = subprocess.run(
            [
                *(sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed"),
                *("--quiet", "--only-binary", ":all:", "--report", "-"),
                *("--constraint", str(constraints), *wanted),
            ],
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
    if done.returncode:
        raise Unresolved("pip found no versions that go together; it says above why")
    found = {}
    for item in json.loads(done.stdout)["install"]:
        name, version = item["metadata"]["name"], item["metadata"]["version"]
        digest = item["download_info"]["archive_info"]["hashes"]["sha256"]
        public, _, local = version.partition("+")
        found[canonical(name)] = Choice(
            name,
            public,
            local,
            digest,
            tuple(item["metadata"].get("requires_dist", ())),
        )
    return found


def _pin(name: str, version: str, choice: Choice | None, old: Pin | None) -> Pin:
    """Return the pin with its hashes.

    Raises
    ------
    Unresolved
        If the file that pip was given here is not one that PyPI has.
    """
    hashes = _hashes(name, version)
    if choice is None:
        return Pin(name, version, frozenset(hashes))
    if name == "torch" and old is not None and old.version == version:
        hashes |= old.hashes  # those of an index that does not answer today
    if choice.local:
        hashes.add(choice.sha256)
    elif choice.sha256 not in hashes:
        raise Unresolved(
            f"{choice.name} {version}: pip was given a file with the SHA-256 {choice.sha256}, "
            "which is not on PyPI; look at the indexes that pip is set to"
        )
    return Pin(choice.name, version, frozenset(hashes))


def _hashes(name: str, version: str) -> set[str]:
    found = {
        wheel.sha256
        for wheel in index.wheels(name)
        if wheel.version == Version(version) and any(map(fits_a_python, wheel.tags))
    }
    if name == "torch":
        for_processors = index.cpu_torch_hashes(version)
        if not for_processors:
            print("no hashes of torch's CPU builds: their index is silent", file=sys.stderr)
        found |= for_processors
    return found


if __name__ == "__main__":
    raise SystemExit(main())
