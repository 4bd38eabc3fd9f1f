"""A hostile bundle: what is done to a sound one, and where it is refused."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from residua.bundle import CHECKSUMS, FILES

KEPT = Path(__file__).parents[3] / "tests" / "kept" / "schema_2"
SECRET = "secret.txt"
"""A file beside the bundle that no case may lead to."""

Alter = Callable[[Path], None]


@dataclass(frozen=True)
class Case:
    """One hostile bundle."""

    name: str
    alter: Alter
    """Changes a sound bundle; checksums that fit are written afterwards."""
    refused: Literal["open", "score", "load", "never"] = "open"
    """Where it is refused at the latest. never: it does no harm."""
    signed: bool = True
    """Whether checksums that fit are written over those that it brings."""


def make(case: Case, folder: Path) -> Path:
    """Write the bundle into a folder that is yet to be, with a file beside it that is not its."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    (folder.parent / SECRET).write_text("not for you\n" * 100, encoding="ascii")
    shutil.copytree(KEPT, folder)
    case.alter(folder)
    if case.signed:
        sign(folder)
    return folder


def sign(folder: Path) -> None:
    """Write checksums that fit, of all that can be read."""
    lines = []
    for name in FILES:
        path = folder / name
        plain = path.is_file() and path.stat().st_size < 1 << 28
        digest = hashlib.sha256(path.read_bytes() if plain else b"").hexdigest()
        lines.append(f"{digest}  {name}\n")
    (folder / CHECKSUMS).write_text("".join(lines), encoding="ascii")


def put(name: str, content: bytes, folder: Path) -> None:
    """Give a file of the bundle another content."""
    (folder / name).write_bytes(content)
