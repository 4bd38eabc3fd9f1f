"""One file to one array, or to one named error.

Whatever Pillow raises while it reads a picture becomes an ImageError that names the file and a way
out, so that a run over a million files can set it down as a row and go on.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from residua.errors import (
    DamagedImage,
    ImageError,
    ImageTooCostly,
    ImageTooLarge,
    UnreadableFile,
    UnsupportedImage,
)
from residua.images.counted_reading import (
    TO_COUNT_FRAMES,
    Counted,
    CountedBytes,
    CountedFile,
    TooManySteps,
)
from residua.images.decoding_memory import memory_to_decode
from residua.images.decoding_work import check_work, is_decoded_in_python
from residua.images.modes import grey_or_rgb, is_deep
from residua.images.opening import is_device_error, open_by_content
from residua.images.orientation import orientation_of, upright_size
from residua.images.pillow_warnings import pillow_warnings_ignored
from residua.images.preprocess import Box, InputSpec, fit_picture, scaled_size

T = TypeVar("T")

ImageFileLike = str | os.PathLike[str] | bytes | Image.Image

MAX_PIXELS = 2 * (1024**3 // 4 // 3)
"""Pixels beyond which a picture is refused before it is decoded: 178,956,970, where Pillow itself
calls it a decompression bomb."""

# A JPEG is decoded at a reduced size that is still this many times the wanted one, so that the
# antialiasing filter and not the coarse grid of the reduction decides on what is seen.
_DRAFT_MARGIN = 2


class ImageHeader(NamedTuple):
    """What a file says of its picture before a pixel is decoded."""

    width: int
    """Columns, after the EXIF orientation."""
    height: int
    """Rows, after the EXIF orientation."""
    mode: str
    """Pillow's name for the kind of pixels: L, RGB, P, I;16 …"""
    frames: int
    """Pictures in the file, of which the first is read; 1 where they cannot be counted, or only in
    very many steps."""


def decode_image(
    file: ImageFileLike,
    spec: InputSpec,
    *,
    name: str | None = None,
    max_pixels: int = MAX_PIXELS,
    out: NDArray[np.uint8] | None = None,
) -> NDArray[np.uint8]:
    """Decode one picture and bring it to a spec.

    Of several frames the first is read. The EXIF orientation is applied, transparency laid on
    ``spec.background``, and a JPEG much larger than wanted decoded at a reduced size.

    Parameters
    ----------
    file : path, bytes or PIL.Image.Image
        Bytes are the content of a file. A Pillow image is left as it is, except that it is loaded
        and, of several frames, gives its current one.
    spec : InputSpec
        Of 1 or 3 channels.
    name : str, optional
        What errors call the picture. Default: the path.
    max_pixels : int, optional
        Larger pictures are refused before they are decoded. Some formats hold pictures in pictures
        (ICO, ICNS, GIF), which Pillow checks against ``2 * PIL.Image.MAX_IMAGE_PIXELS`` as well.
    out : ndarray of uint8, shape (spec.height, spec.width, spec.channels), optional
        Where the picture is written, such as a row of a batch; after an error it holds anything.
        Default: a new array.

    Returns
    -------
    ndarray of uint8, shape (spec.height, spec.width, spec.channels)
        ``out``, where it is given.

    Raises
    ------
    UnreadableFile
        The file is missing, a dangling link, no regular file, or may not be read.
    NotAnImage
        The content is of no format that Pillow knows.
    DamagedImage
        It is empty, cut short or corrupt.
    ImageTooCostly
        Decoding it would take very long: one of its size takes as long as one of ``max_pixels``
        pixels should, or it is in very many pieces.
    ImageTooLarge
        It has more than ``max_pixels`` pixels, or needs more memory than there is. Where it would
        fit alone, it waits for the large pictures that other threads are decoding.
    UnsupportedImage
        Its values do not fit their type's range (a way out is ``spec.value_range``), or the format
        or the spec's number of channels has no reading as grey or colour.
    """
    name = name or printable_name(file)
    if spec.channels not in (1, 3):
        raise UnsupportedImage(
            f"{name} decodes to 1 or 3 channels and the model takes {spec.channels}; "
            "give such pictures as an array (N, H, W, C)"
        )
    return _twice_on_warning(lambda: _decode(file, spec, name, max_pixels, out))


