"""Pictures of every mode, and a spec to bring them to."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from residua.images.preprocess import InputSpec

MODES = ("1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "LAB")
MODES += ("HSV", "I", "F", "I;16", "I;16L", "I;16B", "I;16N")


def colours(width: int = 40, height: int = 30) -> Image.Image:
    """A smooth colour picture whose every corner differs, so that turning it shows."""
    y, x = np.mgrid[0:height, 0:width]
    planes = (255 * x / width, 255 * y / height, 255 * (x + y) / (width + height))
    return Image.fromarray(np.stack(planes, axis=-1).astype(np.uint8))


def picture_of(mode: str, width: int = 40, height: int = 30) -> Image.Image:
    """A smooth picture in any of Pillow's modes."""
    rgb = colours(width, height)
    grey = np.asarray(rgb.convert("L"))
    if mode == "F":
        return Image.fromarray(grey.astype(np.float32) / 255)
    if mode == "I":
        return Image.fromarray(grey.astype(np.int32) * 257)
    if mode.startswith("I;16"):
        deep = Image.new(mode, rgb.size)
        byte_order = ">u2" if mode.endswith("B") else "<u2"
        deep.frombytes((grey.astype(np.uint16) * 257).astype(byte_order).tobytes())
        return deep
    if mode == "LAB":
        return Image.merge("LAB", rgb.split())
    if mode in ("P", "PA"):
        adapted = rgb.convert("P", palette=Image.Palette.ADAPTIVE)
        if mode == "PA":
            adapted.putalpha(255)
        assert adapted.mode == mode
        return adapted
    if mode in ("La", "RGBa"):
        return rgb.convert(mode[:-1] + "A").convert(mode)
    return rgb.convert(mode)


@pytest.fixture(params=MODES)
def any_mode(request: pytest.FixtureRequest) -> Image.Image:
    return picture_of(request.param)


@pytest.fixture
def make_picture() -> Callable[..., Image.Image]:
    return picture_of


@pytest.fixture
def grey_spec() -> InputSpec:
    return InputSpec(height=30, width=40, channels=1)


@pytest.fixture
def rgb_spec() -> InputSpec:
    return InputSpec(height=30, width=40, channels=3)
