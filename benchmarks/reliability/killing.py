"""Commands that are killed: where they run, how they are killed, what they leave."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

_COMMAND = (sys.executable, "-c", "from residua.cli import main; main()")
# Seconds after which a command hangs.
_PATIENCE = 300
_LITTER = (".residua-*", "residua-*", "decoded-*", ".*.lock", "*.partial")


class NotKept(AssertionError):
    """A promise that was not kept; says where and when."""


class Room:
    """A folder of its own for a command: what it reads and writes, and its temporary files.

    Parameters
    ----------
    folder : Path
        Made here.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.temporary = folder / "tmp"
        self.temporary.mkdir(parents=True)
        own = {name: str(folder / name.lower()) for name in ("XDG_CACHE_HOME", "XDG_STATE_HOME")}
        self.environment: Mapping[str, str] = {
            **os.environ,
            **own,
            "TMPDIR": str(self.temporary),
            # Else torch makes one among the temporary files, once for each user.
            "TORCHINDUCTOR_CACHE_DIR": str(folder / "inductor"),
            "OMP_NUM_THREADS": "1",
            "NO_COLOR": "1",
        }

    def start(self, arguments: Sequence[object]) -> subprocess.Popen[str]:
        """Start ``residua`` in a process group of its own."""
        return subprocess.Popen(
            [*_COMMAND, *map(str, arguments)],
            cwd=self.folder,
            env=dict(self.environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, arguments: Sequence[object]) -> float:
        """Run ``residua`` to its end; returns the seconds that it took."""
        begun = time.monotonic()
        process = self.start(arguments)
        try:
            _, said = process.communicate(timeout=_PATIENCE)
        except BaseException:
            kill(process)
            raise
        if process.returncode:
            raise self._failed(arguments, process.returncode, said)
        return time.monotonic() - begun

    def run_and_kill(self, arguments: Sequence[object], after: float) -> bool:
        """Run ``residua`` and kill it after so many seconds; False: it had ended by then.

        Raises
        ------
        NotKept
            It had ended with an error.
        """
        process = self.start(arguments)
        try:
            _, said = process.communicate(timeout=after)
        except subprocess.TimeoutExpired:
            said = kill(process)
        if process.returncode == -signal.SIGKILL:
            return True
        if process.returncode:
            raise self._failed(arguments, process.returncode, said)
        return False

    def _failed(self, arguments: Sequence[object], code: int, said: str) -> NotKept:
        words = " ".join(map(str, arguments))
        return NotKept(f"residua {words} ends with {code}: {said[-2000:]}")

    def litter(self) -> list[str]:
        """Return the names of what is meant to be there only while a command runs."""
        found = {path for pattern in _LITTER for path in self.folder.rglob(pattern)}
        found |= set(self.temporary.iterdir())
        return sorted(str(path.relative_to(self.folder)) for path in found - {self.temporary})


def kill(process: subprocess.Popen[str]) -> str:
    """Kill a process with all that it has started, as ``kill -9`` does; returns its last words."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    return process.communicate()[1]


def moments(count: int, seconds: float, seed: int) -> Iterator[float]:
    """Yield random moments in the course of a command that takes so many seconds."""
    chance = random.Random(seed)
    for _ in range(count):
        yield chance.uniform(0.01, 0.99) * seconds


def write_pictures(folder: Path, count: int, *, side: int = 16, odd: bool = False) -> Path:
    """Write soft spots as PNG files, or stripes where they are to be odd; returns the folder."""
    folder.mkdir(parents=True)
    chance = np.random.default_rng(int(odd))
    rows, columns = np.mgrid[:side, :side]
    for number in range(count):
        y, x = chance.uniform(side * 0.3, side * 0.7, 2)
        spot = np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / (2 * (side / 6) ** 2))
        stripes = (rows + number) // 2 % 2 * 210 + 20
        pixels = stripes if odd else np.rint(255 * spot)
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{number:05}.png")
    return folder


def digests(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every file below a folder, by its path; {}: there is no folder."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
