"""Files that are none, and checksums of too much."""

from __future__ import annotations

import os
import shutil
from functools import partial
from pathlib import Path

from reliability.hostile_bundles.case import SECRET, Case
from residua.bundle import CALIBRATION, CHECKSUMS, FILES

_TARGETS = {
    "a file outside": "{folder}/" + SECRET,
    "a device": "/dev/zero",
    "itself": "{name}",
}


def _link(name: str, target: str, folder: Path) -> None:
    (folder / name).unlink()
    (folder / name).symlink_to(target.format(folder=folder.parent, name=name))


def _pipe(name: str, folder: Path) -> None:
    (folder / name).unlink()
    os.mkfifo(folder / name)


def _folder(name: str, folder: Path) -> None:
    (folder / name).unlink()
    (folder / name).mkdir()


def _sparse(name: str, folder: Path) -> None:
    with (folder / name).open("r+b") as file:
        file.truncate(1 << 42)


def _hard_link(folder: Path) -> None:
    shutil.copyfile(folder / CALIBRATION, folder.parent / "other")
    (folder / CALIBRATION).unlink()
    os.link(folder.parent / "other", folder / CALIBRATION)


def _more_sums(text: str, folder: Path) -> None:
    sums = (folder / CHECKSUMS).read_bytes()
    (folder / CHECKSUMS).write_bytes(text.encode() + sums)


CASES: tuple[Case, ...] = (
    *(
        Case(f"{name} is a link to {what}", partial(_link, name, target), signed=name != CHECKSUMS)
        for name in (*FILES, CHECKSUMS)
        for what, target in _TARGETS.items()
    ),
    *(
        Case(f"{name} is {what}", partial(alter, name), signed=name != CHECKSUMS)
        for name in (*FILES, CHECKSUMS)
        for what, alter in (("a pipe", _pipe), ("a folder", _folder), ("4 TB of nothing", _sparse))
    ),
    Case("a file has a second name outside", _hard_link, "never"),
    Case(
        "checksums name files outside",
        partial(
            _more_sums, f"{'0' * 64}  ../{SECRET}\n{'0' * 64}  /etc/passwd\n{'0' * 64}  a\0b\n"
        ),
        "never",
        signed=False,
    ),
    Case(
        "a million checksums",
        partial(_more_sums, f"{'0' * 64}  x\n" * 1_000_000),
        signed=False,
    ),
)
