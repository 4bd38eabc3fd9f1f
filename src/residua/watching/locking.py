"""A lock on an open file that ends with the process, also where that is killed."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def lock(descriptor: int) -> bool:
    """Lock an open file against other processes; False: another one has it."""
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
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
    if lock(descriptor):
        return descriptor
    os.close(descriptor)
    return None
