"""Size on disk of Residua installed: bare, and with every extra for a processor without a card.

    scripts/bench installed_size [--page]

Each is a new virtual environment into which scripts/install installs this checkout with the versions
of constraints.txt, from the registry that pip is set to; its torch has to be the build for processors
only (where the registry has others: PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu). The
size is the sum of the bytes of all files, links not followed: that of the whole environment, and
without pip itself, which the environment needs only while it is made. A distribution's size is that
of its files with their compiled bytecode.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from _page import Goal, Table, parser, publish

ROOT = Path(__file__).parent.parent
WANTED = {"": ("bare", 350), "[all]": ("everything for CPU", 2_000)}
"""Extras, with what they are called and the megabytes that they may take."""
LARGEST = 12

# Run in the new environment; prints the bytes of each distribution there.
_BY_DISTRIBUTION = """
import json, os
from importlib.metadata import distributions
def size(distribution):
    paths = {os.path.normpath(distribution.locate_file(file)) for file in distribution.files or []}
    return sum(os.lstat(path).st_size for path in paths if os.path.lexists(path))
print(json.dumps({found.name: size(found) for found in distributions()}))
"""


def main() -> None:
    options = parser(__doc__).parse_args()
    totals, tables, goals = [], [], []
    for extras, (what, megabytes) in WANTED.items():
        with tempfile.TemporaryDirectory() as name:
            python = environment(Path(name) / "venv", extras)
            whole, sizes = bytes_below(Path(name)), by_distribution(python)
        without_pip = whole - sizes["pip"]
        command = f"`pip install 'residua{extras}'`" if extras else "`pip install residua`"
        totals.append([command, f"{len(sizes)}", in_mb(whole), in_mb(without_pip)])
        tables.append(largest(command, sizes))
        measured = f"{in_mb(whole)} MB ({in_mb(without_pip)} MB without pip)"
        goals.append(
            Goal(
                f"installed size, {what}", f"≤ {megabytes:,} MB", measured, whole <= megabytes * 1e6
            )
        )
    header = ["", "distributions", "whole environment, MB", "without pip, MB"]
    total = Table("Installed size", header, totals)
    publish("installed_size", [total, *tables], goals, page=options.page)


def environment(folder: Path, extras: str) -> Path:
    """Install this checkout into a new virtual environment and return its Python."""
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    python = folder / "bin" / "python"
    subprocess.run([ROOT / "scripts" / "install", python, extras.strip("[]")], check=True)
    return python


def by_distribution(python: Path) -> dict[str, int]:
    done = subprocess.run(
        [python, "-I", "-c", _BY_DISTRIBUTION], check=True, capture_output=True, text=True
    )
    sizes: dict[str, int] = json.loads(done.stdout)
    return sizes


def bytes_below(folder: Path) -> int:
    return sum(
        os.lstat(os.path.join(parent, name)).st_size  # noqa: PTH118
        for parent, _, names in os.walk(folder)
        for name in names
    )


def largest(command: str, sizes: dict[str, int]) -> Table:
    ordered = sorted(sizes.items(), key=lambda item: item[1], reverse=True)
    rows = [[name, in_mb(size)] for name, size in ordered[:LARGEST]]
    rest = ordered[LARGEST:]
    rows.append([f"{len(rest)} others", in_mb(sum(size for _, size in rest))])
    return Table(f"The largest distributions of {command}", ["distribution", "MB"], rows)


def in_mb(size: int) -> str:
    return f"{size / 1e6:,.1f}"


if __name__ == "__main__":
    main()
