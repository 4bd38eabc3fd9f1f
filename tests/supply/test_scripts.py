"""The scripts take a Python for which there are pins, and say so where there is none."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from supply.environments import PYTHONS

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="they are scripts for sh")


def python_of(folder: Path, name: str, version: tuple[int, int]) -> Path:
    """Lay down a command that answers as a Python of some version does."""
    command = folder / name
    command.parent.mkdir(parents=True, exist_ok=True)
    command.write_text(
        f"#!/bin/sh\nexec {sys.executable} -c 'import sys; sys.version_info = {(*version, 0)}; "
        'exec(sys.argv[1])\' "$2"\n'
    )
    command.chmod(0o755)
    return command


def run(
    script: str, *arguments: object, path: Path, **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [ROOT / "scripts" / script, *map(str, arguments)],
        env={"PATH": f"{path}:/usr/bin:/bin", **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("version", PYTHONS)
def test_a_python_with_pins_is_taken(version: tuple[int, int], tmp_path: Path) -> None:
    python = python_of(tmp_path / "bin", "python3", version)
    assert run("python", path=tmp_path / "bin").stdout.strip() == str(python)


@pytest.mark.parametrize("version", [(3, PYTHONS[0][1] - 1), (3, PYTHONS[-1][1] + 1)])
def test_a_python_without_pins_gives_way_to_another(
    version: tuple[int, int], tmp_path: Path
) -> None:
    python_of(tmp_path / "bin", "python3", version)
    for name in ("python3.13", "python3.12"):  # the first is a shim of none
        python = python_of(tmp_path / "bin", name, version if name == "python3.13" else (3, 12))
    assert run("python", path=tmp_path / "bin").stdout.strip() == str(python)


def test_a_python_that_was_named_is_taken_or_refused(tmp_path: Path) -> None:
    named = python_of(tmp_path / "has blank", "python", (3, 12))
    python_of(tmp_path / "bin", "python3", (3, 11))
    assert run("python", path=tmp_path / "bin", PYTHON=str(named)).stdout.strip() == str(named)
    old = python_of(tmp_path, "old", (3, 10))
    done = run("python", path=tmp_path / "bin", PYTHON=str(old))
    assert done.returncode == 1
    assert (
        f"no Python 3.11, 3.12 or 3.13, for which constraints.txt has wheels; looked for: {old}."
        in done.stderr
    )


def test_installing_into_an_interpreter_that_is_missing_says_so(tmp_path: Path) -> None:
    done = run("install", tmp_path / "nowhere", "serve", path=tmp_path, TMPDIR=str(tmp_path))
    assert done.returncode == 1
    assert f"looked for: {tmp_path / 'nowhere'}" in done.stderr
    assert not list(tmp_path.iterdir())
