"""Memory to decode with: refused where a picture needs more than there is, shared where many do."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition

from PIL import Image
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.TiffImagePlugin import TiffImageFile

from residua.errors import ImageTooLarge
from residua.images import free_memory
from residua.images.orientation import orientation_of

UNCOUNTED = 32 << 20
"""Bytes up to which a picture's need is not counted: at most this much a thread."""

_EXIF_ORIENTATION = 274

# Bytes a pixel that are alive at once where most are, from the decoded picture to grey or RGB of 8
# bits; measured with Pillow 13 on Linux. A test holds them.
_BY_MODE = {"1": 2, "L": 1, "P": 6, "RGB": 5, "I": 12, "F": 12}
_DEEP, _OTHER, _TRANSPARENT = 6, 9, 16
# What decoders hold beside that, a pixel or a pixel and band.
_BY_FORMAT = {"WEBP": 11, "AVIF": 4}
_JPEG2000_BAND = 5
_COEFFICIENT = 2


def bytes_to_decode(image: Image.Image, whole: tuple[int, int]) -> int:
    """Return about how many bytes are taken to decode a picture and bring it to grey or RGB.

    Parameters
    ----------
    image : PIL.Image.Image
        Of a file, not decoded yet, where a JPEG may be switched to a reduced size; or one that is
        in memory, which is not counted again.
    whole : (width, height)
        Its size before that.
    """
    pixels = image.width * image.height
    need = pixels * (_a_pixel(image) + (_own_bytes(image) if _is_turned(image) else 0))
    if not isinstance(image, ImageFile):
        return need - pixels * _own_bytes(image)
    if isinstance(image, JpegImageFile) and "progressive" in image.info:
        # All coefficients are held at the full size, whatever the picture is reduced to.
        need += round(whole[0] * whole[1] * _COEFFICIENT * _samples_a_pixel(image))
    return need


@contextmanager
def memory_to_decode(image: Image.Image, whole: tuple[int, int], name: str) -> Iterator[None]:
    """Hold the memory that a picture takes for the length of a ``with`` in which it is decoded.

    While other threads hold so much that it does not fit beside them, it waits.

    Parameters
    ----------
    image, whole
        As for `bytes_to_decode`.
    name : str
        What errors call the picture.

    Raises
    ------
    ImageTooLarge
        It needs more than there is when no other picture is being decoded, or the system gives
        less than was there.
    """
    need = bytes_to_decode(image, whole)
    try:
        if need <= UNCOUNTED:
            yield
            return
        short_of = _SHARED.take(need)
        if short_of is not None:
            raise _too_large(whole, need, name, f"and {_megabytes(short_of)} are free")
        try:
            yield
        finally:
            _SHARED.give_back(need)
    except MemoryError as error:
        raise _too_large(whole, need, name, "which this program is not given") from error


class SharedMemory:
    """The free memory, as threads take of it in turn.

    Attributes
    ----------
    held : int
        Bytes that are held.
    """

    def __init__(self) -> None:
        self.held = 0
        self._changed = Condition()

    def take(self, need: int) -> int | None:
        """Wait until ``need`` bytes are free beside those held, and hold them.

        What is held counts in full, though part of it is missing from the free memory already: two
        pictures that fit together may come one after the other, but never the other way round.

        Returns
        -------
        int or None
            The free bytes, where they are too few with nothing held; None once they are held.
        """
        with self._changed:
            while True:
                free = free_memory.free_memory()
                if free is None or self.held + need <= free:
                    self.held += need
                    return None
                if self.held == 0:
                    return free
                self._changed.wait()

    def give_back(self, need: int) -> None:
        """End holding ``need`` bytes."""
        with self._changed:
            self.held -= need
            self._changed.notify_all()


# One for the program: whoever decodes, the memory is the same.
_SHARED = SharedMemory()
if hasattr(os, "register_at_fork"):  # the threads that hold memory are not in the child
    os.register_at_fork(after_in_child=_SHARED.__init__)  # type: ignore[misc]


def _too_large(whole: tuple[int, int], need: int, name: str, there: str) -> ImageTooLarge:
    width, height = whole
    return ImageTooLarge(
        f"{name} is {width} × {height}, {width * height:,} pixels; decoding it needs about "
        f"{_megabytes(need)} of memory, {there}; scale it down, or read it where there is more"
    )


def _megabytes(count: int) -> str:
    return f"{count / 1e6:,.0f} MB"


def _a_pixel(image: Image.Image) -> int:
    mode = image.mode
    if image.has_transparency_data:
        need = _TRANSPARENT
    elif mode.startswith("I;16"):
        need = _DEEP
    else:
        need = _BY_MODE.get(mode, _OTHER)
    if image.format == "JPEG2000":
        need += _JPEG2000_BAND * len(image.getbands())
    return need + _BY_FORMAT.get(image.format or "", 0)


def _own_bytes(image: Image.Image) -> int:
    mode = image.mode
    if mode in ("1", "L", "P"):
        return 1
    return 2 if mode.startswith("I;16") else 4


def _is_turned(image: Image.Image) -> bool:
    """Tell whether it may be turned upright, which takes a copy."""
    if isinstance(image, JpegImageFile):
        return orientation_of(image).method is not None
    if isinstance(image, TiffImageFile):
        return bool(image.tag_v2.get(_EXIF_ORIENTATION, 1) != 1)
    # Asking a PNG before it is decoded would settle on what comes before its pixels.
    return "exif" in image.info


def _samples_a_pixel(image: JpegImageFile) -> float:
    """Return 3 for colours of full size, 1.5 where two are halved both ways, 1 for grey."""
    shares = [(layer[1], layer[2]) for layer in image.layer]
    most = max(across for across, _ in shares) * max(down for _, down in shares)
    return sum(across * down for across, down in shares) / most
