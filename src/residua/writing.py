"""Files that appear under their final name only when they are whole."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from residua.errors import OutputError


@contextlib.contextmanager
def whole_file(final: Path) -> Iterator[Path]:
    """Yield a path beside ``final``; what is written there takes the final name at the end.

    Where the block ends with an error, the file is deleted and ``final`` stays as it was.

    Raises
    ------
    OSError
        The file cannot be made, flushed to disk or renamed.
    """
    descriptor, name = tempfile.mkstemp(prefix=".residua-", dir=final.absolute().parent)
    beside = Path(name)
    try:
        # The mode that a plain open() would have given.
        if hasattr(os, "fchmod"):  # Windows has no such modes
            os.fchmod(descriptor, 0o666 & ~file_mask())
        os.close(descriptor)
        yield beside
        with beside.open("rb") as file:
            os.fsync(file.fileno())
        beside.replace(final)
    finally:
        beside.unlink(missing_ok=True)


def write_text(final: Path, text: str) -> Path:
    """Write a text file as a whole; returns its path.

    Raises
    ------
    OutputError
        Its folder does not exist, or it cannot be written.
    """
    check_parent(final)
    try:
        with whole_file(final) as beside:
            beside.write_text(text, encoding="utf-8")
    except OSError as error:
        raise OutputError(f"{final} cannot be written: {error.strerror or error}") from error
    return final


def check_parent(final: Path) -> None:
    """Refuse a file whose folder does not exist, before the work that it is to hold.

    Raises
    ------
    OutputError
        The folder does not exist, or the file is a folder itself.
    """
    parent = final.absolute().parent
    if not parent.is_dir():
        raise OutputError(
            f"{final}: the folder {parent} does not exist; make it first: mkdir -p {parent}"
        )
    if final.is_dir():
        raise OutputError(f"{final} is a folder; name a file")


def file_mask() -> int:
    """Return the process's mask of file modes, which can only be read by setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
