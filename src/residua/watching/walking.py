"""The pictures that lie below a folder, one after the other, however many there are."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import PurePosixPath

from residua.images.opening import picture_extensions
from residua.watching.settling import UNKNOWN, Signature

_UNFINISHED = frozenset(
    {".crdownload", ".download", ".filepart", ".part", ".partial", ".temp", ".tmp"}
)

Complain = Callable[[str, OSError], None]


class Names:
    """Which names are those of pictures: by their ending, and neither hidden nor temporary."""

    def __init__(self) -> None:
        self._endings = picture_extensions()

    def is_picture(self, name: str) -> bool:
        """Say whether a file of this name is wanted."""
        stem, ending = os.path.splitext(name)  # noqa: PTH122  of every file of a folder
        return (
            ending.lower() in self._endings
            and name[0] not in ".~"
            and os.path.splitext(stem)[1].lower() not in _UNFINISHED  # noqa: PTH122
        )

    def is_wanted(self, below: str) -> bool:
        """Say whether a path below the folder is wanted: nothing of it may be hidden."""
        *folders, name = PurePosixPath(below).parts or ("",)
        hidden = any(folder.startswith(".") for folder in folders)
        return bool(name) and not hidden and self.is_picture(name)


def walk(
    root: str, below: str, names: Names, complain: Complain
) -> Iterator[tuple[str, Signature] | None]:
    """Yield the pictures below a folder, as they lie there; None for each entry that is none.

    Links to folders are followed, each real folder once.

    Parameters
    ----------
    root : str
        The folder that is watched.
    below : str
        Where to begin: a path below it that ends in a separator, or nothing.
    names : Names
    complain : callable
        Called with a folder that may not be listed and the error.

    Yields
    ------
    path : str
        Below ``root``.
    signature : Signature
    """
    folders, seen = [below], set[tuple[int, int]]()
    while folders:
        folder = folders.pop()
        path = os.path.join(root, folder)  # noqa: PTH118
        try:
            status = os.stat(path)  # noqa: PTH116
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            with os.scandir(path) as entries:
                for entry in entries:
                    if entry.name.startswith("."):
                        yield None
                    elif _is_folder(entry):
                        folders.append(f"{folder}{entry.name}{os.sep}")
                    else:
                        yield _picture(folder, entry, names)
        except FileNotFoundError:
            continue
        except OSError as error:
            complain(path, error)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself
        return False


def _picture(folder: str, entry: os.DirEntry[str], names: Names) -> tuple[str, Signature] | None:
    if not names.is_picture(entry.name):
        return None
    try:
        if not entry.is_file():
            return None
        return folder + entry.name, Signature.of(entry.stat())
    except PermissionError:  # in a folder that may be listed, but not searched
        return folder + entry.name, UNKNOWN
    except OSError:  # it vanished
        return None
