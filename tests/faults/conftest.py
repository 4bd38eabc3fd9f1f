"""The command line in this process, and disks that are full or read-only."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from numpy.typing import NDArray
from PIL import Image

from residua.cli import main

Residua = Callable[..., tuple[int, str]]


@pytest.fixture
def residua(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Residua:
    """Call a command as its user does; returns the exit code and what it said on errors."""
    monkeypatch.setenv("COLUMNS", "300")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))

    def run(*arguments: object) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["residua", *map(str, arguments)])
        capsys.readouterr()
        try:
            main()
        except SystemExit as end:
            return int(end.code or 0), capsys.readouterr().err
        return 0, capsys.readouterr().err

    return run


class Disk:
    """A file system of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self._mount("-t", "tmpfs", "-o", "size=64m", "tmpfs")

    def limit(self, kib: int) -> None:
        """Let it hold so much and no more."""
        self._mount("-o", f"remount,size={kib}k")

    def fill(self, leave: int) -> None:
        """Fill it but for so many KiB."""
        used = subprocess.run(
            ["du", "-sk", self.folder], check=True, capture_output=True, text=True
        ).stdout
        self.limit(max(int(used.split()[0]) + leave, 4))  # 0 is no limit

    def read_only(self) -> None:
        """Let nothing be written, not even by root."""
        self._mount("-o", "remount,ro")

    def names(self) -> list[str]:
        """Return what lies on it."""
        return sorted(path.name for path in self.folder.iterdir())

    def end(self) -> None:
        subprocess.run(["umount", "-l", self.folder], check=True)

    def _mount(self, *arguments: str) -> None:
        done = subprocess.run(
            ["mount", *arguments, str(self.folder)], check=False, capture_output=True, text=True
        )
        if done.returncode:
            pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    """A small disk, which is the current folder."""
    if sys.platform != "linux":
        pytest.skip("mounting a small file system is Linux's way")
    disk = Disk(tmp_path / "disk")
    monkeypatch.chdir(disk.folder)
    yield disk
    monkeypatch.undo()
    disk.end()


@pytest.fixture(scope="session")
def incoming(blobs: NDArray, stripes: NDArray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures in the classes good (60) and bad (20)."""
    root = tmp_path_factory.mktemp("incoming")
    for name, images in (("good", blobs[:60]), ("bad", stripes)):
        (root / name).mkdir()
        for number, image in enumerate(images):
            Image.fromarray(image).save(root / name / f"{number:02}.png")
    return root


@pytest.fixture
def trusted(incoming: Path) -> Path:
    return incoming / "good"