def read_header(file: ImageFileLike, *, name: str | None = None) -> ImageHeader:
    """Read a picture's size, mode and number of frames without decoding it.

    Parameters
    ----------
    file : path, bytes or PIL.Image.Image
        Bytes are the content of a file.
    name : str, optional
        What errors call the picture. Default: the path.

    Raises
    ------
    ImageError
        As for `decode_image`, except that no limit is set on the size.
    """
    return _twice_on_warning(lambda: _header(file, name or printable_name(file)))


def decode_mask(
    file: ImageFileLike, *, name: str | None = None, max_pixels: int = MAX_PIXELS
) -> NDArray[np.bool_]:
    """Decode a defect mask: True where the pixel is not black.

    Parameters
    ----------
    file : path, bytes or PIL.Image.Image
        Bytes are the content of a file.
    name : str, optional
        What errors call the mask. Default: the path.
    max_pixels : int, optional
        Larger masks are refused before they are decoded.

    Returns
    -------
    ndarray of bool, shape (H, W), at the file's own size

    Raises
    ------
    ImageError
        As for `decode_image`.
    """
    return _twice_on_warning(lambda: _mask(file, name or printable_name(file), max_pixels))


@contextmanager
def opened_picture(
    file: ImageFileLike, name: str, max_pixels: int | None = None
) -> Iterator[Image.Image]:
    """Open a picture for the length of a ``with``, in which Pillow's errors become ImageErrors."""
    with pillow_warnings_ignored(), _errors_named(name):
        if isinstance(file, Image.Image):
            _check_pixels(file, name, max_pixels)
            yield file
            return
        with CountedBytes(file) if isinstance(file, bytes) else _open_file(file, name) as stream:
            image = open_by_content(stream, name)
            _check_pixels(image, name, max_pixels)
            if max_pixels is not None:
                check_work(image, name, max_pixels)
            # Where Python reads a pixel at a time, the limit of pixels has bound the steps.
            stream.allow_decoding(by_pixel=is_decoded_in_python(image))
            yield image


def printable_name(file: ImageFileLike) -> str:
    """Return a path as text that can always be printed, or a word for a picture without one."""
    if isinstance(file, bytes):
        return "the picture"
    if isinstance(file, Image.Image):
        filename = getattr(file, "filename", None)
        return printable(os.fsdecode(filename)) if filename else "the picture"
    return printable(os.fspath(file))


def printable(path: str) -> str:
    """Return a path with the bytes that are not UTF-8 shown as ``\\xNN``."""
    try:
        return os.fsencode(path).decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:  # no file system's doing: a lone surrogate
        return path.encode("utf-8", "backslashreplace").decode("utf-8")


def _decode(
    file: ImageFileLike,
    spec: InputSpec,
    name: str,
    max_pixels: int,
    out: NDArray[np.uint8] | None,
) -> NDArray[np.uint8]:
    with opened_picture(file, name, max_pixels) as image:
        whole = image.size
        # The caller's own Pillow image must not be switched to a reduced size.
        drafted = None if isinstance(file, Image.Image) else _draft(image, spec)
        with memory_to_decode(image, whole, name):
            image.load()
            orientation = orientation_of(image)
            box = orientation.turn_box(drafted, image.size) if drafted else None
            return fit_picture(grey_or_rgb(orientation.turn(image), spec, name), spec, box, out)


def _header(file: ImageFileLike, name: str) -> ImageHeader:
    with opened_picture(file, name) as image:
        width, height = upright_size(image)
        if isinstance(stream := getattr(image, "fp", None), Counted):
            stream.allow(TO_COUNT_FRAMES)
        try:
            frames = max(1, int(getattr(image, "n_frames", 1)))
        except Exception:  # one of the later ones is damaged, which is no fault of the first
            frames = 1
        return ImageHeader(width, height, image.mode, frames)


def _mask(file: ImageFileLike, name: str, max_pixels: int) -> NDArray[np.bool_]:
    with (
        opened_picture(file, name, max_pixels) as image,
        memory_to_decode(image, image.size, name),
    ):
        image.load()
        upright = orientation_of(image).turn(image)
        values = np.asarray(upright if is_deep(upright.mode) else upright.convert("L"))
        marked: NDArray[np.bool_] = values != 0
        return marked


