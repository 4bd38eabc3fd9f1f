"""Places for results, refused before the work where nothing can be written there."""

from __future__ import annotations

import os
from pathlib import Path

from residua import writing
from residua.storage.locations import Location, as_local, joined
from residua.storage.objects import check_writable, write_bytes


def check_output(location: Location) -> None:
    """Refuse a file that cannot be written, before the work that it is to hold.

    Raises
    ------
    OutputError
        The local folder does not exist, or the file is a folder itself.
    StorageError
        Nothing can be written at the URL.
    """
    local = as_local(location)
    if local is None:
        check_writable(os.fspath(location))
    else:
        writing.check_parent(Path(local))


def check_output_folder(location: Location | None) -> None:
    """Refuse a folder in which nothing can be written, before the work; None is no folder.

    A local one is made, or refused, where it is written to.

    Raises
    ------
    StorageError
        Nothing can be written below the URL.
    """
    if location is not None and as_local(location) is None:
        check_writable(joined(location, "any"))


def write_text(location: Location, text: str) -> None:
    """Write a text file as a whole.

    Raises
    ------
    OutputError, StorageError
        It cannot be written.
    """
    local = as_local(location)
    if local is None:
        write_bytes(os.fspath(location), text.encode())
    else:
        writing.write_text(Path(local), text)
