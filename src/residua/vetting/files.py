"""Reading files that a stranger has laid there: plain files of bounded size, and no links."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from residua.errors import BundleRefused

# Windows has none of these; what is no plain file is found there by its kind before it is opened.
_FLAGS = (
    os.O_RDONLY
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
)
_CHUNK = 1 << 20


@contextmanager
def opened(path: Path, limit: int) -> Iterator[IO[bytes]]:
    """Open a plain file of at most ``limit`` bytes for the length of a ``with``.

    A link is not followed, and a pipe or device not waited for.

    Raises
    ------
    BundleRefused
        It is something else than a plain file, or a larger one.
    OSError
        It cannot be opened.
    """
    _require_plain(path, os.lstat(path).st_mode)
    try:
        descriptor = os.open(path, _FLAGS)
    except OSError as error:
        if error.errno == errno.ELOOP:  # it became a link since
            raise BundleRefused(_not_plain(path, "a link")) from error
        raise
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        _require_plain(path, found.st_mode)
        if found.st_size > limit:
            raise BundleRefused(
                f"{path} has {found.st_size:,} bytes; such a file of a bundle has {limit:,} at most"
            )
        yield file


def content_of(path: Path, limit: int) -> bytes:
    """Return the content of a plain file of at most ``limit`` bytes.

    Raises
    ------
    BundleRefused, OSError
        As for `opened`.
    """
    with opened(path, limit) as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise BundleRefused(f"{path} grows while it is read; it may have {limit:,} bytes at most")
    return content


def sha256_of(path: Path, limit: int) -> str:
    """Return the SHA-256 of a plain file of at most ``limit`` bytes, hexadecimal.

    Raises
    ------
    BundleRefused, OSError
        As for `opened`.
    """
    digest, left = hashlib.sha256(), limit
    with opened(path, limit) as file:
        while left >= 0 and (chunk := file.read(_CHUNK)):
            digest.update(chunk)
            left -= len(chunk)
    if left < 0:
        raise BundleRefused(f"{path} grows while it is read; it may have {limit:,} bytes at most")
    return digest.hexdigest()


def _require_plain(path: Path, mode: int) -> None:
    if not stat.S_ISREG(mode):
        raise BundleRefused(_not_plain(path, _KINDS.get(stat.S_IFMT(mode), "something else")))


def _not_plain(path: Path, kind: str) -> str:
    return (
        f"{path} is {kind} and must be a file; copy the bundle again, with the content of its files"
    )


_KINDS = {
    stat.S_IFLNK: "a link",
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
