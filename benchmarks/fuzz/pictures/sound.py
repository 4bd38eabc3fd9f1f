"""A small sound picture of every format and mode that Pillow writes."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from residua.images.pillow_warnings import pillow_warnings_ignored

WIDTH, HEIGHT = 23, 29
"""Sides that are found in a header by their values."""

_MODES: tuple[str, ...] = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "HSV")
_MODES += ("I", "F", "I;16", "I;16B")
# What is not asked for: PDF is no picture to Pillow's reader, and the others need a handler that
# another package brings.
_NOT_WRITTEN = frozenset({"PDF", "BUFR", "GRIB", "HDF5", "WMF"})
# Sides that a format is bound to.
_SIDES: Mapping[str, tuple[int, int]] = MappingProxyType({"ICO": (16, 16), "ICNS": (16, 16)})
_VARIANTS: Mapping[str, tuple[tuple[str, str, dict[str, Any]], ...]] = MappingProxyType(
    {
        "JPEG": (
            ("progressive", "RGB", {"progressive": True}),
            ("progressive-grey", "L", {"progressive": True}),
            ("restarts", "RGB", {"restart_marker_blocks": 1}),
            ("full-colours", "RGB", {"subsampling": 0, "quality": 100}),
            ("comment", "L", {"comment": b"c" * 300}),
            ("profile", "RGB", {"icc_profile": bytes(range(256)) * 300}),
        ),
        "PNG": (
            ("transparent-palette", "P", {"transparency": b"\0\x7f\xff"}),
            ("transparent-grey", "L", {"transparency": 7}),
            ("profile", "RGB", {"icc_profile": bytes(range(256)) * 20}),
        ),
        "TIFF": tuple(
            (compression, mode, {"compression": compression})
            for compression, mode in (
                ("tiff_lzw", "RGB"),
                ("tiff_deflate", "L"),
                ("tiff_adobe_deflate", "I;16"),
                ("packbits", "P"),
                ("group3", "1"),
                ("group4", "1"),
                ("tiff_ccitt", "1"),
                ("jpeg", "RGB"),
                ("zstd", "RGB"),
                ("lzma", "F"),
            )
        ),
        "GIF": (("interlaced", "P", {"interlace": 1}), ("plain-rows", "P", {"interlace": 0})),
        "WEBP": (("lossless", "RGBA", {"lossless": True}),),
        "BMP": (("deep-palette", "P", {"bits": 4}),),
        "DDS": tuple((f"block-{form}", "RGBA", {"pixel_format": form}) for form in
                     ("DXT1", "DXT3", "DXT5", "BC2", "BC3", "BC5")),
        "BLP": (("second", "P", {"blp_version": "BLP2"}),),
        "SGI": (("deep", "L", {"bpc": 2}),),
        "TGA": (("packed", "RGBA", {"compression": "tga_rle"}),),
        "JPEG2000": (
            ("tiles", "RGB", {"tile_size": (8, 8)}),
            ("layers", "L", {"quality_layers": [20, 10, 5], "irreversible": True}),
            ("bare", "RGB", {"no_jp2": True}),
        ),
    }
)  # fmt: skip
_MANY_FRAMES = ("GIF", "TIFF", "WEBP", "PNG", "MPO", "AVIF")


class Picture(NamedTuple):
    """A file in memory."""

    name: str
    """What it is, such as ``PNG-RGB-cut-2``."""
    content: bytes


def sound() -> Iterator[Picture]:
    """Yield pictures that are as they should be, as far as this Pillow writes them."""
    Image.init()
    for format_name in sorted(set(Image.SAVE) - _NOT_WRITTEN):
        for mode in _MODES:
            yield from _saved(f"{format_name}-{mode}", format_name, mode, {})
        for label, mode, options in _VARIANTS.get(format_name, ()):
            yield from _saved(f"{format_name}-{mode}-{label}", format_name, mode, options)
    for format_name in _MANY_FRAMES:
        frames = [picture_of("RGB", shift=shift) for shift in (40, 80)]
        options = {"save_all": True, "append_images": frames}
        yield from _saved(f"{format_name}-frames", format_name, "RGB", options)
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010E] = "said of it"
    for format_name in ("JPEG", "PNG", "TIFF", "WEBP", "AVIF"):
        yield from _saved(f"{format_name}-turned", format_name, "RGB", {"exif": exif})


def picture_of(
    mode: str, size: tuple[int, int] = (WIDTH, HEIGHT), *, shift: int = 0
) -> Image.Image:
    """Return a smooth picture of a mode; the values of deep ones lie within their own range."""
    width, height = size
    y, x = np.mgrid[:height, :width]
    rgb = np.stack([x * 9 + shift, y * 7, (x * y + shift) % 256], axis=-1).astype(np.uint8)
    colours = Image.fromarray(rgb)
    if mode == "F":
        return Image.fromarray(np.asarray(colours.convert("L")).astype(np.float32) / 255)
    if mode in ("I", "I;16", "I;16B"):
        deep = np.asarray(colours.convert("L")).astype(np.uint16) * 257
        if mode == "I":
            return Image.fromarray(deep.astype(np.int32))
        picture = Image.new(mode, size)
        picture.frombytes(deep.astype(">u2" if mode.endswith("B") else "<u2").tobytes())
        return picture
    if mode == "LAB":
        return Image.merge("LAB", colours.split())
    if mode == "PA":
        picture = colours.convert("P", palette=Image.Palette.ADAPTIVE)
        picture.putalpha(200)
        return picture
    return colours.convert(mode)


def content_of(format_name: str, picture: Image.Image, **options: Any) -> bytes:
    """Return a picture as the content of a file.

    Raises
    ------
    Exception
        Whatever Pillow raises where it does not write this.
    """
    stream = io.BytesIO()
    with pillow_warnings_ignored():
        picture.save(stream, format_name, **options)
    return stream.getvalue()


def _saved(name: str, format_name: str, mode: str, options: dict[str, Any]) -> Iterator[Picture]:
    picture = picture_of(mode, _SIDES.get(format_name, (WIDTH, HEIGHT)))
    try:
        content = content_of(format_name, picture, **options)
    except Exception:  # a mode or a kind that this Pillow does not write in this format
        return
    if content:
        yield Picture(name, content)
