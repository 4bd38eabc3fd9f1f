"""What a model takes in: the InputSpec decided at fit, and how a picture is brought to it.

Arrays and decoded files go through the same functions here, so that one picture has one score
whichever way it came. The order is: values to 8 bits, colour to grey if the model is grey, size,
grey to colour if the model is in colour.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field, field_validator

from residua.errors import BadArray

Resize = Literal["stretch", "pad", "crop"]
Box = tuple[float, float, float, float]
Byte = Annotated[int, Field(ge=0, le=255)]

MIN_SIDE = 8
MAX_SIDE = 1024
MAX_CHANNELS = 64

# A first shrink by whole factors bounds the memory that one very long picture takes; at 3 even a
# hard edge comes out within 2 % of a single antialiased pass.
_REDUCING_GAP = 3.0
# Values are scaled in blocks, so that a deep picture does not need eight bytes a pixel at once.
_BLOCK_VALUES = 1 << 17


class InputSpec(BaseModel):
    """Size, channels and value range to which every picture is brought.

    The same record is used by fit, by scoring in Python, on the command line and without torch,
    so that one picture has one score wherever it is scored.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    height: Annotated[int, Field(ge=MIN_SIDE, le=MAX_SIDE)]
    """Rows, in pixels."""
    width: Annotated[int, Field(ge=MIN_SIDE, le=MAX_SIDE)]
    """Columns, in pixels."""
    channels: Annotated[int, Field(ge=1, le=MAX_CHANNELS)]
    """1 for grey, 3 for RGB; other numbers for arrays only."""
    resize: Resize = "stretch"
    """How another size is brought to this one: stretched; padded with the background to keep the
    aspect ratio; or cropped at the centre to keep it."""
    value_range: tuple[float, float] | None = None
    """The values that become black and white, for pictures deeper than 8 bits and for float
    arrays; values beyond them are clipped. None: the type's own full range (0 to 65535, 0 to 1)."""
    background: tuple[Byte, Byte, Byte] = (255, 255, 255)
    """RGB colour (0 to 255) on which transparent pictures are laid and with which `pad` fills."""

    @field_validator("value_range")
    @classmethod
    def _black_is_below_white(
        cls, value_range: tuple[float, float] | None
    ) -> tuple[float, float] | None:
        if value_range is not None:
            low, high = value_range
            if not (low < high and math.isfinite(high - low)):
                raise ValueError(f"it is {value_range}; wanted two finite numbers, low < high")
        return value_range

    @property
    def shape(self) -> tuple[int, int, int]:
        """Rows, columns and channels."""
        return self.height, self.width, self.channels

    @property
    def colour(self) -> str:
        """The channels in words."""
        return {1: "grey", 3: "RGB"}.get(self.channels, f"{self.channels} channels")


def prepare_array(images: ArrayLike, spec: InputSpec) -> NDArray[np.uint8]:
    """Bring an array of pictures to a spec.

    Parameters
    ----------
    images : array-like of shape (N, H, W) or (N, H, W, C)
        uint8; bool; uint16 (0 to 65535); float in [0, 1]. With ``spec.value_range`` any integer or
        finite float. 8-bit and bool pictures are never rescaled.
    spec : InputSpec
        Grey pictures become RGB, and RGB ones grey, as the spec wants; other numbers of channels
        must be those of the spec.

    Returns
    -------
    ndarray of uint8, shape (N, spec.height, spec.width, spec.channels)
        Bit for bit the input where that is uint8 and has the spec's shape already.

    Raises
    ------
    BadArray
        For a shape, a type, NaN or values that are not those of pictures.
    """
    pictures = picture_array(images)
    return prepare_pictures(pictures, spec, range(len(pictures)))


def prepare_pictures(
    pictures: NDArray[Any], spec: InputSpec, numbers: Sequence[int] | NDArray[np.int64]
) -> NDArray[np.uint8]:
    """Do the work of `prepare_array` on a checked (N, H, W, C) array.

    ``numbers`` are the pictures' own indices, by which an error names them.
    """
    count, channels = len(pictures), pictures.shape[3]
    if channels != spec.channels and not {channels, spec.channels} <= {1, 3}:
        raise BadArray(
            f"the pictures have {channels} channels and the model takes {spec.channels}; only grey "
            "and RGB are converted into each other, so select the channels, as in images[..., :3]"
        )
    if pictures.dtype == np.uint8 and pictures.shape[1:] == spec.shape:
        return np.array(pictures)
    prepared = np.empty((count, *spec.shape), np.uint8)
    for position in range(count):
        values = to_uint8(pictures[position], spec.value_range, int(numbers[position]))
        if values.shape == spec.shape:
            prepared[position] = values
        else:
            prepared[position] = _fit_channels(values, spec)
    return prepared


