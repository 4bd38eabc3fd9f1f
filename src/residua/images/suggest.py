"""An input spec from how some of the pictures look."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import NamedTuple

from pydantic import ValidationError

from residua.errors import BadArray, ConfigurationError, ImageError, NoReadableImage
from residua.images.preprocess import MAX_SIDE, MIN_SIDE, InputSpec, Resize

_LONGEST_SIDE = 256
_CAUSES_SHOWN = 3


class Sample(NamedTuple):
    """How one picture looks."""

    width: int
    """Columns, upright."""
    height: int
    """Rows, upright."""
    channels: int
    """1 for grey, 3 for RGB; other numbers for arrays only."""
    extremes: tuple[float, float] | None = None
    """The least and greatest value of a picture of mode I or F, where they were asked for."""
    fits_own_range: bool = True
    """False where they lie beyond the type's own black and white."""


def suggest_from_samples(
    samples: Sequence[Sample],
    errors: Sequence[ImageError],
    *,
    size: int | tuple[int, int] | None,
    channels: int | None,
    resize: Resize,
    value_range: tuple[float, float] | None,
    background: tuple[int, int, int],
) -> InputSpec:
    """Decide what is left open; see `ImageSource.suggest_spec`.

    Raises
    ------
    NoReadableImage, BadArray, ConfigurationError
        As there.
    """
    if not samples:
        raise NoReadableImage(_why_none(errors))
    height, width = _sides(size) if size is not None else _common_size(samples)
    try:
        return InputSpec(
            height=height,
            width=width,
            channels=_common_channels(samples) if channels is None else channels,
            resize=resize,
            value_range=_common_range(samples) if value_range is None else value_range,
            background=background,
        )
    except ValidationError as error:
        raise ConfigurationError(_said(error)) from error


def _why_none(errors: Sequence[ImageError]) -> str:
    if not errors:
        return "there are no pictures to decide on an input size from; give at least one"
    causes = "; ".join(str(error) for error in errors[:_CAUSES_SHOWN])
    more = f"; and {len(errors) - _CAUSES_SHOWN} more" if len(errors) > _CAUSES_SHOWN else ""
    return f"not one of the {len(errors)} pictures looked at can be read: {causes}{more}"


def _sides(size: int | tuple[int, int]) -> tuple[int, int]:
    height, width = (size, size) if isinstance(size, int) else size
    return height, width


def _common_size(samples: Sequence[Sample]) -> tuple[int, int]:
    # Pictures of one size, no longer than this, come out at just that size.
    longest = min(_LONGEST_SIDE, median(max(s.height, s.width) for s in samples))
    aspect = median(s.width / s.height for s in samples)
    height, width = (longest / aspect, longest) if aspect >= 1 else (longest, longest * aspect)
    return _within(height), _within(width)


def _within(side: float) -> int:
    return min(MAX_SIDE, max(MIN_SIDE, round(side)))


def _common_channels(samples: Sequence[Sample]) -> int:
    found = {sample.channels for sample in samples}
    if len(found) == 1:
        return found.pop()
    if found == {1, 3}:
        return 3
    raise BadArray(
        f"the pictures have {' or '.join(str(c) for c in sorted(found))} channels; "
        "wanted one number of them, or grey and RGB together"
    )


def _common_range(samples: Sequence[Sample]) -> tuple[float, float] | None:
    if all(sample.fits_own_range for sample in samples):
        return None
    deep = [sample.extremes for sample in samples if sample.extremes is not None]
    low, high = min(least for least, _ in deep), max(greatest for _, greatest in deep)
    # Pictures of one value have no contrast to stretch.
    return (low, high) if low < high else (low, low + 1.0)


def _said(error: ValidationError) -> str:
    return "; ".join(
        f"{'.'.join(map(str, problem['loc']))} is {problem['input']!r}: {problem['msg']}"
        for problem in error.errors()
    )
