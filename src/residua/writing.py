"""Files and folders that appear under their final name only when they are whole.

Until then they lie beside it under a name that follows from the final one and from the machine's,
and are locked. What a killed process left there is deleted by the next one that writes the same,
so that such rests do not pile up; what a living one writes is locked and left alone, and so is
all of other machines, whose locks a shared file system need not show.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import platform
import secrets
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from residua.errors import OutputError
from residua.locking import NoLocks, claimed, is_at

# Processes that may write one file at once before the names run out; then names are drawn.
_MOST_AT_ONCE = 50
# As a plain open() asks for; the process's mask takes from it.
_MODE = 0o666
_UNFINISHED, _ASIDE = ".unfinished", ".replaced"
_IN_THE_WAY = (errno.ENOTEMPTY, errno.EEXIST)


@contextlib.contextmanager
def whole_file(final: Path) -> Iterator[Path]:
    """Yield a path beside ``final``; what is written there takes the final name at the end.

    Where the block ends with an error, the file is deleted and ``final`` stays as it was. Where
    the process is killed, the next one that writes ``final`` deletes it. The file is to be written
    in place, not replaced by another one.

    Raises
    ------
    OSError
        The file cannot be made, flushed to disk or renamed.
    """
    with _place_beside(final) as beside:
        yield beside
        _flush(beside)
        beside.replace(final)


@contextlib.contextmanager
def whole_folder(final: Path) -> Iterator[Path]:
    """Yield a folder beside ``final`` that takes the final name at the end.

    A folder of that name is replaced: in one step where the system can swap two names; elsewhere
    the old one steps aside for a moment, and `put_back` returns it where the process was killed in
    between. Where the block ends with an error, ``final`` stays as it was.

    Raises
    ------
    OSError
        The folder cannot be made or renamed.
    """
    put_back(final)
    with _place_beside(final) as claim:
        beside, aside = (claim.with_name(claim.name + end) for end in (_UNFINISHED, _ASIDE))
        for left in (beside, aside):
            if left.exists():
                shutil.rmtree(left)
        beside.mkdir()
        try:
            yield beside
            for path in filter(Path.is_file, beside.rglob("*")):
                _flush(path)
            _take_place(beside, final, aside)
        finally:
            shutil.rmtree(beside, ignore_errors=True)
            if final.exists():
                shutil.rmtree(aside, ignore_errors=True)
        claim.unlink()


def put_back(final: Path) -> None:
    """Return a folder to its name that a killed process had set aside to replace it."""
    parent = final.absolute().parent
    if final.exists() or not parent.is_dir():
        return
    for aside in parent.glob(f"{_stem(final)}*{_ASIDE}"):
        with contextlib.suppress(OSError):
            claim = aside.with_name(aside.name.removesuffix(_ASIDE))
            descriptor = claimed(claim)
            if descriptor is None:  # it is being replaced
                continue
            try:
                aside.rename(final)
            finally:
                claim.unlink()
                os.close(descriptor)
            return


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
    """Refuse a file whose folder does not exist or takes no files, before the work for it.

    Raises
    ------
    OutputError
        The folder does not exist or cannot be written, or the file is a folder itself, or a device.
    """
    parent = final.absolute().parent
    if not parent.is_dir():
        raise OutputError(
            f"{final}: the folder {parent} does not exist; make it first: mkdir -p {parent}"
        )
    if final.is_dir():
        raise OutputError(f"{final} is a folder; name a file")
    if final.exists() and not final.is_file():  # it would be replaced by one
        raise OutputError(f"{final} is no plain file; name another")
    check_folder(parent)


def check_folder(folder: Path) -> None:
    """Refuse a folder in which no file can be made.

    Raises
    ------
    OutputError
        It is read-only, not this user's, or on a disk that takes no more files.
    """
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OutputError(
            f"nothing can be written in {folder}: {error.strerror}; choose another folder, or see "
            f"to its permissions and its disk"
        ) from error


def make_folder(folder: Path) -> Path:
    """Make a folder and those above it, and see that it takes files; returns it.

    Raises
    ------
    OutputError
        It cannot be made, or takes no files.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"the folder {folder} cannot be made: {error.strerror}; choose another"
        ) from error
    check_folder(folder)
    return folder


def machine_digest() -> str:
    """Return what tells this machine's files from those of others on a shared disk: 8 digits."""
    return hashlib.sha256(platform.node().encode("utf-8", "replace")).hexdigest()[:8]


@contextlib.contextmanager
def _place_beside(final: Path) -> Iterator[Path]:
    """Yield a new file beside ``final`` that no other process has; delete it if it is still there.

    It is this process's until the block ends: then, and not before, another may use its name.
    """
    beside, descriptor = _claim(final)
    try:
        yield beside
    except BaseException:
        if descriptor is None or is_at(descriptor, beside):
            beside.unlink(missing_ok=True)
        raise
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _flush(path: Path) -> None:
    # Windows flushes no file that is open for reading only; elsewhere one may be write-protected.
    with path.open("r+b" if sys.platform == "win32" else "rb") as file:
        os.fsync(file.fileno())


def _claim(final: Path) -> tuple[Path, int | None]:
    parent, stem = final.absolute().parent, _stem(final)
    if sys.platform != "win32":  # which renames no file that is open
        # Without locks names are drawn, and what a killed process leaves has to stay.
        with contextlib.suppress(NoLocks):
            for number in range(_MOST_AT_ONCE):
                beside = parent / (f"{stem}-{number}" if number else stem)
                descriptor = claimed(beside, _MODE)
                if descriptor is not None:
                    return beside, descriptor
    drawn = parent / f"{stem}-{secrets.token_hex(8)}"
    drawn.touch(_MODE, exist_ok=False)
    return drawn, None


def _stem(final: Path) -> str:
    name = os.fsencode(final.name)
    return f".residua-{machine_digest()}-{hashlib.sha256(name).hexdigest()[:12]}"


def _take_place(beside: Path, final: Path, aside: Path) -> None:
    """Give ``final``'s name to a folder; what had it is ``beside`` or ``aside`` afterwards."""
    try:
        beside.rename(final)
        return
    except OSError as error:
        if error.errno not in _IN_THE_WAY:
            raise
    if _swapped(beside, final):
        return
    # Until one of the two has the final name, nothing is deleted.
    final.rename(aside)
    try:
        beside.rename(final)
    except BaseException:
        if not final.exists():
            aside.rename(final)
        raise


def _swapped(one: Path, other: Path) -> bool:
    """Swap two names in one step; False: the system or the file system cannot."""
    if sys.platform != "linux":
        return False
    import ctypes

    relative_to_here, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    try:
        rename = ctypes.CDLL(None).renameat2
    except (OSError, AttributeError):  # an old C library
        return False
    paths = os.fsencode(one), os.fsencode(other)
    return bool(rename(relative_to_here, paths[0], relative_to_here, paths[1], exchange) == 0)
