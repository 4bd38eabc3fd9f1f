"""The file of pins: each distribution with its one version and the SHA-256 of its wheels."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
CONSTRAINTS = ROOT / "constraints.txt"
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})(?=\s|$)")
_PIN = re.compile(r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)==(?P<version>[A-Za-z0-9.!]+)(?P<rest>.*)")
_HEADER = """\
# Every version that the scripts install, with the SHA-256 of each of its wheels for {pythons}.
# Complete for Linux on x86_64 and aarch64, macOS on arm64 and Windows on AMD64.
# Made by scripts/lock, which says how to change a pin.
# Ranges for users of the library are in pyproject.toml.
"""


@dataclass(frozen=True)
class Pin:
    """One distribution of the file."""

    name: str
    """As the index spells it."""

    version: str
    """Without a local part such as +cpu, of which the hashes are listed all the same."""

    hashes: frozenset[str]
    """SHA-256 of the files that may be installed, in hexadecimal digits."""


def canonical(name: str) -> str:
    """Return a distribution's name as it is compared (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def read(path: Path = CONSTRAINTS) -> dict[str, Pin]:
    """Return the pins of a file by their canonical names.

    Raises
    ------
    ValueError
        If a line is no pin, or a distribution is pinned twice.
    """
    found: dict[str, Pin] = {}
    joined = path.read_text(encoding="utf-8").replace("\\\n", " ")
    for line in joined.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        pin = _PIN.fullmatch(line.strip())
        if pin is None or _HASH.sub("", pin["rest"]).strip():
            raise ValueError(f"{path}: not a pin: {line[:80]!r}; write name==version --hash=…")
        name = canonical(pin["name"])
        if name in found:
            raise ValueError(f"{path}: {pin['name']} is pinned twice")
        found[name] = Pin(pin["name"], pin["version"], frozenset(_HASH.findall(pin["rest"])))
    return found


def text(pins: dict[str, Pin], pythons: str) -> str:
    """Return the content of the file, which pip reads as constraints."""
    lines = [_HEADER.format(pythons=pythons)]
    for _, pin in sorted(pins.items()):
        lines.append(f"{pin.name}=={pin.version}")
        lines += [f"    --hash=sha256:{digest}" for digest in sorted(pin.hashes)]
    # Every line that another one of the same pin follows goes on there.
    content = "\n".join(lines) + "\n"
    return re.sub(r"\n    --hash", r" \\\n    --hash", content)
