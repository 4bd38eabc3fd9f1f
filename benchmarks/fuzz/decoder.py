"""The decoder as a target: any bytes are a picture or an error that says what is wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain

from fuzz.pictures import bombs, sound
from residua.errors import ImageError
from residua.images.decode import decode_image, decode_mask, read_header
from residua.images.preprocess import InputSpec
from residua.images.sampling import sample_image

MAX_PIXELS = 1 << 22
"""Fewer than anyone allows, so that the time goes into many files and not into large ones."""
_LARGEST_SEED = 4_096
_GREY = InputSpec(height=8, width=12, channels=1, value_range=(0.0, 255.0))
_COLOUR = InputSpec(height=16, width=16, channels=3, resize="pad")


def one(data: bytes) -> None:
    """Read one file in every way in which the package reads files.

    Raises
    ------
    AssertionError
        The answer is neither a picture nor a sentence about this one.
    Exception
        What no reader of a picture should raise.
    """
    for read in readings(data, MAX_PIXELS):
        read()


def readings(data: bytes, max_pixels: int) -> Iterator[Callable[[], str]]:
    """Yield each way of reading a file; it returns "read", or the name of the error that refuses.

    Parameters
    ----------
    data : bytes
        The file's content.
    max_pixels : int
        As for `residua.images.decode.decode_image`.
    """
    for spec in (_GREY, _COLOUR):
        yield partial(_said_of, partial(_decoded, data, spec, max_pixels))
    yield partial(
        _said_of, partial(sample_image, data, values=True, name="it", max_pixels=max_pixels)
    )
    yield partial(_said_of, partial(_mask, data, max_pixels))
    yield partial(_said_of, partial(_header, data))


def seeds() -> Iterator[bytes]:
    """Yield a small file of every kind, and what is small among the bombs."""
    for picture in chain(sound(), bombs()):
        if len(picture.content) <= _LARGEST_SEED:
            yield picture.content


def _decoded(data: bytes, spec: InputSpec, max_pixels: int) -> None:
    image = decode_image(data, spec, name="it", max_pixels=max_pixels)
    assert image.shape == spec.shape, image.shape


def _mask(data: bytes, max_pixels: int) -> None:
    mask = decode_mask(data, max_pixels=max_pixels)
    assert mask.ndim == 2, mask.shape


def _header(data: bytes) -> None:
    header = read_header(data)
    assert min(header.width, header.height, header.frames) >= 1, header


def _said_of(read: Callable[[], object]) -> str:
    try:
        read()
    except ImageError as error:
        said = str(error)
        assert said.startswith(("it", "the picture")), said
        assert "\n" not in said, said
        said.encode()
        return type(error).__name__
    return "read"
