"""Files that appear under their final name only when they are whole."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path


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
        os.fchmod(descriptor, 0o666 & ~file_mask())
        os.close(descriptor)
        yield beside
        with beside.open("rb") as file:
            os.fsync(file.fileno())
        beside.replace(final)
    finally:
        beside.unlink(missing_ok=True)


def file_mask() -> int:
    """Return the process's mask of file modes, which can only be read by setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
