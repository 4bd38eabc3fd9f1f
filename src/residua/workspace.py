"""Folders for what a step needs while it runs, and for no longer."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from residua.errors import OutputError
from residua.locking import NoLocks, claimed, is_at
from residua.writing import machine_digest

_LOCK = ".lock"
# Seconds between two looks at a lock that is waited for.
_STEP = 0.05


@contextlib.contextmanager
def workspace(purpose: str, parent: Path | None = None) -> Iterator[Path]:
    """Yield a new folder, deleted when the block ends.

    Those of the same purpose that killed processes of this machine left in ``parent`` are deleted
    first; those of living ones are locked, and stay.

    Parameters
    ----------
    purpose : str
        What its name begins with, such as ``residua-decoded``.
    parent : Path or None, default=None
        None: where the system keeps temporary files, which ``TMPDIR`` names.

    Raises
    ------
    OSError
        It cannot be made.
    """
    within = Path(tempfile.gettempdir()) if parent is None else parent
    prefix = f"{purpose}-{machine_digest()}-"
    if sys.platform != "win32":  # which deletes no file that is open, and so no lock
        _sweep(within, prefix)
    folder, descriptor = _locked_folder(within, prefix)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if descriptor is not None:
            os.close(descriptor)


@contextlib.contextmanager
def alone_in(folder: Path, work: str, *, patience: float = 0.0) -> Iterator[None]:
    """Hold a folder against other processes that do the same work in it.

    Where there are no locks, as on Windows and on some shares, nothing is held.

    Parameters
    ----------
    folder : Path
    work : str
        What is done, in a word, such as ``fit``.
    patience : float, default=0.0
        Seconds for which another process that does it is waited for.

    Raises
    ------
    OutputError
        Another process does it.
    OSError
        The folder cannot be written.
    """
    path = folder / f".{work}.lock"
    if sys.platform == "win32":
        yield
        return
    until = time.monotonic() + patience
    try:
        while (descriptor := claimed(path)) is None and time.monotonic() < until:
            time.sleep(_STEP)
    except NoLocks:
        yield
        return
    if descriptor is None:
        raise OutputError(
            f"another process runs a {work} in {folder}; wait for its end, or choose another name "
            f"for the output; if none runs, delete {path}"
        )
    try:
        yield
    finally:
        # The folder may have been deleted and made anew, by another that now holds it.
        if is_at(descriptor, path):
            path.unlink(missing_ok=True)
        os.close(descriptor)


def remove_if_empty(folder: Path) -> None:
    """Delete a folder that holds nothing; any other stays."""
    with contextlib.suppress(OSError):
        folder.rmdir()


def _sweep(within: Path, prefix: str) -> None:
    for left in within.glob(f"{prefix}*"):
        if left.is_symlink():  # none of ours is; in /tmp anybody may lay one
            continue
        # One that has no lock yet is just being made, or its process died there: whoever comes
        # second makes a new one.
        with contextlib.suppress(OSError):
            path = left / _LOCK
            descriptor = claimed(path)
            if descriptor is not None:
                shutil.rmtree(left, ignore_errors=True)
                if is_at(descriptor, path):  # what is left is another user's
                    path.unlink(missing_ok=True)
                os.close(descriptor)


def _locked_folder(within: Path, prefix: str) -> tuple[Path, int | None]:
    while True:
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=within))
        if sys.platform == "win32":
            return folder, None
        try:
            descriptor = claimed(folder / _LOCK)
        except FileNotFoundError:  # another process swept it away at once
            continue
        except NoLocks:  # it is deleted at the end, or never
            return folder, None
        if descriptor is not None:
            return folder, descriptor
