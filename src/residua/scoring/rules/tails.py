"""Rates rarer than the calibration scores can show, from a model of their upper tail."""

from __future__ import annotations

from dataclasses import dataclass
from math import expm1, log

import numpy as np
from numpy.typing import NDArray

from residua.errors import IdenticalScores
from residua.scoring.rules.base import ThresholdRule
from residua.scoring.rules.conformal import Conformal, require_rate

_MIN_SCORES = 100
_FARTHEST = 100
_TAIL_SHARE = 0.1
_FEWEST_ABOVE = 20
_FEWEST_DISTINCT = 10


@dataclass(frozen=True)
class Tail(ThresholdRule):
    """Peaks over a high score, extrapolated by a generalised Pareto distribution.

    The scores above the 90 % quantile u (the 20 highest of fewer than 200) are taken for a sample
    of that distribution, to which the excesses of many distributions tend as u rises. Where
    ``fpr`` is a rate that u or a lower score has already, the limit is that of ``conformal(fpr)``.

    The promise rests on that assumption, which no calibration score can confirm beyond the
    highest one: a mixture of two kinds of normal pictures, the rarer with the higher scores, breaks
    it. Where the scores suffice, ⌈1 / fpr⌉ - 1 of them, prefer ``conformal``, which assumes nothing
    of the kind. Even where the assumption holds, the promise is that of the median: on average
    over sets of n scores ``tail(0.001)`` flags about 0.0035 of new ones with n = 100, 0.0017 with
    300 and 0.0012 with 1,000 (simulated on normal, gamma and t distributions).

    Parameters
    ----------
    fpr : float, default=0.001
        False-positive rate, in (0, 1). It takes 100 normal scores at least.

    References
    ----------
    Pickands, "Statistical inference using extreme order statistics", Annals of Statistics 3(1),
    1975. Zhang and Stephens, "A new and efficient estimation method for the generalized Pareto
    distribution", Technometrics 51(3), 2009.
    """

    fpr: float = 0.001

    def __post_init__(self) -> None:
        require_rate("tail", self.fpr)

    @property
    def promised_rate(self) -> float | None:
        """Share of normal pictures that the rule is meant to flag."""
        return self.fpr

    @property
    def min_scores(self) -> int:
        """Number of normal scores that the rule needs at least."""
        return _MIN_SCORES

    def shortage(self, n: int) -> str | None:
        """Say what ``n`` scores are too few for; None: they are enough."""
        if self.fpr * (n + 1) >= 1 / _FARTHEST:
            return None
        return (
            f"{self} is a rate more than {_FARTHEST} times rarer than {n:,} held-out pictures "
            f"show, which rests on an assumption alone"
        )

    def limits(self, scores: NDArray[np.float64]) -> tuple[float, float | None]:
        """Return the limits for finite normal scores (n,), n ≥ 100.

        Raises
        ------
        IdenticalScores
            Fewer than 10 different scores make up the tail.
        """
        n = scores.size
        above = max(_FEWEST_ABOVE, int(_TAIL_SHARE * n))
        start = float(np.partition(scores, n - above - 1)[n - above - 1])
        excesses = np.sort(scores[scores > start]) - start
        # What conformal would promise at the start of the tail, so that both meet there.
        rate = (excesses.size + 1) / (n + 1)
        if self.fpr >= rate:
            return Conformal(self.fpr).limits(scores)
        distinct = np.unique(excesses).size
        if distinct < _FEWEST_DISTINCT:
            raise IdenticalScores(
                f"{self} rests on the shape of the highest scores, and of {n:,} only {distinct} "
                f"different ones lie above {start:.6g}, where {_FEWEST_DISTINCT} are wanted; use "
                f"conformal, or check that the calibration pictures differ"
            )
        shape, scale = fit_pareto(excesses)
        rarer = log(rate / self.fpr)
        reach = rarer if abs(shape * rarer) < 1e-9 else expm1(shape * rarer) / shape
        return start + scale * reach, None

    def __str__(self) -> str:
        return f"tail({float(self.fpr)!r})"


def fit_pareto(excesses: NDArray[np.float64]) -> tuple[float, float]:
    """Fit a generalised Pareto distribution, P(X > x) = (1 + ξ x / σ)^(-1/ξ).

    Parameters
    ----------
    excesses : ndarray of shape (n,)
        Positive, rising, not all equal.

    Returns
    -------
    shape, scale : float
        ξ and σ: the mean of θ = -ξ / σ under its profile likelihood, and what follows from it.

    References
    ----------
    Zhang and Stephens, Technometrics 51(3), 2009, section 3.
    """
    n, unit = excesses.size, float(excesses[-1])
    x = excesses / unit
    quartile = max(float(x[int(n / 4 + 0.5) - 1]), float(np.finfo(np.float64).eps))
    m = 20 + int(np.sqrt(n))
    thetas = 1 + (1 - np.sqrt(m / (np.arange(1, m + 1) - 0.5))) / (3 * quartile)
    k = -np.log1p(-thetas[:, None] * x).mean(axis=1)
    # θ / k tends to 1 / mean as θ tends to 0.
    small = np.abs(k) < 1e-12
    ratio = np.where(small, 1 / x.mean(), thetas / np.where(small, 1.0, k))
    profile = n * (np.log(ratio) + k - 1)
    weights = np.exp(profile - profile.max())
    theta = float(weights @ thetas / weights.sum())
    shape = float(np.log1p(-theta * x).mean())
    scale = float(x.mean()) if abs(shape) < 1e-12 else -shape / theta
    return shape, scale * unit
