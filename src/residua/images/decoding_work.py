"""Work to decode with: refused where a picture takes many times what one of its size should.

A file of kilobytes may have its pixels gone over thousands of times, and some formats are decoded
by Python, some hundred times slower than by C. What that takes is counted in pixels, so that the
limit of pixels bounds it.
"""

from __future__ import annotations

import os
import re
from typing import IO

from PIL import Image
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.TiffImagePlugin import TILELENGTH, TILEWIDTH, TiffImageFile

from residua.errors import ImageTooCostly, UnsupportedImage

SCANS = 24
"""Scans of a JPEG that count as once over its pixels; programs write 10, of four colours 18."""
# Pixels of PNG or JPEG that are decoded in the time of one, and in that of a byte where runs are
# unpacked one by one; measured with Pillow 13.
_GREY_IN_PYTHON, _COLOURS_IN_PYTHON, _JPEG2000, _A_BYTE_OF_RUNS = 30, 56, 4, 16
_RUNS = "bmp_rle"
# Decoded in Python as well, but whole rows at a time.
_BY_ROWS = frozenset({"MSP", "SGI16"})

# Each row costs some time and memory of its own.
_LEAST_WIDTH, _FEW_ROWS = 16, 1 << 20
# Tiles are unpacked whole, whatever the picture has of them; most programs write some 256 a side.
_MOST_OF_A_TILE = 1 << 22

# A JPEG beyond is not read to count its scans: some cameras append a film, none a disk.
_LEAST_BYTES, _BYTES_A_PIXEL = 1 << 26, 64

_START_OF_SCAN, _END = 0xDA, 0xD9
# All but escaped data, restarts and fill.
_MARKER = re.compile(rb"\xff([^\x00\xd0-\xd7\xff])")
# Those without a length, beside restarts.
_BARE = frozenset({0x01, 0xD8})


def check_work(image: Image.Image, name: str, max_pixels: int) -> None:
    """Refuse a picture that takes more work than the largest that is allowed.

    Parameters
    ----------
    image : PIL.Image.Image
        Of a file, not decoded yet; others pass.
    name : str
        What errors call the picture.
    max_pixels : int
        The limit of pixels.

    Raises
    ------
    ImageTooCostly
        Its pixels, times what each takes, are more than ``max_pixels``.
    UnsupportedImage
        It holds a picture whose own header nobody looks at before it is decoded.
    """
    if not isinstance(image, ImageFile):
        return
    if image.height * max(image.width, _LEAST_WIDTH) > max(
        max_pixels, image.width * image.height, _FEW_ROWS
    ):
        raise ImageTooCostly(
            f"{name} is {image.width} × {image.height}: so many rows are the work of "
            f"{image.height * _LEAST_WIDTH:,} pixels; the limit is {max_pixels:,}; turn it on its "
            "side"
        )
    if not image.tile or image.fp is None:
        return
    codec, pixels = image.tile[0][0], image.width * image.height
    if isinstance(image, TiffImageFile):
        _check_tiles(image, name)
    if isinstance(image, JpegImageFile):
        scans = _scans_of(image, name, enough=SCANS * max_pixels // pixels + 1)
        work, why = pixels * scans // SCANS, f"goes over its pixels {scans:,} times or more"
    elif codec == "jpeg2k":
        work, why = pixels * _JPEG2000, "is JPEG 2000, which takes long"
    elif codec == _RUNS:
        work, why = _size_of(image.fp) * _A_BYTE_OF_RUNS, "is packed in runs, which take long"
    elif is_decoded_in_python(image) and codec not in _BY_ROWS:
        _refuse_nested(image, name)
        times = _GREY_IN_PYTHON if len(image.getbands()) == 1 else _COLOURS_IN_PYTHON
        work, why = pixels * times, f"is {image.format} of a kind that takes long"
    else:
        return
    if work > max(max_pixels, pixels):
        raise ImageTooCostly(
            f"{name} is {image.width} × {image.height} and {why}: the work of {work:,} pixels; the "
            f"limit is {max_pixels:,}; convert it to PNG, or, from Python, raise max_pixels if you "
            f"trust the file"
        )


def is_decoded_in_python(image: Image.Image) -> bool:
    """Tell whether Pillow decodes a picture of a file in Python, and not in C."""
    return isinstance(image, ImageFile) and bool(image.tile) and image.tile[0][0] in Image.DECODERS


def count_scans(stream: IO[bytes], enough: int) -> int:
    """Return how often a JPEG's pixels are gone over, from where it begins; at most ``enough``.

    Nothing is decoded: from one marker to the next, as the decoder finds them.
    """
    content = stream.read()
    scans = at = 0
    while (found := _MARKER.search(content, at)) is not None:
        marker, at = found[1][0], found.end()
        if marker == _END:
            break
        if marker == _START_OF_SCAN:
            scans += 1
            if scans >= enough:
                break
        if marker not in _BARE:
            at += max(2, int.from_bytes(content[at : at + 2], "big"))
    return scans


def _scans_of(image: JpegImageFile, name: str, enough: int) -> int:
    """Return 1 where the decoder looks at no more than the first scan."""
    stream = image.fp
    assert stream is not None
    here = stream.tell()
    try:
        if "progressive" not in image.info and _all_in_one_scan(stream, here, image.layers):
            return 1
        size, most = _size_of(stream), _LEAST_BYTES + _BYTES_A_PIXEL * image.width * image.height
        if size > most:
            raise ImageTooCostly(
                f"{name} is {image.width} × {image.height} and has {size:,} bytes; a JPEG of this "
                f"size may have {most:,}; convert it to PNG"
            )
        stream.seek(0)
        return count_scans(stream, enough)
    finally:
        stream.seek(here)


def _all_in_one_scan(stream: IO[bytes], after: int, components: int) -> bool:
    """Tell whether the scan's header that ends here is one of all components."""
    length = 6 + 2 * components
    stream.seek(max(0, after - length - 2))
    head = stream.read(5)
    return head == b"\xff\xda" + length.to_bytes(2, "big") + bytes([components])


def _check_tiles(image: TiffImageFile, name: str) -> None:
    width, height = (image.tag_v2.get(tag, 0) for tag in (TILEWIDTH, TILELENGTH))
    if width * height > max(_MOST_OF_A_TILE, 4 * image.width * image.height):
        raise ImageTooCostly(
            f"{name} is {image.width} × {image.height} in tiles of {width} × {height} pixels, each "
            "of which is unpacked whole; save it again, in smaller tiles or none"
        )


def _refuse_nested(image: ImageFile, name: str) -> None:
    """Refuse a texture that is a JPEG inside, which its decoder opens without any limit."""
    assert image.fp is not None
    if image.format != "BLP":
        return
    here = image.fp.tell()
    image.fp.seek(4)
    compression = image.fp.read(4)
    image.fp.seek(here)
    if compression == b"\0\0\0\0":
        raise UnsupportedImage(f"{name} is a BLP texture with a JPEG inside; convert it to PNG")


def _size_of(stream: IO[bytes]) -> int:
    here = stream.tell()
    try:
        return stream.seek(0, os.SEEK_END)
    finally:
        stream.seek(here)