def picture_array(images: ArrayLike) -> NDArray[Any]:
    """Return pictures as an (N, H, W, C) array of a numeric type, without a copy where possible.

    Raises
    ------
    BadArray
        For another number of axes, a type that holds no pixels, sides of length 0, more than 64
        channels, and the usual slips: one picture alone, or channels first.
    """
    try:
        array = np.asarray(images)
    except (TypeError, ValueError) as error:
        raise BadArray(
            f"the pictures do not form one array ({error}); wanted (N, H, W) or (N, H, W, C)"
        ) from error
    _check_type(array)
    _check_axes(array)
    return array[..., np.newaxis] if array.ndim == 3 else array


def _check_type(array: NDArray[Any]) -> None:
    if array.dtype.kind in "buif":
        return
    raise BadArray(
        f"the pictures are of type {array.dtype}; wanted uint8, uint16, bool or float in [0, 1]"
        + ("; pictures of several sizes go in as a list" if array.dtype.kind == "O" else "")
    )


def _check_axes(array: NDArray[Any]) -> None:
    shape = array.shape
    if array.ndim == 2:
        raise BadArray(
            f"the array has shape {shape}, wanted (N, H, W) or (N, H, W, C); if it is one picture "
            "add an axis, images[np.newaxis]; if each row is one, images.reshape(N, H, W)"
        )
    if array.ndim not in (3, 4):
        raise BadArray(
            f"the array has {array.ndim} axes, shape {shape}; wanted (N, H, W) or (N, H, W, C)"
        )
    if array.ndim == 3 and shape[2] in (3, 4) and min(shape[:2]) >= MIN_SIDE:
        raise BadArray(
            f"an array of shape {shape} looks like one colour picture (H, W, C), not like pictures "
            f"{shape[2]} pixels wide; add an axis, images[np.newaxis]"
        )
    if 0 in shape[1:]:
        raise BadArray(
            f"an array of shape {shape} has pictures without pixels; every side must be ≥ 1"
        )
    if array.ndim == 4 and shape[1] in (1, 3) and min(shape[2:]) >= MIN_SIDE:
        raise BadArray(
            f"an array of shape {shape} looks like channels first (N, C, H, W); "
            "give channels last, np.moveaxis(images, 1, -1)"
        )
    if array.ndim == 4 and shape[3] > MAX_CHANNELS:
        raise BadArray(
            f"an array of shape {shape} has {shape[3]} channels, wanted at most {MAX_CHANNELS}; "
            "channels are the last axis, (N, H, W, C)"
        )


def to_uint8(
    values: NDArray[Any], value_range: tuple[float, float] | None, number: int
) -> NDArray[np.uint8]:
    """Bring one array picture to 8 bits; see `prepare_array`. ``number`` is what errors call it.

    Raises
    ------
    BadArray
        Values are NaN, or lie outside the range.
    """
    kind = values.dtype.kind
    if kind == "b":
        return values.astype(np.uint8) * np.uint8(255)
    if values.dtype == np.uint8:
        return values
    if kind == "f" and not np.isfinite(values).all():
        bad = int(np.count_nonzero(~np.isfinite(values)))
        raise BadArray(
            f"picture {number} has {bad} values that are NaN or infinite; "
            "leave it out or fill them, as np.nan_to_num does"
        )
    if value_range is not None:
        return scale_to_uint8(values, *value_range)
    if kind == "u" and values.dtype.itemsize == 2:
        return scale_to_uint8(values, 0.0, 65535.0)
    low, high = values.min(), values.max()
    if kind == "f" and low >= 0 and high <= 1:
        return scale_to_uint8(values, 0.0, 1.0)
    wanted = "values in [0, 1]" if kind == "f" else "uint8 or uint16"
    raise BadArray(
        f"picture {number} is {values.dtype} with values from {low:g} to {high:g}; "
        f"wanted {wanted}; say which values are black and white with value_range=(low, high)"
        + ("" if kind == "f" else ", or convert with images.astype(np.uint8)")
    )


