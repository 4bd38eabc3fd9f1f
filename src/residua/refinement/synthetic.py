"""Anomalies made from normal pictures, to choose settings without having seen a real one.

They stand in for what is not known yet: some change a region, some the whole picture, and each
kind comes in every strength from slight to plain. A setting that separates all kinds from normal
pictures is not bound to one idea of a defect.

Li, Sohn, Yoon and Pfister, "CutPaste: self-supervised learning for anomaly detection and
localization", CVPR 2021 (``cut_paste``, ``cut_paste_other``).
Zavrtanik, Kristan and Skočaj, "DRAEM: a discriminatively trained reconstruction embedding for
surface anomaly detection", ICCV 2021 (``texture``, ``intensity``: a change under a Perlin mask).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from residua.errors import ConfigurationError, InputError, UnknownName
from residua.refinement.noise import ragged_region

Floats = NDArray[np.float64]
Change = Callable[[Floats, Floats, float, np.random.Generator], Floats]
"""Picture (H, W, C) in [0, 1], another picture, strength in (0, 1], randomness: the anomaly."""

WEAKEST = 0.05
"""Strengths run from here to 1, evenly by their logarithm: most are slight, a few plain."""

# A pixel belongs to the mask from this change on, and a picture counts as changed from this
# share of such pixels on.
_SEEN = 8 / 255
_LEAST_SHARE = 0.0015
_TRIES = 12
_FEWEST = 4


class SyntheticAnomalies(NamedTuple):
    """Anomalies of one kind."""

    kind: str
    """Name from `KINDS`."""
    images: NDArray[np.uint8]
    """The pictures (n, H, W, C)."""
    masks: NDArray[np.bool_]
    """Where each was changed (n, H, W)."""
    sources: NDArray[np.int64]
    """Row of the normal picture that each was made from (n,)."""
    strengths: NDArray[np.float64]
    """Strength of each, in [0.05, 1] (n,)."""


def make_anomalies(
    pictures: NDArray[np.uint8],
    *,
    kinds: Sequence[str] | None = None,
    per_kind: int | None = None,
    seed: int = 0,
) -> list[SyntheticAnomalies]:
    """Make anomalies of each kind from normal pictures.

    Parameters
    ----------
    pictures : ndarray of shape (N, H, W, C), uint8
        Normal pictures, at least two.
    kinds : sequence of str or None
        Names from `KINDS`. None: all.
    per_kind : int or None
        Anomalies of each kind. None: one of each picture.
    seed : int
        One seed gives the same anomalies on every machine; a kind's do not depend on which other
        kinds are asked for.

    Returns
    -------
    list of SyntheticAnomalies
        Those that a change can be seen in. A kind that shows on hardly any of the pictures, such
        as pieces moved about on a plain surface, is left out.

    Raises
    ------
    UnknownName
        No such kind.
    ConfigurationError
        Fewer than two pictures, or ``per_kind`` below 1.
    InputError
        No kind shows on these pictures.
    """
    names = list(KINDS if kinds is None else kinds)
    for name in names:
        if name not in KINDS:
            raise UnknownName.among("kind of synthetic anomaly", name, KINDS)
    count = len(pictures) if per_kind is None else per_kind
    if len(pictures) < 2 or count < 1:
        raise ConfigurationError(
            f"{count} anomalies were asked for from {len(pictures)} pictures; wanted at least 1 "
            f"from at least 2"
        )
    made = [_of_kind(name, pictures, count, seed) for name in names]
    shown = [part for part in made if len(part.images) >= max(_FEWEST, count // 2)]
    if not shown:
        raise InputError(
            f"none of {len(names)} kinds of synthetic anomaly shows on these {len(pictures)} "
            f"pictures; they are too plain, or too few, to choose settings on"
        )
    return shown


def _of_kind(name: str, pictures: NDArray[np.uint8], count: int, seed: int) -> SyntheticAnomalies:
    rng = np.random.default_rng([seed, *name.encode()])
    # Every picture serves as often as every other, and every strength meets every picture.
    sources = np.resize(rng.permutation(len(pictures)), count)
    strengths = rng.permutation(np.geomspace(WEAKEST, 1, count))
    images, masks, kept = [], [], []
    for i, (source, strength) in enumerate(zip(sources.tolist(), strengths.tolist(), strict=True)):
        own = np.random.default_rng([seed, i, *name.encode()])
        found = _changed(KINDS[name], pictures, source, strength, own)
        if found is not None:
            images.append(found[0])
            masks.append(found[1])
            kept.append(i)
    shape = pictures.shape[1:]
    return SyntheticAnomalies(
        kind=name,
        images=np.stack(images) if images else np.empty((0, *shape), np.uint8),
        masks=np.stack(masks) if masks else np.empty((0, *shape[:2]), np.bool_),
        sources=sources[kept].astype(np.int64),
        strengths=strengths[kept],
    )


def _changed(
    change: Change,
    pictures: NDArray[np.uint8],
    source: int,
    strength: float,
    rng: np.random.Generator,
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]] | None:
    """Return a picture in which the change can be seen, with its mask; None: it shows nowhere."""
    before = pictures[source]
    for _ in range(_TRIES):
        other = int((source + rng.integers(1, len(pictures))) % len(pictures))
        after = change(before / 255, pictures[other] / 255, strength, rng)
        image = np.rint(after.clip(0, 1) * 255).astype(np.uint8)
        difference = np.abs(image.astype(np.float64) - before).max(2) / 255
        mask = difference >= _SEEN
        if mask.mean() >= _LEAST_SHARE:
            return image, mask
    return None


def cut_paste(x: Floats, other: Floats, strength: float, rng: np.random.Generator) -> Floats:
    """Paste a piece of the picture at another place of it."""
    return _pasted(x, x, strength, rng)


def cut_paste_other(x: Floats, other: Floats, strength: float, rng: np.random.Generator) -> Floats:
    """Paste a piece of another picture at another place."""
    return _pasted(x, other, strength, rng)


def texture(x: Floats, other: Floats, strength: float, rng: np.random.Generator) -> Floats:
    """Lay another picture, turned over and with its contrast drawn out, into ragged regions."""
    region = ragged_region(x.shape[0], x.shape[1], _share(strength), rng)[..., None]
    laid = np.flip(other, axis=(0, 1)[: 1 + int(rng.integers(2))])
    noise = gaussian_filter(rng.normal(size=x.shape), (1, 1, 0))
    laid = laid + 0.25 * noise / noise.std()
    opacity = 0.1 + 0.8 * strength
    return np.where(region, (1 - opacity) * x + opacity * laid, x)


def intensity(x: Floats, other: Floats, strength: float, rng: np.random.Generator) -> Floats:
    """Make ragged regions lighter or darker."""
    region = ragged_region(x.shape[0], x.shape[1], _share(strength), rng)[..., None]
    return np.where(region, x + rng.choice([-1, 1]) * (0.04 + 0.4 * strength), x)


def blur(x: Floats, other: Floats, strength: float, rng: np.random.Generator) -> Floats:
    """Blur a region with a soft border."""
    region = gaussian_filter(_block_mask(x, 2 * strength, rng).astype(float), 1)[..., None]
    sigma = max(x.shape[:2]) * 0.1 * strength
    blurred: Floats = region * gaussian_filter(x, (sigma, sigma, 0)) + (1 - region) * x
    return blurred


def block(x: Floats, other: Floats, strength: float, rng: np.random.Generator) -> Floats:
    """Cover a block with black, white or a shade between."""
    region = _block_mask(x, strength, rng)[..., None]
    opacity = 0.1 + 0.9 * strength
    shade = rng.choice([0.0, 1.0, float(rng.uniform())])
    return np.where(region, (1 - opacity) * x + opacity * shade, x)


def shuffle(x: Floats, other: Floats, strength: float, rng: np.random.Generator) -> Floats:
    """Shuffle the pixels of a block among themselves."""
    region = _block_mask(x, 2 * strength, rng)
    shuffled = x.copy()
    shuffled[region] = rng.permutation(x[region])
    return shuffled


def rearranged(x: Floats, other: Floats, strength: float, rng: np.random.Generator) -> Floats:
    """Cut the whole picture into tiles, and let a share of them change places."""
    tiles = int(rng.integers(2, 5))
    height, width = (side // tiles for side in x.shape[:2])
    moved = rng.permutation(tiles * tiles)[: max(2, round(strength * tiles * tiles))]
    result = x.copy()
    for to, start in zip(moved.tolist(), np.roll(moved, 1).tolist(), strict=True):
        (r, c), (p, q) = divmod(to, tiles), divmod(start, tiles)
        result[r * height : (r + 1) * height, c * width : (c + 1) * width] = x[
            p * height : (p + 1) * height, q * width : (q + 1) * width
        ]
    return result


def inverted(x: Floats, other: Floats, strength: float, rng: np.random.Generator) -> Floats:
    """Take the contrast out of the whole picture, then turn it round, up to its negative."""
    return (1 - strength) * x + strength * (1 - x)


def blended(x: Floats, other: Floats, strength: float, rng: np.random.Generator) -> Floats:
    """Let another picture, turned upside down, show through."""
    share = 0.5 * strength
    return (1 - share) * x + share * other[::-1, ::-1]


KINDS: Mapping[str, Change] = MappingProxyType(
    {
        "cut_paste": cut_paste,
        "cut_paste_other": cut_paste_other,
        "texture": texture,
        "intensity": intensity,
        "blur": blur,
        "block": block,
        "shuffle": shuffle,
        "rearranged": rearranged,
        "inverted": inverted,
        "blended": blended,
    }
)


def _share(strength: float) -> float:
    """Share of the picture that a change of this strength covers."""
    return 0.004 + 0.1 * strength


def _sides(x: Floats, share: float, rng: np.random.Generator) -> tuple[int, int]:
    """Height and width of a block that covers ``share`` of the picture, up to 2 : 1 either way."""
    height, width = x.shape[:2]
    stretch = 2 ** rng.uniform(-0.5, 0.5)
    rows, columns = (np.sqrt(share) * np.array([height * stretch, width / stretch])).round()
    return int(np.clip(rows, 3, height)), int(np.clip(columns, 3, width))


def _block_mask(x: Floats, strength: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    rows, columns = _sides(x, _share(strength), rng)
    top, left = _place(x, rows, columns, rng)
    mask = np.zeros(x.shape[:2], np.bool_)
    mask[top : top + rows, left : left + columns] = True
    return mask


def _pasted(x: Floats, piece_of: Floats, strength: float, rng: np.random.Generator) -> Floats:
    rows, columns = _sides(x, _share(strength), rng)
    (top, left), (row, column) = (_place(x, rows, columns, rng) for _ in range(2))
    result = x.copy()
    result[row : row + rows, column : column + columns] = piece_of[
        top : top + rows, left : left + columns
    ]
    return result


def _place(x: Floats, rows: int, columns: int, rng: np.random.Generator) -> tuple[int, int]:
    height, width = x.shape[:2]
    return int(rng.integers(height - rows + 1)), int(rng.integers(width - columns + 1))