def _draft(image: Image.Image, spec: InputSpec) -> Box | None:
    """Have a JPEG decoded at 1/2, 1/4 or 1/8 where that is enough; return where the picture lies.

    The reduction rounds the sides up, so the picture ends a fraction of a pixel before the edge.
    """
    if not isinstance(image, JpegImageFile):
        return None
    orientation = orientation_of(image)
    wanted = scaled_size(*orientation.turn_size(image.size), spec)
    width, height = orientation.turn_size(wanted)
    drafted = image.draft(None, (_DRAFT_MARGIN * width, _DRAFT_MARGIN * height))
    return drafted[1] if drafted else None


def _open_file(file: str | os.PathLike[str], name: str) -> CountedFile:
    _check_regular_file(file, name)
    # A Path takes longer; the caller closes it.
    return CountedFile(open(file, "rb", buffering=0))  # noqa: PTH123


def _check_regular_file(file: str | os.PathLike[str], name: str) -> None:
    try:
        mode = os.stat(file).st_mode  # noqa: PTH116 (a Path takes longer)
    except FileNotFoundError:
        if Path(file).is_symlink():
            raise UnreadableFile(
                f"{name} is a link to a file that does not exist; restore it or remove the link"
            ) from None
        raise
    except ValueError as error:  # a NUL or a lone surrogate
        raise UnreadableFile(f"{name!r} cannot be the path of a file ({error})") from error
    if stat.S_ISDIR(mode):
        raise UnreadableFile(
            f"{name} is a folder, wanted a file; give the folder itself as "
            "data, or, if it was found in one, the right to list it"
        )
    # A pipe named like a picture would wait for ever.
    if not stat.S_ISREG(mode):
        raise UnreadableFile(f"{name} is a pipe or a device, wanted a regular file; leave it out")


def _check_pixels(image: Image.Image, name: str, max_pixels: int | None) -> None:
    pixels = image.width * image.height
    if pixels == 0:
        raise DamagedImage(
            f"{name} is {image.width} × {image.height} pixels; every side must be ≥ 1, leave it out"
        )
    if max_pixels is not None and pixels > max_pixels:
        raise ImageTooLarge(
            f"{name} is {image.width} × {image.height}, {pixels:,} pixels; the limit is "
            f"{max_pixels:,}; scale it down, or raise max_pixels if you trust the file"
        )


@contextmanager
def _errors_named(name: str) -> Iterator[None]:
    try:
        yield
    except (ImageError, Warning):
        raise
    except Exception as error:
        raise _as_image_error(error, name) from error


def _as_image_error(error: Exception, name: str) -> ImageError:
    said = printable_text(error)
    if isinstance(error, TooManySteps):
        return ImageTooCostly(
            f"{name} is in so many pieces that reading it would take very long; export it again"
        )
    if isinstance(error, MemoryError):
        return ImageTooLarge(f"{name} needs more memory than there is to decode; scale it down")
    if isinstance(error, Image.DecompressionBombError):
        return ImageTooLarge(
            f"{name} holds too large a picture: {said} Scale it down, or leave it out"
        )
    if is_device_error(error):
        return _unreadable(error, name)
    if isinstance(error, NotImplementedError | ImportError) or _lacks_decoder(said):
        return UnsupportedImage(
            f"{name} is of a kind that this Pillow cannot decode ({said}); convert it to PNG"
        )
    return DamagedImage(f"{name} is cut short or corrupt ({said}); copy or export it again")


def _unreadable(error: Exception, name: str) -> UnreadableFile:
    if isinstance(error, FileNotFoundError):
        return UnreadableFile(f"{name} does not exist; check the path")
    if isinstance(error, PermissionError):
        return UnreadableFile(
            f"{name} may not be read (permission denied); give this user the right to"
        )
    reason = getattr(error, "strerror", None) or printable_text(error)
    return UnreadableFile(f"{name} cannot be read ({reason}); check the disk or the network")


def _lacks_decoder(said: str) -> bool:
    return (
        "cannot find loader" in said
        or "cannot load this image" in said
        or ("decoder" in said and "not available" in said)
    )


def printable_text(error: Exception) -> str:
    """Return an error's text on one line, or its type where it has none."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _twice_on_warning(read: Callable[[], T]) -> T:
    # Another thread that leaves a catch_warnings takes our filter with it; if the program has
    # warnings raised as errors, one may come through, and the second time the filter stands anew.
    try:
        return read()
    except Warning:
        return read()
