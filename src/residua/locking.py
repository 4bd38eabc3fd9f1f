"""Locks on files that end with the process, also where that is killed."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

# Of a name that others make and delete again and again; then it counts as theirs.
_TRIES = 20


class NoLocks(OSError):
    """The file system has no locks, such as a share that is mounted without them."""


def lock(descriptor: int) -> bool:
    """Lock an open file against other processes; False: another one has it.

    Raises
    ------
    NoLocks
        There are none here.
    """
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except OSError as error:
        raise NoLocks(error.errno, error.strerror) from error
    return True


def locked(path: Path) -> int | None:
    """Open a lock file, made where it is missing; None: another process has it.

    The file stays when the lock ends: who deleted it could delete that of another process.

    Raises
    ------
    OSError
        It cannot be made.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if lock(descriptor):
            return descriptor
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None


def claimed(path: Path, mode: int = 0o600) -> int | None:
    """Make a file that is this process's alone until its descriptor is closed; None: it is taken.

    A file of that name whose process was killed is deleted first. The file made is new and empty,
    so that nothing is ever written into one that somebody else has laid there. Its owner renames
    or deletes it before the descriptor is closed.

    Parameters
    ----------
    path : Path
    mode : int, default=0o600
        Its permissions, less those that the process's mask takes.

    Raises
    ------
    NoLocks
        There are none here; no file is left.
    OSError
        It cannot be made.
    """
    for _ in range(_TRIES):
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, mode)
        except FileExistsError:
            if not _abandoned(path):
                return None
            continue
        try:
            # Between the two steps another process may have taken the file for an abandoned one.
            if lock(descriptor) and is_at(descriptor, path):
                return descriptor
        except BaseException as error:
            if isinstance(error, NoLocks):
                path.unlink(missing_ok=True)
            os.close(descriptor)
            raise
        os.close(descriptor)
    return None


def is_at(descriptor: int, path: Path) -> bool:
    """Say whether an open file still has a name."""
    with contextlib.suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(descriptor), path.lstat())
    return False


def _abandoned(path: Path) -> bool:
    """Delete a file that no process has; False: one has it, or it is not ours to delete."""
    try:
        descriptor = os.open(path, os.O_RDWR | getattr(os, "O_NOFOLLOW", 0))
    except FileNotFoundError:
        return True
    except OSError:  # another user's, a link, a folder
        return False
    try:
        if not lock(descriptor):
            return False
        # Its owner may have renamed it since it was opened: then it is what was asked for.
        if is_at(descriptor, path):
            path.unlink()
    except PermissionError:
        return False
    finally:
        os.close(descriptor)
    return True
