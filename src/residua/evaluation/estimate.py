"""A measured figure with its interval, and the bootstrap that gives it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

LEVEL = 0.95
N_RESAMPLES = 1_000
# Weights held at a time, so that memory stays bounded whatever the number of pictures.
_VALUES_AT_A_TIME = 8_000_000


class Estimate(BaseModel):
    """A figure with its bootstrap confidence interval."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    value: float
    """On the pictures as they are."""
    low: float
    """Lower end of the interval."""
    high: float
    """Upper end of the interval."""
    level: float = LEVEL
    """Confidence level of the interval."""

    @classmethod
    def of(cls, value: float, resampled: NDArray[np.float64]) -> Self:
        """Build from the figure and its values (R,) on resampled pictures.

        The interval is that of the percentile bootstrap, widened where it must be to hold the
        figure itself.

        References
        ----------
        Efron and Tibshirani, "An introduction to the bootstrap", 1993, chapter 13.
        """
        tail = (1 - LEVEL) / 2
        low, high = np.quantile(resampled, (tail, 1 - tail))
        return cls(value=value, low=min(float(low), value), high=max(float(high), value))

    def __format__(self, form: str) -> str:
        form = form or ".4f"
        return f"{self.value:{form}} ({self.low:{form}}–{self.high:{form}})"


def resampled_counts(
    strata: NDArray[np.integer], n_resamples: int, seed: int
) -> Iterator[NDArray[np.float64]]:
    """Yield how often each picture is drawn in each resample, in blocks (r, N).

    Pictures are drawn with replacement within their stratum, so that every resample has as many
    normal and as many anomalous pictures as there are.

    Parameters
    ----------
    strata : ndarray of int, shape (N,)
        Stratum of each picture.
    n_resamples : int
        Rows in all blocks together.
    seed : int
    """
    rng = np.random.default_rng(seed)
    n = len(strata)
    members = [np.flatnonzero(strata == stratum) for stratum in np.unique(strata)]
    rows = max(1, min(n_resamples, _VALUES_AT_A_TIME // max(n, 1)))
    for start in range(0, n_resamples, rows):
        count = min(rows, n_resamples - start)
        block = np.zeros((count, n))
        offsets = np.arange(count)[:, None] * n
        for stratum in members:
            drawn = stratum[rng.integers(0, len(stratum), (count, len(stratum)))]
            block += np.bincount((drawn + offsets).ravel(), minlength=count * n).reshape(count, n)
        yield block


def mean_estimate(values: NDArray[np.float64], *, n_resamples: int, seed: int) -> Estimate:
    """Return the mean of values (N,), N ≥ 1, with its interval."""
    strata = np.zeros(len(values), np.int64)
    means = [
        counts @ values / len(values) for counts in resampled_counts(strata, n_resamples, seed)
    ]
    return Estimate.of(float(values.mean()), np.concatenate(means))
