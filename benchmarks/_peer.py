"""Peers: other people's libraries, each in a virtual environment of its own under `.bench`."""

from __future__ import annotations

import json
import subprocess
import venv
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

HERE = Path(__file__).parent
ENVIRONMENTS = HERE.parent / ".bench"
_INSTALLED = "installed.txt"


@dataclass(frozen=True)
class Peer:
    """A library to compare with, and how it is installed."""

    name: str
    """Of its environment's folder; peers of one name share it."""
    requirements: tuple[str, ...]
    """Pinned, as pip takes them."""

    @property
    def home(self) -> Path:
        """The folder of its environment."""
        return ENVIRONMENTS / self.name

    def command(self, name: str) -> Path:
        """Return a program of its environment, which is made where it is missing."""
        mark, wanted = self.home / _INSTALLED, "\n".join(self.requirements)
        if not mark.exists() or mark.read_text(encoding="utf-8") != wanted:
            pip = self.home / "bin" / "pip"
            if not pip.exists():
                venv.create(self.home, with_pip=True, symlinks=True)
            subprocess.run([pip, "install", "--quiet", *self.requirements], check=True)
            mark.write_text(wanted, encoding="utf-8")
        return self.home / "bin" / name

    def run(self, script: str, *arguments: object) -> dict[str, Any]:
        """Run a script of `benchmarks/peers` in its environment; see `run_script`."""
        return run_script(self.command("python"), script, *arguments)


def run_script(python: str | Path, script: str, *arguments: object) -> dict[str, Any]:
    """Run a script of `benchmarks/peers` in a process of its own and return its result.

    Parameters
    ----------
    python : str or Path
        The interpreter, which decides what can be imported.
    script : str
        Its name. It prints its result as JSON on the last line of standard output.
    *arguments : object
        Turned to text.

    Raises
    ------
    SystemExit
        It failed; what it wrote last is shown.
    """
    command = [python, HERE / "peers" / script, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{script} failed:\n{done.stderr[-3_000:]}")
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def exchange() -> TemporaryDirectory[str]:
    """Return a folder for what goes to a peer and comes back; it does not outlive the run."""
    ENVIRONMENTS.mkdir(exist_ok=True)
    return TemporaryDirectory(prefix="exchange-", dir=ENVIRONMENTS)


KERAS = Peer("keras", ("tensorflow-cpu==2.21.0",))
