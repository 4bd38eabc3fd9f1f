"""Memory that one step of training frees is kept for the next one.

The C library of Linux gives large blocks back to the system as soon as they are freed, and the
next step has each of their pages cleared and mapped anew: a tenth of a step's time and more.
"""

from __future__ import annotations

import ctypes
import platform
from collections.abc import Iterator
from contextlib import contextmanager

# Parameters of mallopt(3), by their numbers in glibc's malloc.h.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -2, -3, -4
_NEVER = 2**31 - 1
_KEPT = {_MMAP_MAX: 0, _TRIM_THRESHOLD: _NEVER, _TOP_PAD: 64 << 20}
# Where the limits of glibc's own rise to in a process that frees blocks of such sizes; once set,
# they do not rise by themselves any more.
_AFTERWARDS = {
    _MMAP_MAX: 65_536,
    _MMAP_THRESHOLD: 32 << 20,
    _TRIM_THRESHOLD: 64 << 20,
    _TOP_PAD: 128 << 10,
}


@contextmanager
def freed_memory_kept() -> Iterator[None]:
    """Keep freed memory with the process meanwhile, and give it back to the system afterwards.

    Without glibc nothing is changed.
    """
    library = _glibc()
    if library is None:
        yield
        return
    _set(library, _KEPT)
    try:
        yield
    finally:
        _set(library, _AFTERWARDS)
        library.malloc_trim(0)


def _glibc() -> ctypes.CDLL | None:
    if platform.libc_ver()[0] != "glibc":
        return None
    return ctypes.CDLL(None)


def _set(library: ctypes.CDLL, parameters: dict[int, int]) -> None:
    for parameter, value in parameters.items():
        library.mallopt(parameter, value)
