"""The pictures that lie below a folder, one after the other, however many there are."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

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


def is_hidden(below: str) -> bool:
    """Say whether a part of a path, or all of it, is hidden."""
    return below.startswith(".") or f"{os.sep}." in below


def walk(
    root: str, below: str, names: Names, complain: Complain
) -> Iterator[tuple[str, Signature] | None]:
    """Yield the pictures below a folder, as they lie there; None for each entry that is none.

    Links to folders are not followed: the same picture would be found under two names.

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
    folders = [below]
    while folders:
        folder = folders.pop()
        path = os.path.join(root, folder)  # noqa: PTH118
        try:
            with os.scandir(path) as entries:
                for entry in entries:
                    if entry.name.startswith("."):
                        yield None
                    elif entry.is_dir(follow_symlinks=False):
                        folders.append(f"{folder}{entry.name}{os.sep}")
                    else:
                        yield _picture(folder, entry, names)
        except FileNotFoundError:
            continue
        except OSError as error:
            complain(path, error)


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
