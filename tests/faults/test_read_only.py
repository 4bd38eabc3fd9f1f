"""Each command where nothing may be written, not even by root: refused before the work."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.faults.conftest import Disk, Residua

from reliability.killing import digests

Arguments = Callable[[Path, Path], tuple[object, ...]]

COMMANDS: dict[str, Arguments] = {
    "fit": lambda bundle, data: ("fit", data, "-o", "new.residua"),
    "refine": lambda bundle, data: ("refine", data, "-o", "new.residua"),
    "score": lambda bundle, data: ("score", bundle, data, "--out", "scores.csv"),
    "score --maps": lambda bundle, data: ("score", bundle, data, "--maps", "maps"),
    "evaluate": lambda bundle, data: ("evaluate", bundle, data, "--out", "found.json"),
    "report": lambda bundle, data: ("report", bundle, data, "-o", "page.html"),
    "recalibrate": lambda bundle, data: ("recalibrate", "m.residua", data, "-o", "m.residua"),
    "watch": lambda bundle, data: ("watch", bundle, data, "--once", "--out", "rows.csv"),
    "watch --ledger": lambda bundle, data: ("watch", bundle, data, "--once", "--ledger", "l.db"),
    "compare": lambda bundle, data: ("compare", data, data, "--normal", "good", "--out", "x"),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_it_is_one_line_with_the_place_and_the_cause(
    command: str, residua: Residua, disk: Disk, bundle: Path, incoming: Path
) -> None:
    shutil.copytree(bundle, "m.residua")
    before = digests(disk.folder)
    disk.read_only()
    force = ("--force",) if command == "recalibrate" else ()
    code, said = residua(*COMMANDS[command](bundle, incoming), *force)
    assert code == 1, said
    assert len(said.strip().splitlines()) == 1
    assert "Read-only file system" in said or "readonly" in said
    assert digests(disk.folder) == before


def test_a_model_on_a_read_only_disk_scores(
    residua: Residua, disk: Disk, bundle: Path, incoming: Path, tmp_path: Path
) -> None:
    shutil.copytree(bundle, "m.residua")
    disk.read_only()
    assert residua("score", "m.residua", incoming, "--out", tmp_path / "scores.csv")[0] == 0