def scale_to_uint8(values: NDArray[Any], low: float, high: float) -> NDArray[np.uint8]:
    """Map [low, high] to [0, 255], rounding to the nearest and clipping what lies beyond.

    Parameters
    ----------
    values : ndarray of any real type, shape (H, W) or (H, W, C)
        Finite numbers.
    low, high : float
        The values that become 0 and 255.

    Returns
    -------
    ndarray of uint8, of the same shape
    """
    scaled = np.empty(values.shape, np.uint8)
    rows = max(1, _BLOCK_VALUES // max(1, math.prod(values.shape[1:])))
    for start in range(0, len(values), rows):
        # Clipped first: the difference of two far values may overflow.
        block = np.clip(values[start : start + rows].astype(np.float64), low, high)
        scaled[start : start + rows] = np.rint((block - low) / (high - low) * 255.0)
    return scaled


def _fit_channels(values: NDArray[np.uint8], spec: InputSpec) -> NDArray[np.uint8]:
    """Bring one (H, W, C) picture to the spec; each channel alone where they are no colours."""
    channels = values.shape[2]
    if channels == 3 and spec.channels in (1, 3):
        return fit_picture(Image.fromarray(np.ascontiguousarray(values)), spec)
    planes = [Image.fromarray(np.ascontiguousarray(values[..., c])) for c in range(channels)]
    if channels == 1:
        return fit_picture(planes[0], spec)
    return np.stack([np.asarray(_resized(plane, spec, None)) for plane in planes], axis=-1)


def fit_picture(
    image: Image.Image,
    spec: InputSpec,
    box: Box | None = None,
    out: NDArray[np.uint8] | None = None,
) -> NDArray[np.uint8]:
    """Bring one 8-bit picture to the spec.

    Resizing is Pillow's bilinear filter, which averages over all pixels it covers when it shrinks
    (antialiasing); channels are independent of each other.

    Parameters
    ----------
    image : PIL.Image.Image of mode L or RGB
    spec : InputSpec
        Of 1 or 3 channels.
    box : (left, top, right, bottom) in pixels, optional
        The part of ``image`` that is the picture; fractions of a pixel are allowed.
    out : ndarray of uint8, shape (spec.height, spec.width, spec.channels), optional
        Where the result is written. Default: a new array.

    Returns
    -------
    ndarray of uint8, shape (spec.height, spec.width, spec.channels)
    """
    if spec.channels == 1 and image.mode == "RGB":
        image = image.convert("L")
    pixels = np.asarray(_resized(image, spec, box))
    if out is None:
        out = np.empty(spec.shape, np.uint8)
    # Grey goes into every channel.
    out[...] = pixels[..., np.newaxis] if pixels.ndim == 2 else pixels
    return out


def scaled_size(width: float, height: float, spec: InputSpec) -> tuple[int, int]:
    """Return the columns and rows to which a whole picture is scaled, before crop or padding."""
    if spec.resize == "stretch":
        return spec.width, spec.height
    ratios = spec.width / width, spec.height / height
    scale = min(ratios) if spec.resize == "pad" else max(ratios)
    return max(1, round(width * scale)), max(1, round(height * scale))


def _resized(image: Image.Image, spec: InputSpec, box: Box | None) -> Image.Image:
    size = spec.width, spec.height
    whole = box or (0.0, 0.0, float(image.width), float(image.height))
    if image.size == size and whole == (0, 0, *size):
        return image
    if spec.resize == "crop":
        return _scale(image, size, _centre(whole, spec))
    if spec.resize == "stretch":
        return _scale(image, size, whole)
    inner = scaled_size(whole[2] - whole[0], whole[3] - whole[1], spec)
    inner = min(inner[0], size[0]), min(inner[1], size[1])
    canvas = Image.new(image.mode, size, _fill(image.mode, spec))
    offset = (size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2
    canvas.paste(_scale(image, inner, whole), offset)
    return canvas


def _scale(image: Image.Image, size: tuple[int, int], box: Box) -> Image.Image:
    return image.resize(size, Image.Resampling.BILINEAR, box, reducing_gap=_REDUCING_GAP)


def _centre(box: Box, spec: InputSpec) -> Box:
    """Return the largest part of the box, about its centre, that has the spec's aspect ratio."""
    left, top, right, bottom = box
    width, height = right - left, bottom - top
    if width * spec.height > height * spec.width:
        margin = (width - height * spec.width / spec.height) / 2
        return left + margin, top, right - margin, bottom
    margin = (height - width * spec.height / spec.width) / 2
    return left, top + margin, right, bottom - margin


def _fill(mode: str, spec: InputSpec) -> int | tuple[int, int, int]:
    """Return the background in the picture's mode; channels that are no colours take its grey."""
    if mode == "RGB":
        return spec.background
    grey = Image.new("RGB", (1, 1), spec.background).convert("L").getpixel((0, 0))
    assert isinstance(grey, int)
    return grey
