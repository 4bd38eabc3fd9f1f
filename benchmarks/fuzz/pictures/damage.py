"""A sound picture made bad: cut, flipped, of absurd size, without its header or its palette."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

import numpy as np

from fuzz.pictures.sound import HEIGHT, WIDTH, Picture

_FLIPS = 24
# Where most of a file's structure stands, and where its headers end.
_HEAD = 64
_STRANGE_HEADERS = (
    b"\x89PNG\r\n\x1a\n",
    b"\xff\xd8\xff\xe0",
    b"GIF89a",
    b"BM",
    b"II*\0\x08\0\0\0",
    b"RIFF\xff\xff\xff\xffWEBPVP8X",
    b"\0\0\1\0\xff\xff",
    b"8BPS\0\1",
)
_ABSURD = (0, 1, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF)
_ABSURD_IN_WORDS = (b"0 0", b"-3 7", b"99999 99999", b"9999999999999999999 1")


def damaged(picture: Picture) -> Iterator[Picture]:
    """Yield one sound picture in the ways in which files go bad."""
    name, content = picture
    for quarter in range(4):
        yield Picture(f"{name}-cut-{quarter}", content[: len(content) * quarter // 4])
    yield Picture(f"{name}-short", content[:-1])
    yield Picture(f"{name}-long", content + content)
    # Of each picture its own, and the same on every run.
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    for number in range(_FLIPS):
        reach = min(_HEAD, len(content)) if number % 2 else len(content)
        flipped = bytearray(content)
        for at in rng.integers(0, reach, 1 + number % 3).tolist():
            flipped[at] ^= 1 << int(rng.integers(8))
        yield Picture(f"{name}-flip-{number}", bytes(flipped))
    for number, header in enumerate(_STRANGE_HEADERS):
        yield Picture(f"{name}-header-{number}", header + content[len(header) :])
    yield from _of_absurd_size(picture)
    yield from _without_palette(picture)


def _of_absurd_size(picture: Picture) -> Iterator[Picture]:
    """Yield it with its sides overwritten wherever they stand, in each way numbers are written."""
    name, content = picture
    for form in ("<HH", ">HH", "<II", ">II"):
        for order, sides in (("", (WIDTH, HEIGHT)), ("-turned", (HEIGHT, WIDTH))):
            at = content.find(struct.pack(form, *sides))
            if at < 0:
                continue
            most = (1 << 8 * struct.calcsize(form[:2])) - 1
            for absurd in _ABSURD:
                if absurd > most:
                    continue
                for width, height in ((absurd, sides[1]), (sides[0], absurd), (absurd, absurd)):
                    changed = bytearray(content)
                    struct.pack_into(form, changed, at, width, height)
                    yield Picture(
                        f"{name}-size{order}-{form}-{width}x{height}", _checked(bytes(changed))
                    )
    at = content.find(b"%d %d" % (WIDTH, HEIGHT))
    if at >= 0:
        for words in _ABSURD_IN_WORDS:
            yield Picture(f"{name}-size-{words.decode()}", content[:at] + words + content[at + 5 :])
    # A TIFF has them in two entries of its directory.
    for tag in (256, 257):
        at = content.find(struct.pack("<HH", tag, 4))
        if content[:4] == b"II*\0" and at >= 0:
            for absurd in _ABSURD:
                changed = bytearray(content)
                struct.pack_into("<I", changed, at + 8, absurd)
                yield Picture(f"{name}-tag-{tag}-{absurd}", bytes(changed))


def _without_palette(picture: Picture) -> Iterator[Picture]:
    name, content = picture
    if content.startswith(b"\x89PNG") and b"PLTE" in content:
        start = content.index(b"PLTE") - 4
        (length,) = struct.unpack_from(">I", content, start)
        yield Picture(f"{name}-no-palette", content[:start] + content[start + 12 + length :])
    if content.startswith(b"GIF") and content[10] & 0x80:
        colours = 3 << ((content[10] & 7) + 1)
        flags = content[10] & 0x7F
        yield Picture(
            f"{name}-no-palette",
            content[:10] + bytes([flags]) + content[11:13] + content[13 + colours :],
        )
    if content.startswith(b"BM"):
        for colours in (0, 1, 257, 0xFFFFFFFF):
            changed = bytearray(content)
            struct.pack_into("<I", changed, 46, colours)
            yield Picture(f"{name}-palette-of-{colours}", bytes(changed))
    at = content.find(struct.pack("<HH", 320, 3))
    if content[:4] == b"II*\0" and at >= 0:
        yield Picture(
            f"{name}-no-palette", content[:at] + struct.pack("<H", 60_000) + content[at + 2 :]
        )
    if content[1:2] == b"\5" and content[:1] == b"\n":  # PCX: it stands at the end
        yield Picture(f"{name}-no-palette", content[:-769])


def _checked(content: bytes) -> bytes:
    """Mend the checksum of a PNG's header, so that its size is believed."""
    if not content.startswith(b"\x89PNG"):
        return content
    checksum = struct.pack(">I", zlib.crc32(content[12:29]))
    return content[:29] + checksum + content[33:]
