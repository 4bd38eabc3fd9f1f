"""The EXIF orientation: which way up a camera held the picture."""

from __future__ import annotations

import os
from typing import NamedTuple

from PIL import ExifTags, Image
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import IMAGELENGTH, IMAGEWIDTH, TiffImageFile

from residua.images.preprocess import Box


class Orientation(NamedTuple):
    """One of the eight ways to turn a picture upright: axes swapped, then each perhaps mirrored."""

    method: Image.Transpose | None
    swapped: bool
    mirror_x: bool
    mirror_y: bool

    def turn(self, image: Image.Image) -> Image.Image:
        """Return the picture upright; itself if it is."""
        return image if self.method is None else image.transpose(self.method)

    def turn_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """Return the columns and rows after the turn, or before it: it is its own inverse."""
        return (size[1], size[0]) if self.swapped else size

    def turn_box(self, box: Box, size: tuple[int, int]) -> Box:
        """Return where a box of a picture of that size lies once the picture is upright."""
        left, top, right, bottom = box
        width, height = size
        if self.swapped:
            left, top, right, bottom = top, left, bottom, right
            width, height = height, width
        if self.mirror_x:
            left, right = width - right, width - left
        if self.mirror_y:
            top, bottom = height - bottom, height - top
        return left, top, right, bottom


UPRIGHT = Orientation(None, swapped=False, mirror_x=False, mirror_y=False)

# EXIF's numbers, from 1.
_BY_NUMBER = (
    UPRIGHT,
    Orientation(Image.Transpose.FLIP_LEFT_RIGHT, swapped=False, mirror_x=True, mirror_y=False),
    Orientation(Image.Transpose.ROTATE_180, swapped=False, mirror_x=True, mirror_y=True),
    Orientation(Image.Transpose.FLIP_TOP_BOTTOM, swapped=False, mirror_x=False, mirror_y=True),
    Orientation(Image.Transpose.TRANSPOSE, swapped=True, mirror_x=False, mirror_y=False),
    Orientation(Image.Transpose.ROTATE_270, swapped=True, mirror_x=True, mirror_y=False),
    Orientation(Image.Transpose.TRANSVERSE, swapped=True, mirror_x=True, mirror_y=True),
    Orientation(Image.Transpose.ROTATE_90, swapped=True, mirror_x=False, mirror_y=True),
)


def orientation_of(image: Image.Image) -> Orientation:
    """Return how a picture must be turned; one whose EXIF does not read counts as upright.

    A TIFF is turned by Pillow as it is loaded, and then counts as upright too.
    """
    try:
        # PNG's own getexif would decode the picture.
        number = Image.Image.getexif(image).get(ExifTags.Base.Orientation, 1)
    except Exception:
        return UPRIGHT
    return _BY_NUMBER[number - 1] if isinstance(number, int) and 1 <= number <= 8 else UPRIGHT


def upright_size(image: Image.Image) -> tuple[int, int]:
    """Return a picture's columns and rows once upright, from its header alone."""
    if isinstance(image, TiffImageFile) and image.tile:
        # Not .size, which some versions of Pillow have swapped already.
        size = image.tag_v2[IMAGEWIDTH], image.tag_v2[IMAGELENGTH]
        return orientation_of(image).turn_size(size)
    if isinstance(image, PngImageFile) and image.tile and "exif" not in image.info:
        exif = _exif_after_pixels(image)
        if exif is not None:
            image.info["exif"] = exif
    return orientation_of(image).turn_size(image.size)


def _exif_after_pixels(image: PngImageFile) -> bytes | None:
    """Look through the chunks that Pillow would reach only by decoding."""
    stream = image.fp
    if stream is None:
        return None
    here = stream.tell()
    stream.seek(8)
    try:
        while len(head := stream.read(8)) == 8 and head[4:] != b"IEND":
            length = int.from_bytes(head[:4], "big")
            if head[4:] == b"eXIf":
                return stream.read(length)
            stream.seek(length + 4, os.SEEK_CUR)
        return None
    finally:
        stream.seek(here)
