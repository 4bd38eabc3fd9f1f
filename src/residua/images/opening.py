"""Recognise a picture by what the file holds, whatever its name says."""

from __future__ import annotations

import errno
from functools import lru_cache
from typing import BinaryIO, NamedTuple

from PIL import Image
from PIL.ImageFile import ImageFile

from residua.errors import DamagedImage, ImageTooLarge, NotAnImage, UnsupportedImage
from residua.images.counted_reading import TooManySteps
from residua.images.icons import check_icon

PREFIX_BYTES = 16

# Formats that Pillow can name but not show (weather grids, scientific containers, films, and
# Office documents, as which a Thumbs.db passes).
_NO_PICTURES = frozenset({"BUFR", "FPX", "GRIB", "HDF5", "MIC", "MPEG"})
# A C header begins like an X bitmap; only the extension tells.
_WEAK_SIGNATURES = _NO_PICTURES | {"XBM"}
# What is wrong with the file, whichever format it is tried as.
_TELLING = (MemoryError, Image.DecompressionBombError, ImageTooLarge, TooManySteps, Warning)
# First 16 bytes are as good as a format: a folder of JPEGs or PNGs has a few of them in all.
_PREFIXES_KEPT = 256


def open_by_content(stream: BinaryIO, name: str) -> ImageFile:
    """Identify a stream by its first bytes and read its header; no pixel is decoded.

    ``PIL.Image.open`` is not used: it warns of large pictures through the process-wide warning
    filters and raises at a process-wide limit, where the caller has a limit of its own.

    Parameters
    ----------
    stream : binary file
        Seekable, at its start. It stays the caller's to close.
    name : str
        What errors call the file.

    Raises
    ------
    DamagedImage
        The stream is empty, or begins like a picture whose header then does not read.
    NotAnImage
        The content is of no format that Pillow knows.
    UnsupportedImage
        PostScript, which is a program that would have to be run; or a format that Pillow can only
        name, or was built without.
    """
    prefix = stream.read(PREFIX_BYTES)
    if not prefix:
        raise DamagedImage(f"{name} is empty (0 bytes); copy it again or leave it out")
    signed, missing, unsigned = _formats_of(prefix)
    first_failure: tuple[str, Exception] | None = None
    if "EPS" in signed:  # its header alone may take minutes
        raise UnsupportedImage(
            f"{name} is PostScript, a program that would have to be run to show a picture; "
            "convert it to PNG"
        )
    for format_name in (*signed, *unsigned):
        try:
            check_icon(stream, format_name, name)
            stream.seek(0)
            image = Image.OPEN[format_name][0](stream, "")
        except _TELLING:
            raise
        except Exception as error:
            if is_device_error(error):
                raise
            if first_failure is None and format_name in signed:
                first_failure = format_name, error
        else:
            _refuse_no_picture(image, name)
            return image
    if first_failure is not None:
        begins_like, cause = first_failure
        raise DamagedImage(
            f"{name} begins like {begins_like}, but its header does not read ({cause}); "
            "copy or export it again"
        ) from cause
    if missing:
        raise UnsupportedImage(f"{name}: {missing[0]}; convert it to PNG, or install that support")
    raise NotAnImage(
        f"{name} is of no picture format that Pillow knows (it begins with {prefix[:8]!r}); "
        "leave it out, or convert it to PNG"
    )


def is_device_error(error: Exception) -> bool:
    """Tell a disk or network that fails from a file that sends the reader to a wrong place."""
    return isinstance(error, OSError) and error.errno not in (None, errno.EINVAL, errno.EOVERFLOW)


def looks_like_picture(prefix: bytes) -> bool:
    """Tell whether some picture format has a signature that these first 16 bytes bear."""
    formats = _formats_of(prefix)
    return bool(formats.missing) or not _WEAK_SIGNATURES.issuperset(formats.signed)


def picture_extensions() -> frozenset[str]:
    """Return the extensions, in lower case with their dot, of the formats that Pillow can read."""
    return frozenset(
        extension
        for extension, format_name in Image.registered_extensions().items()
        if format_name in Image.OPEN and format_name not in _NO_PICTURES
    )


class _Formats(NamedTuple):
    """What Pillow's formats say of a file's first bytes."""

    signed: tuple[str, ...]
    """Those whose signature it is."""
    missing: tuple[str, ...]
    """What Pillow says of those it was built without."""
    unsigned: tuple[str, ...]
    """Those that only reading the header can tell, as TGA; they are tried last."""


def _formats_of(prefix: bytes) -> _Formats:
    Image.init()
    return _formats_among(tuple(Image.ID), prefix)


@lru_cache(maxsize=_PREFIXES_KEPT)
def _formats_among(formats: tuple[str, ...], prefix: bytes) -> _Formats:
    """Ask each format; the answer is kept until the program registers another one."""
    signed: list[str] = []
    missing: list[str] = []
    unsigned: list[str] = []
    for format_name in formats:
        accept = Image.OPEN[format_name][1]
        if accept is None:
            unsigned.append(format_name)
            continue
        try:
            answer = accept(prefix)
        except Exception:  # fewer than 16 bytes
            continue
        if isinstance(answer, str):
            missing.append(answer)
        elif answer:
            signed.append(format_name)
    return _Formats(tuple(signed), tuple(missing), tuple(unsigned))


def _refuse_no_picture(image: ImageFile, name: str) -> None:
    if image.format in _NO_PICTURES and 0 in image.size:
        raise UnsupportedImage(
            f"{name} is of format {image.format}, which Pillow can name but not show; "
            "leave it out, or convert it to PNG"
        )
