"""Pictures that are easy and not normal: what a model that knows its pictures must not like best.

A picture without content is rebuilt by almost any network. Where such pictures score below nearly
all normal ones, the score measures how much there is in a picture.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

LOW_RANK = 0.05
"""A simple picture that scores below all but this share of the normal ones is fooling the score."""
# Share of the normal pictures that are as unlike the others.
_UNLIKE = 0.1

LEVELS = (0, 32, 64, 96, 128, 160, 192, 224, 255)
# Standard deviations of the blur, as shares of the longer side.
BLURS = (0.04, 0.08, 0.16, 0.32)
FADINGS = (0.5, 0.25, 0.1)
_LINES = 8


class Family(NamedTuple):
    """Simple pictures of one kind."""

    name: str
    """What they are, in a few words."""
    images: NDArray[np.uint8]
    """(K, H, W, C)."""
    made_from: NDArray[np.int64] | None
    """Which normal picture each is made from (K,); None: they are made from none."""
    foreign: bool
    """Whether they are too far from normal to pass for it; the others are shown and not judged."""


class Outcome(NamedTuple):
    """How one family scores."""

    family: str
    foreign: bool
    made_from_normal: bool
    pictures: int
    median_rank: float
    """Share of the normal pictures that score below the family's median picture."""
    share_low: float
    """Share of the family that ranks below `LOW_RANK`."""

    @property
    def fools(self) -> bool:
        """Whether most of the family ranks below nearly all normal pictures."""
        return self.foreign and self.share_low >= 0.5


def outcome_of(family: Family, scores: NDArray[np.float64], among: NDArray[np.float64]) -> Outcome:
    """Rank a family's scores (K,) among those of normal pictures (n,), which are sorted."""
    ranks = np.searchsorted(among, scores) / len(among)
    return Outcome(
        family.name,
        family.foreign,
        family.made_from is not None,
        len(ranks),
        float(np.median(ranks)),
        float((ranks < LOW_RANK).mean()),
    )


def unlike(family: Family, normal: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Say which pictures of a family are unlike every normal one, as few normal ones are.

    A line may be what a set of lines holds. Likeness is the correlation of the pixels with those
    of the likest normal picture; constant pictures correlate with nothing, and are unlike where no
    normal picture is constant. Pictures made from normal ones count as unlike.

    Parameters
    ----------
    family : Family
    normal : ndarray of shape (N, H, W, C), uint8
    """
    everything = np.ones(len(family.images), bool)
    if family.made_from is not None:
        return everything
    rows, known = _standardised(family.images), _standardised(normal)
    if not rows.any() and (known == 0).all(axis=1).any():
        return ~everything  # pictures without content are normal here
    among = known @ known.T
    np.fill_diagonal(among, -np.inf)
    typical = float(np.quantile(among.max(axis=1), _UNLIKE))
    different: NDArray[np.bool_] = (rows @ known.T).max(axis=1) < typical
    return different


def _standardised(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    rows = images.reshape(len(images), -1).astype(np.float32)
    rows -= rows.mean(axis=1, keepdims=True)
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    result: NDArray[np.float32] = np.divide(rows, length, out=np.zeros_like(rows), where=length > 0)
    return result


def simple_families(normal: NDArray[np.uint8], seed: int) -> Iterator[Family]:
    """Yield families of simple pictures.

    Parameters
    ----------
    normal : ndarray of shape (N, H, W, C), uint8
        Normal pictures, of which blurred and faded ones are made.
    seed : int
        Seed of the lines.
    """
    shape = normal.shape[1:]
    yield Family("constant", _constants(shape), None, True)
    yield Family("gradient", _gradients(shape), None, True)
    lines = _lines(shape, seed)
    yield Family("light line on black", lines, None, True)
    yield Family("dark line on white", 255 - lines, None, True)
    every = np.arange(len(normal))
    for share in BLURS:
        sigma = share * max(shape[:2])
        yield Family(
            f"blurred (sigma {sigma:.2g} px)", blurred(normal, sigma), every, share >= 0.16
        )
    for factor in FADINGS:
        yield Family(f"contrast × {factor:g}", faded(normal, factor), every, factor <= 0.1)


def blurred(images: NDArray[np.uint8], sigma: float) -> NDArray[np.uint8]:
    """Blur pictures (N, H, W, C) with a Gaussian of ``sigma`` pixels, borders replicated."""
    rows, columns = (_blur_matrix(side, sigma) for side in images.shape[1:3])
    smooth = np.einsum("ih,nhwc->niwc", rows, images.astype(np.float32), optimize=True)
    smooth = np.einsum("jw,niwc->nijc", columns, smooth, optimize=True)
    return _to_levels(smooth)


def faded(images: NDArray[np.uint8], factor: float) -> NDArray[np.uint8]:
    """Bring the levels of each picture (N, H, W, C) towards their mean."""
    mean = images.mean(axis=(1, 2, 3), keepdims=True, dtype=np.float32)
    return _to_levels(mean + np.float32(factor) * (images - mean))


def _constants(shape: tuple[int, ...]) -> NDArray[np.uint8]:
    return np.stack([np.full(shape, level, np.uint8) for level in LEVELS])


def _gradients(shape: tuple[int, ...]) -> NDArray[np.uint8]:
    rows, columns = np.mgrid[0 : 1 : shape[0] * 1j, 0 : 1 : shape[1] * 1j]
    ramps = [rows, columns, (rows + columns) / 2, (rows + 1 - columns) / 2]
    levels = [low + (high - low) * ramp for ramp in ramps for low, high in ((0, 255), (64, 192))]
    return _to_levels(np.repeat(np.stack(levels)[..., None], shape[2], axis=-1))


def _lines(shape: tuple[int, ...], seed: int) -> NDArray[np.uint8]:
    """One light line on black, a tenth of the side thick."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[-1 : 1 : shape[0] * 1j, -1 : 1 : shape[1] * 1j]
    pictures = []
    for _ in range(_LINES):
        angle, offset = rng.uniform(0, np.pi), rng.uniform(-0.3, 0.3)
        across = rows * np.cos(angle) + columns * np.sin(angle) - offset
        along = columns * np.cos(angle) - rows * np.sin(angle)
        pictures.append(np.clip((0.1 - np.abs(across)) * 10, 0, 1) * (np.abs(along) < 0.7))
    levels = 255 * np.stack(pictures)[..., None]
    return _to_levels(np.repeat(levels, shape[2], axis=-1))


def _blur_matrix(side: int, sigma: float) -> NDArray[np.float32]:
    """Return the (side, side) matrix that blurs a row."""
    reach = int(3.5 * sigma + 0.5)
    offsets = np.arange(-reach, reach + 1)
    weights = np.exp(-0.5 * (offsets / sigma) ** 2)
    matrix = np.zeros((side, side))
    for offset, weight in zip(offsets, weights / weights.sum(), strict=True):
        at = np.clip(np.arange(side) + offset, 0, side - 1)
        matrix[np.arange(side), at] += weight
    return matrix.astype(np.float32)


def _to_levels(values: NDArray[np.floating]) -> NDArray[np.uint8]:
    levels: NDArray[np.uint8] = np.rint(np.clip(values, 0, 255)).astype(np.uint8)
    return levels
