"""Any of Pillow's modes to 8-bit grey or RGB: depth, transparency, palettes and colour spaces."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from residua.errors import UnsupportedImage
from residua.images.preprocess import InputSpec, scale_to_uint8

_FULL_16_BITS = (0.0, 65535.0)
_UNIT = (0.0, 1.0)


def is_deep(mode: str) -> bool:
    """Tell whether the mode holds more than 8 bits a value (I, the I;16 family, F)."""
    return mode.startswith("I") or mode == "F"


def grey_or_rgb(image: Image.Image, spec: InputSpec, name: str) -> Image.Image:
    """Return a decoded picture in mode L or RGB, the transparent parts laid on the background.

    Raises
    ------
    UnsupportedImage
        Deep values that do not fit their type's range, NaN, or a mode without a way to RGB.
    """
    if is_deep(image.mode):
        return _deep_to_grey(image, spec, name)
    if image.has_transparency_data:
        return _lay_on_background(image, spec.background)
    if image.mode == "LAB":
        return _lab_to_rgb(image, name)
    if image.mode in ("L", "RGB"):  # to which converting would copy
        return image
    return image.convert("L" if image.mode == "1" else "RGB")


def deep_values(image: Image.Image, name: str) -> NDArray[Any]:
    """Return the finite values of a deep picture, shape (H, W).

    Raises
    ------
    UnsupportedImage
        Some are NaN or infinite.
    """
    values: NDArray[Any] = np.asarray(image)
    if image.mode == "F" and not np.isfinite(values).all():
        bad = int(np.count_nonzero(~np.isfinite(values)))
        raise UnsupportedImage(
            f"{name} has {bad} pixels that are NaN or infinite; fill them, or leave it out"
        )
    return values


def own_range(mode: str) -> tuple[float, float]:
    """Return the values that are black and white in a deep mode, where nothing else is said."""
    return _UNIT if mode == "F" else _FULL_16_BITS


def fits_own_range(values: NDArray[Any], mode: str) -> bool:
    """Tell whether all values lie between the mode's black and white."""
    low, high = own_range(mode)
    return bool(values.min() >= low and values.max() <= high)


def _deep_to_grey(image: Image.Image, spec: InputSpec, name: str) -> Image.Image:
    values = deep_values(image, name)
    if spec.value_range is None and not fits_own_range(values, image.mode):
        low, high = own_range(image.mode)
        raise UnsupportedImage(
            f"{name} is of mode {image.mode} with values from {values.min():g} to "
            f"{values.max():g}; wanted {low:g} to {high:g}; say which values are black and white "
            "with value_range=(low, high)"
        )
    low, high = spec.value_range or own_range(image.mode)
    grey = Image.fromarray(scale_to_uint8(values, low, high))
    transparent = image.info.get("transparency")
    if not isinstance(transparent, int):
        return grey
    opaque = Image.fromarray(np.where(values == transparent, 0, 255).astype(np.uint8))
    return _lay_on_background(Image.merge("LA", (grey, opaque)), spec.background)


def _lay_on_background(image: Image.Image, background: tuple[int, int, int]) -> Image.Image:
    if image.mode == "La":
        image = image.convert("LA")
    ground = Image.new("RGBA", image.size, (*background, 255))
    return Image.alpha_composite(ground, image.convert("RGBA")).convert("RGB")


def _lab_to_rgb(image: Image.Image, name: str) -> Image.Image:
    try:
        from PIL import ImageCms

        lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    except ImportError as error:
        raise UnsupportedImage(
            f"{name} is in LAB colours, for which this Pillow lacks LittleCMS; convert it to RGB"
        ) from error
    converted = ImageCms.profileToProfile(image, lab, srgb, outputMode="RGB")
    assert converted is not None  # None only where it is converted in place
    return converted
