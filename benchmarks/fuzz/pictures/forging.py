"""Files put together by hand, with what no program would write in them."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence

from PIL import Image

from fuzz.pictures.sound import content_of

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def png_chunk(kind: bytes, content: bytes) -> bytes:
    """Return a chunk with its length and checksum."""
    checksum = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)


def png(
    size: tuple[int, int],
    pixels: bytes,
    *,
    depth: int = 8,
    colours: int = 0,
    interlaced: int = 0,
    before: bytes = b"",
    after: bytes = b"",
) -> bytes:
    """Return a PNG of a packed stream of pixels, with chunks before and after them."""
    header = struct.pack(">IIBBBBB", *size, depth, colours, 0, 0, interlaced)
    return (
        PNG_SIGNATURE
        + png_chunk(b"IHDR", header)
        + before
        + png_chunk(b"IDAT", pixels)
        + after
        + png_chunk(b"IEND", b"")
    )


def packed_zeros(count: int) -> bytes:
    """Return so many zeros, packed, made from one packed block that comes again and again."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    rest = packer.compress(bytes(count % (1 << 20))) + packer.flush()
    checksum = (count % 65_521) << 16 | 1
    return b"\x78\xda" + block * (count >> 20) + rest + struct.pack(">I", checksum)


def jpeg_segment(marker: int, content: bytes) -> bytes:
    """Return a marker with its content."""
    return b"\xff" + bytes([marker]) + struct.pack(">H", len(content) + 2) + content


def jpeg_of_scans(side: int, scans: int, mode: str = "L") -> bytes:
    """Return a progressive JPEG whose last scan comes so many times more."""
    content = content_of("JPEG", Image.new(mode, (side, side)), progressive=True)
    last = content[content.rindex(b"\xff\xda") : -2]
    return content[:-2] + last * scans + content[-2:]


def tiff_of_tags(entries: Sequence[tuple[int, int, int, int]], following: int = 0) -> bytes:
    """Return a TIFF of one directory: tag, type, count, and value or place of each entry."""
    packed = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return (
        b"II*\0\x08\0\0\0" + struct.pack("<H", len(entries)) + packed + struct.pack("<I", following)
    )


def grey_tiff(
    size: tuple[int, int],
    data: bytes,
    *,
    compression: int = 1,
    bits: int = 8,
    more: Sequence[tuple[int, int, int, int]] = (),
    parts: int = 1,
    tiles: tuple[int, int] | None = None,
    rows: int | None = None,
) -> bytes:
    """Return a grey TIFF, all of whose strips or tiles are the same data."""

    def directory(place: int, table: int) -> bytes:
        entries = {256: (4, 1, size[0]), 257: (4, 1, size[1]), 258: (3, 1, bits)}
        entries |= {259: (3, 1, compression), 262: (3, 1, 1), 277: (3, 1, 1)}
        where, how_much = (324, 325) if tiles else (273, 279)
        if tiles:
            entries |= {322: (4, 1, tiles[0]), 323: (4, 1, tiles[1])}
        else:
            entries[278] = (4, 1, rows or size[1])
        entries[where] = (4, parts, place if parts == 1 else table)
        entries[how_much] = (4, parts, len(data) if parts == 1 else table + 4 * parts)
        entries |= {tag: (kind, count, value) for tag, kind, count, value in more}
        return tiff_of_tags([(tag, *entries[tag]) for tag in sorted(entries)])

    place = len(directory(0, 0))
    table = place + len(data) + len(data) % 2
    tables = b""
    if parts > 1:
        tables = struct.pack("<I", place) * parts + struct.pack("<I", len(data)) * parts
    return directory(place, table) + data + bytes(len(data) % 2) + tables
