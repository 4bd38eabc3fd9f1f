"""Where a model says the defect is, against masks: counted, so that memory stays bounded.

Error values are counted in bins of one thirty-second of an octave (2.2 %), taken from the bits of
their float32. Each picture has its counts, so that the bootstrap resamples pictures, not pixels:
the pixels of one picture are not independent.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from residua.errors import InputError
from residua.evaluation.estimate import N_RESAMPLES, Estimate, resampled_counts

FPR_LIMIT = 0.3
# Of float32's 23 bits of mantissa the first five are kept; the exponents span 2^-30 to 2^6.
_SHIFT = 18
_FIRST = (127 - 30) << 5
_BINS = 36 << 5
METRICS = ("pixel_auroc", "aupro", "pixel_best_f1")


@dataclass
class PixelTally:
    """Counts of error values on sound and on defective pixels."""

    _pictures: list[int] = field(default_factory=list)
    _sound: list[NDArray[np.uint32]] = field(default_factory=list)
    _defective: list[NDArray[np.uint32]] = field(default_factory=list)
    _regions: list[NDArray[np.float64]] = field(default_factory=list)
    _region_owner: list[int] = field(default_factory=list)

    def add(
        self, error_map: NDArray[np.float32], mask: NDArray[np.bool_] | None, *, picture: int
    ) -> None:
        """Count one picture's map (H, W) with its mask (H, W); None: all of it is sound."""
        from scipy.ndimage import label

        self._pictures.append(picture)
        bins = _bins(error_map)
        if mask is None or not mask.any():
            self._sound.append(_counts(bins.ravel()))
            self._defective.append(np.zeros(_BINS, np.uint32))
            return
        owner = len(self._sound)
        self._sound.append(_counts(bins[~mask]))
        self._defective.append(_counts(bins[mask]))
        regions, count = label(mask, structure=np.ones((3, 3), bool))
        for number in range(1, count + 1):
            counts = _counts(bins[regions == number])
            self._regions.append(counts / counts.sum())
            self._region_owner.append(owner)

    def __len__(self) -> int:
        return len(self._sound)

    def unmarked(self, pictures: Iterable[int]) -> list[int]:
        """Return those of some pictures in which no mask marks a defect."""
        marked = {self._pictures[owner] for owner in self._region_owner}
        counted = set(self._pictures)
        return [picture for picture in pictures if picture in counted and picture not in marked]

    def without(self, pictures: Collection[int]) -> PixelTally:
        """Return the counts of the other pictures; none of those left out may have a defect."""
        kept = [i for i, picture in enumerate(self._pictures) if picture not in pictures]
        place = {old: new for new, old in enumerate(kept)}
        return PixelTally(
            [self._pictures[i] for i in kept],
            [self._sound[i] for i in kept],
            [self._defective[i] for i in kept],
            self._regions,
            [place[owner] for owner in self._region_owner],
        )

    def metrics(self, *, n_resamples: int = N_RESAMPLES, seed: int = 0) -> dict[str, Estimate]:
        """Measure where the defects were found.

        Returns
        -------
        dict of str to Estimate
            "pixel_auroc"; "aupro", the area under the mean share of each region found, up to a
            false-positive rate of 0.3, divided by 0.3; "pixel_best_f1", over all thresholds.

        Raises
        ------
        InputError
            No pixel is marked as defective, or all are.

        References
        ----------
        Bergmann et al., "The MVTec anomaly detection dataset", IJCV 129, 2021, section 4.3.
        """
        if not self._regions:
            raise InputError("no mask marks a defect; pixel figures need masks with defects")
        sound, defective = (
            np.stack(part).astype(np.float32) for part in (self._sound, self._defective)
        )
        if not sound.any():
            raise InputError("the masks mark every pixel as defective; pixel figures need both")
        regions = np.stack(self._regions).astype(np.float32)
        owners = np.array(self._region_owner)
        strata = (defective.sum(1) > 0).astype(np.int64)
        resampled = []
        for counts in resampled_counts(strata, n_resamples, seed):
            weights = counts.astype(np.float32)
            resampled.append(
                _figures(weights @ sound, weights @ defective, weights[:, owners] @ regions)
            )
        points = _figures(sound.sum(0)[None], defective.sum(0)[None], regions.sum(0)[None])
        values = np.concatenate(resampled, axis=1)
        return {
            name: Estimate.of(float(points[row, 0]), values[row])
            for row, name in enumerate(METRICS)
        }


def _bins(error_map: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return the bin of each value; values below the first octave share the first bin."""
    bits = np.ascontiguousarray(np.maximum(error_map, 0), np.float32).view(np.uint32)
    return np.clip((bits >> _SHIFT).astype(np.int64) - _FIRST, 0, _BINS - 1)


def _counts(bins: NDArray[np.int64]) -> NDArray[np.uint32]:
    return np.bincount(bins, minlength=_BINS).astype(np.uint32)


def _figures(
    sound: NDArray[np.float32], defective: NDArray[np.float32], regions: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Return each of `METRICS` from counts (r, bins): (3, r)."""
    false, true, found = (
        np.cumsum(part[:, ::-1], axis=1, dtype=np.float64) for part in (sound, defective, regions)
    )
    false, true, found = (
        np.hstack([np.zeros((len(part), 1)), part]) for part in (false, true, found)
    )
    fpr, tpr, pro = (part / part[:, -1:] for part in (false, true, found))
    f1 = 2 * true / (true + false + true[:, -1:])
    aupro = [_area_below(x, y) for x, y in zip(fpr, pro, strict=True)]
    return np.stack([np.trapezoid(tpr, fpr, axis=1), np.array(aupro), f1.max(1)])


def _area_below(fpr: NDArray[np.float64], pro: NDArray[np.float64]) -> float:
    inside = int(np.searchsorted(fpr, FPR_LIMIT, side="right"))
    x = np.append(fpr[:inside], FPR_LIMIT)
    y = np.append(pro[:inside], np.interp(FPR_LIMIT, fpr, pro))
    return float(np.trapezoid(y, x)) / FPR_LIMIT
