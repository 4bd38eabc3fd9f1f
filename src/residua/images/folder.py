"""Which files below a folder are pictures, and what the MVTec AD layout says of them."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path, PurePath
from typing import Literal, NamedTuple

from residua.errors import ConfigurationError, EmptySource, NoReadableImage, UnreadableFile
from residua.images.decode import printable
from residua.images.opening import PREFIX_BYTES, looks_like_picture, picture_extensions

Split = Literal["train", "test"]

_KINDS_SHOWN = 5
_MVTEC_PARTS = (("train", "good"), ("test",), ("ground_truth",))


class Listing(NamedTuple):
    """The pictures below a folder."""

    files: list[str]
    """Paths relative to the root, in the order of their bytes."""
    labels: list[str] | None
    """The class of each, or None where there are no sub-folders."""
    masks: list[str | None] | None
    """The mask file of each, relative to the root; None where the layout has no masks."""
    ignored: int
    """Files that are no pictures."""


def list_folder(root: str, split: Split | None) -> Listing:
    """List the pictures of a folder, with the classes and masks that its layout gives.

    Raises
    ------
    ConfigurationError
        A split is asked for that the folder does not have.
    EmptySource
        Nothing lies below the folder.
    NoReadableImage
        There are files, but none of them is a picture.
    UnreadableFile
        The folder is missing, is a file, or may not be listed.
    """
    check_split(split)
    _check_folder(root)
    mvtec = is_mvtec(root)
    parts = parts_of(root, split, mvtec, split is not None and Path(root, split).is_dir())
    files: list[str] = []
    labels: list[str] = []
    others: Counter[str] = Counter()
    for part in parts:
        found = list(_pictures_below(str(Path(root, part)), others))
        found.sort(key=_by_bytes(found))
        files += [os.path.join(part, file) for file in found]  # noqa: PTH118 (a million of them)
        labels += [first_folder(file, os.sep) for file in found]
    if not files:
        raise nothing_found(root, others)
    masks = None
    if mvtec:
        masks = [mask_of(file, lambda mask: Path(root, mask).is_file()) for file in files]
    return Listing(files, labels if any(labels) else None, masks, others.total())


def check_split(split: str | None) -> None:
    """Refuse a split that is none.

    Raises
    ------
    ConfigurationError
        It is neither "train" nor "test" nor None.
    """
    if split not in (None, "train", "test"):
        raise ConfigurationError(f"split is {split!r}; wanted 'train', 'test' or None for both")


def parts_of(root: str, split: Split | None, mvtec: bool, there: bool) -> list[str]:
    """Return the folders below the root in which pictures are looked for; "" is the root itself.

    Raises
    ------
    ConfigurationError
        The split's folder is not ``there``.
    """
    if split is None:
        return ["train", "test"] if mvtec else [""]
    if not there:
        raise ConfigurationError(
            f"{printable(root)} has no folder {split!r}; leave the split out, or lay the pictures "
            f"out as {split}/<class>/<file>"
        )
    return [split]


def _check_folder(root: str) -> None:
    path = Path(root)
    try:
        exists, is_folder = path.exists(), path.is_dir()
    except OSError as error:
        raise UnreadableFile(f"{printable(root)} cannot be read ({error.strerror})") from error
    if not exists:
        raise UnreadableFile(f"the folder {printable(root)} does not exist; check the path")
    if not is_folder:
        raise UnreadableFile(
            f"{printable(root)} is a file, wanted a folder; for single files give a list of paths"
        )


def _pictures_below(top: str, others: Counter[str]) -> Iterator[str]:
    """Yield the pictures' paths relative to ``top``; count the other files by extension.

    Links to folders are followed after all real folders, each real folder once: so a loop ends,
    and a picture belongs to the folder that it lies in.
    """
    extensions = picture_extensions()
    folders = [""]
    links: list[str] = []
    seen: set[tuple[int, int]] = set()
    while folders or links:
        folder = folders.pop() if folders else links.pop(0)
        inner: list[str] = []
        linked: list[str] = []
        try:
            for entry in _entries(top, folder, seen):
                path = folder + entry.name
                if _is(entry.is_dir):
                    (linked if entry.is_symlink() else inner).append(path + os.sep)
                elif _is_picture(entry, extensions):
                    yield path
                else:
                    others[os.path.splitext(entry.name)[1].lower()] += 1  # noqa: PTH122
        except OSError as error:
            if not folder:
                raise UnreadableFile(
                    f"the folder {printable(top)} may not be listed ({error.strerror})"
                ) from error
            yield folder  # decoding it says what is wrong, in a row of its own
        folders += sorted(inner, key=os.fsencode)
        links += sorted(linked, key=os.fsencode)


def _entries(top: str, folder: str, seen: set[tuple[int, int]]) -> Iterator[os.DirEntry[str]]:
    """Yield what is in a folder, in no order, hidden entries left out; nothing if it was seen."""
    path = os.path.join(top, folder)  # noqa: PTH118
    status = os.stat(path)  # noqa: PTH116
    if (status.st_dev, status.st_ino) in seen:
        return
    seen.add((status.st_dev, status.st_ino))
    with os.scandir(path) as entries:
        yield from (entry for entry in entries if not entry.name.startswith("."))


def _by_bytes(names: list[str]) -> Callable[[str], bytes] | None:
    """Return the key that sorts names by their bytes: none is needed where all are ASCII."""
    return None if all(map(str.isascii, names)) else os.fsencode


def _is_picture(entry: os.DirEntry[str], extensions: frozenset[str]) -> bool:
    named_like_one = os.path.splitext(entry.name)[1].lower() in extensions  # noqa: PTH122
    if not _is(entry.is_file):
        # A dangling link is a picture that got lost; a pipe or a device never was one.
        return named_like_one and entry.is_symlink() and not Path(entry.path).exists()
    if named_like_one:
        return True
    try:
        with Path(entry.path).open("rb") as stream:
            return looks_like_picture(stream.read(PREFIX_BYTES))
    except OSError:
        return False


def _is(kind: Callable[[], bool]) -> bool:
    try:
        return kind()
    except OSError:  # a link that leads to itself
        return False


def first_folder(file: str, separator: str) -> str:
    """Return the class that a path below the root, or below a part of it, says: "" for none."""
    folder, found, _ = file.partition(separator)
    return printable(folder) if found else ""


def nothing_found(root: str, others: Counter[str]) -> EmptySource | NoReadableImage:
    """Build the error for a folder of no pictures, by the extensions of its ``others``."""
    if not others:
        return EmptySource(f"the folder {printable(root)} is empty; wanted picture files in it")
    kinds = ", ".join(
        f"{count} × {printable(extension) or 'without extension'}"
        for extension, count in others.most_common(_KINDS_SHOWN)
    )
    return NoReadableImage(
        f"none of the {others.total()} files in {printable(root)} is a picture ({kinds}); "
        "wanted files of a format that Pillow reads, as PNG, JPEG or TIFF"
    )


def is_mvtec(root: str) -> bool:
    """Recognise train/good beside test/<defect> or ground_truth/<defect>."""
    # os.path: a folder that may not be searched is "no folder" to it, where pathlib raises.
    good, *rest = (os.path.isdir(os.path.join(root, *part)) for part in _MVTEC_PARTS)  # noqa: PTH112, PTH118
    return good and any(rest)


def mask_of(
    file: str, is_there: Callable[[str], bool], kind: type[PurePath] = PurePath
) -> str | None:
    """Find the mask of test/<defect>/<stem>.*, which lies below ground_truth/<defect>."""
    path = kind(file)
    part, *defect = path.parent.parts
    if part != "test" or not defect:
        return None
    for name in (f"{path.stem}_mask.png", f"{path.stem}.png"):
        mask = str(kind("ground_truth", *defect, name))
        if is_there(mask):
            return mask
    return None
