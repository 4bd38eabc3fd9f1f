"""A picture's way through the service: bytes to pixels before the model, maps to PNG after it."""

from __future__ import annotations

import base64
import io
from collections.abc import Collection
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from residua.heatmaps import colour_steps, colour_table
from residua.images.decode import decode_image, opened_picture
from residua.images.orientation import upright_size
from residua.images.preprocess import InputSpec
from residua.scoring.verdicts import ScoredBatch
from residua.service.schemas import View

# Of the kinds that browsers show; all others are sent as a file to keep.
SHOWN = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp", "image/bmp"})
UNKNOWN = "application/octet-stream"
_FASTEST = 1


class Decoded(NamedTuple):
    """A picture as the model takes it."""

    image: NDArray[np.uint8]
    """(H, W, C) of the model's input size."""
    width: int
    """Columns of what was sent, upright."""
    height: int
    """Rows of what was sent, upright."""
    media_type: str
    """By the content, whatever the sender says."""


def decode_upload(content: bytes, spec: InputSpec, name: str, max_pixels: int) -> Decoded:
    """Decode a picture that was sent.

    Raises
    ------
    ImageError
        It cannot be read; the subclass says why.
    """
    with opened_picture(content, name, max_pixels) as image:
        width, height = upright_size(image)
        media_type = Image.MIME.get(image.format or "", UNKNOWN)
    return Decoded(
        decode_image(content, spec, name=name, max_pixels=max_pixels), width, height, media_type
    )


def views_of(
    wanted: frozenset[View], image: NDArray[np.uint8], scored: ScoredBatch, ceiling: float
) -> dict[View, str]:
    """Return what was asked for as PNGs in data URLs, all of the model's input size.

    Parameters
    ----------
    wanted : frozenset of {"heatmap", "reconstruction", "input"}
    image : ndarray of shape (H, W, C), uint8
    scored : ScoredBatch
        Of this picture alone.
    ceiling : float
        Full scale of the model's heat maps.
    """
    found: dict[View, str] = {}
    if "heatmap" in wanted:
        found["heatmap"] = _data_url(colour_steps(scored.error_maps[0], ceiling), heat=True)
    if "reconstruction" in wanted:
        found["reconstruction"] = _data_url(
            np.rint(np.clip(scored.x_hat[0], 0, 1) * 255).astype(np.uint8)
        )
    if "input" in wanted:
        found["input"] = _data_url(image)
    return found


def answer_bytes(spec: InputSpec, views: Collection[View]) -> int:
    """Return the bytes that the views of a picture take in an answer, at most."""
    pixels, base64_of = spec.height * spec.width, 4 / 3
    bytes_each = {"heatmap": 1, "reconstruction": min(spec.channels, 3)}
    bytes_each["input"] = bytes_each["reconstruction"]
    # Twice: as pictures, and as text.
    return round(2 * base64_of * pixels * sum(bytes_each[view] for view in views))


def printable_upload(name: str, index: int) -> str:
    """Return the name that was sent without what cannot be printed, or the picture's position."""
    shown = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in name)
    return shown.strip() or str(index)


def _data_url(pixels: NDArray[np.uint8], *, heat: bool = False) -> str:
    """Return pixels (H, W) or (H, W, C) as a PNG; those of a heat map are steps of its colours."""
    if pixels.ndim == 3:
        pixels = pixels[..., 0] if pixels.shape[-1] in (1, 2) else pixels[..., :3]
    picture = Image.fromarray(np.ascontiguousarray(pixels))
    if heat:
        # A third of the bytes, and of the time, that the colours would take.
        picture.putpalette(colour_table().tobytes())
    file = io.BytesIO()
    picture.save(file, "PNG", compress_level=_FASTEST)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode("ascii")
