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
    except Unresolved as why:
        print(why, file=sys.stderr)
        return 1
    pins = {}
    for name, version in closure.versions.items():
        hashes = _hashes(name, version)
        if name in chosen:
            hashes.add(chosen[name].sha256)
        if name == "torch" and name in old and old[name].version == version:
            hashes |= old[name].hashes
        spelling = chosen[name].name if name in chosen else name
        pins[name] = Pin(spelling, version, frozenset(hashes))
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
        found[canonical(name)] = Choice(
            name,
            version.partition("+")[0],
            digest,
            tuple(item["metadata"].get("requires_dist", ())),
        )
    return found


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
