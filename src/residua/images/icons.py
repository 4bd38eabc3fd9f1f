"""Pictures within icon files, which may be larger than any icon is."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO

from residua.errors import ImageTooLarge

MAX_SIDE = 2_048
"""Columns or rows, the most that a picture within an icon may have; none of Apple's has more than
1,024."""

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CODESTREAM = b"\xff\x4f\xff\x51"
_HEADER_BYTES = 512


def check_icon(stream: BinaryIO, format_name: str, name: str) -> None:
    """Refuse an ICO or ICNS file that holds a picture larger than icons are.

    Pillow tells the size that stands in the file's directory and decodes what is really there, an
    ICO already as it is opened.

    Parameters
    ----------
    stream : binary file
        Seekable.
    format_name : str
        Pillow's; all but ICO and ICNS pass.
    name : str
        What errors call the file.

    Raises
    ------
    ImageTooLarge
    """
    places = {"ICO": _places_in_ico, "ICNS": _places_in_icns}.get(format_name)
    if places is None:
        return
    for place in places(stream):
        stream.seek(place)
        width, height = _size_of(stream.read(_HEADER_BYTES))
        if max(width, height) > MAX_SIDE:
            raise ImageTooLarge(
                f"{name} is an icon that holds a picture of {width} × {height}; an icon has at "
                f"most {MAX_SIDE:,} pixels a side; leave it out"
            )


def _places_in_ico(stream: BinaryIO) -> Iterator[int]:
    stream.seek(4)
    (count,) = struct.unpack("<H", stream.read(2).ljust(2, b"\0"))
    directory = stream.read(16 * count)
    for at in range(12, len(directory) - 3, 16):
        yield struct.unpack_from("<I", directory, at)[0]


def _places_in_icns(stream: BinaryIO) -> Iterator[int]:
    """Yield where blocks begin; of equal ones Pillow takes the last, and all are looked at."""
    place = 8
    while True:
        stream.seek(place)
        head = stream.read(8)
        length = int.from_bytes(head[4:], "big")
        if len(head) < 8 or length < 8:
            return
        yield place + 8
        place += length


def _size_of(content: bytes) -> tuple[int, int]:
    """Return the columns and rows of a PNG, a JPEG 2000 or a bitmap without file header."""
    if content.startswith(_PNG_SIGNATURE):
        return _unpacked(">II", content, 16)
    start = content.find(_CODESTREAM)
    if start >= 0:
        width, height, left, top = struct.unpack(
            ">IIII", content[start + 8 :][:16].ljust(16, b"\0")
        )
        return width - left, height - top
    if content[:4] == b"\x0c\0\0\0":  # OS/2
        return _unpacked("<HH", content, 4)
    if content[:1] in (b"\x28", b"\x34", b"\x38", b"\x40", b"\x6c", b"\x7c"):
        width, height = _unpacked("<ii", content, 4)
        return abs(width), abs(height) // 2  # a mask stands below it
    return 0, 0


def _unpacked(form: str, content: bytes, at: int) -> tuple[int, int]:
    length = struct.calcsize(form)
    first, second = struct.unpack(form, content[at : at + length].ljust(length, b"\0"))
    return first, second
