"""Pictures in an object store: listed and read by the rules for folders of a disk."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from pathlib import PurePosixPath

from residua.errors import (
    EmptySource,
    ImageTooLarge,
    NothingStored,
    StorageDenied,
    StorageError,
    UnreadableFile,
)
from residua.images.decode import printable
from residua.images.folder import (
    Listing,
    Split,
    check_split,
    first_folder,
    mask_of,
    nothing_found,
    parts_of,
)
from residua.images.opening import PREFIX_BYTES, looks_like_picture, picture_extensions
from residua.images.parallel import map_in_order
from residua.storage import concerns_one_object, exists, joined, list_files, read_prefix

REQUESTS_AT_ONCE = 16
"""Threads that ask a store: it answers late, and most of the time they wait."""

MOST_BYTES = 1 << 29
"""Bytes of an object that are read: the largest picture that is decoded by default, as raw RGB."""


def list_remote_folder(url: str, split: Split | None) -> Listing:
    """List the pictures below a URL; see `residua.images.folder.list_folder`.

    The first bytes of an object whose name is not a picture's are read, as those of a file are.

    Raises
    ------
    ConfigurationError, EmptySource, NoReadableImage
        As for a folder.
    UnreadableFile
        There is no such bucket, or it may not be listed.
    StorageError
        The store does not answer.
    """
    check_split(split)
    try:
        names = list_files(url)
    except NothingStored as error:
        raise EmptySource(f"{error}; wanted picture files in it") from error
    except StorageDenied as error:
        raise UnreadableFile(f"the folder {url} may not be listed: {error}") from error
    mvtec = _begins(names, "train/good/") and (
        _begins(names, "test/") or _begins(names, "ground_truth/")
    )
    parts = parts_of(url, split, mvtec, split is not None and _begins(names, f"{split}/"))
    files: list[str] = []
    labels: list[str] = []
    others: Counter[str] = Counter()
    for part in parts:
        below = [name for name in names if name.startswith(f"{part}/")] if part else names
        found = _pictures_among(url, below, others)
        files += found
        labels += [first_folder(name[len(part) + 1 :] if part else name, "/") for name in found]
    if not files:
        raise nothing_found(url, others)
    there = {name for name in names if name.startswith("ground_truth/")} if mvtec else set()
    masks = [mask_of(file, there.__contains__, PurePosixPath) for file in files] if mvtec else None
    return Listing(files, labels if any(labels) else None, masks, others.total())


def is_remote_mvtec(url: str) -> bool:
    """Recognise train/good beside test or ground_truth below a URL."""
    return exists(joined(url, "train/good/")) and (
        exists(joined(url, "test/")) or exists(joined(url, "ground_truth/"))
    )


def read_object(url: str) -> bytes:
    """Return the content of a picture's object.

    Raises
    ------
    UnreadableFile
        It is missing or may not be read: a failure of this picture alone.
    ImageTooLarge
        It has more than `MOST_BYTES` bytes.
    StorageError
        The store does not answer, or not these credentials, which is no picture's failure.
    """
    try:
        content = read_prefix(url, MOST_BYTES + 1)
    except StorageError as error:
        if not concerns_one_object(error):
            raise
        raise UnreadableFile(printable(str(error))) from error
    if len(content) > MOST_BYTES:
        raise ImageTooLarge(
            f"{printable(url)} has more than {MOST_BYTES:,} bytes; if it is a picture, scale it "
            f"down, or copy it to a disk"
        )
    return content


def _pictures_among(url: str, names: list[str], others: Counter[str]) -> list[str]:
    """Return the names of pictures, in their order; count the other ones by extension."""
    extensions = picture_extensions()
    named = [os.path.splitext(name)[1].lower() in extensions for name in names]  # noqa: PTH122
    doubtful = [name for name, clear in zip(names, named, strict=True) if not clear]
    shown = set(_looking_like_pictures(url, doubtful))
    found = []
    for name, clear in zip(names, named, strict=True):
        if clear or name in shown:
            found.append(name)
        else:
            others[os.path.splitext(name)[1].lower()] += 1  # noqa: PTH122
    return found


def _looking_like_pictures(url: str, names: list[str]) -> Iterable[str]:
    def looks(name: str) -> bool:
        try:
            return looks_like_picture(read_prefix(joined(url, name), PREFIX_BYTES))
        except StorageError as error:  # as a file that may not be read
            if not concerns_one_object(error):
                raise
            return False

    answers = map_in_order(looks, names, workers=REQUESTS_AT_ONCE, window=4 * REQUESTS_AT_ONCE)
    return (name for name, answer in zip(names, answers, strict=True) if answer)


def _begins(names: list[str], start: str) -> bool:
    return any(name.startswith(start) for name in names)
