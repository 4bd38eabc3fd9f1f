"""How one picture looks, read from as little of it as tells."""

from __future__ import annotations

from PIL import Image

from residua.images.decode import MAX_PIXELS, ImageFileLike, opened_picture, printable_name
from residua.images.decoding_memory import memory_to_decode
from residua.images.modes import deep_values, fits_own_range, is_deep
from residua.images.orientation import upright_size
from residua.images.suggest import Sample


def sample_image(
    file: ImageFileLike, *, values: bool, name: str | None = None, max_pixels: int = MAX_PIXELS
) -> Sample:
    """Look at one file or Pillow image.

    Parameters
    ----------
    file : path, bytes or PIL.Image.Image
        Bytes are the content of a file.
    values : bool
        Whether pictures of mode F and I are decoded for their extremes.
    name : str, optional
        What errors call the picture. Default: the path.
    max_pixels : int, optional
        Larger pictures are refused.

    Raises
    ------
    ImageError
        As `residua.images.decode.decode_image` does.
    """
    name = name or printable_name(file)
    with opened_picture(file, name, max_pixels) as image:
        width, height = upright_size(image)
        sample = Sample(width, height, 1 if _is_grey(image) else 3)
        # The I;16 family always fits its range.
        if not values or image.mode not in ("I", "F"):
            return sample
        with memory_to_decode(image, image.size, name):
            pixels = deep_values(image, name)
            return sample._replace(
                extremes=(float(pixels.min()), float(pixels.max())),
                fits_own_range=fits_own_range(pixels, image.mode),
            )


def _is_grey(image: Image.Image) -> bool:
    if image.mode in ("P", "PA"):
        palette = image.getpalette("RGB") or []
        return palette[0::3] == palette[1::3] == palette[2::3]
    return image.mode in ("1", "L", "LA", "La") or is_deep(image.mode)
