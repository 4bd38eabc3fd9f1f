"""Split-conformal limits: a promised rate that holds for any distribution of scores."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_CEILING, Context, Decimal
from math import ceil, floor

import numpy as np
from numpy.typing import NDArray

from residua.errors import ConfigurationError
from residua.scoring.rules.base import ThresholdRule

DEFAULT_RATE = 0.01


@dataclass(frozen=True)
class Conformal(ThresholdRule):
    """The least score that at most a share ``fpr`` of new normal pictures exceeds, on average.

    The limit is the k-th least of the n normal scores, k = ⌈(n + 1)(1 - fpr)⌉. Where a new normal
    picture is as good as drawn with the calibration pictures (exchangeable), it lies above with
    probability fpr at most, whatever the scores' distribution. The average is over calibration
    sets too: with one set of n scores in hand, the rate is distributed as Beta(n + 1 - k, k).

    A score lies above exactly where its p-value (`residua.scoring.calibration.p_values`) is at
    most ``fpr``.

    Parameters
    ----------
    fpr : float, default=0.01
        False-positive rate, in (0, 1). It takes ⌈1 / fpr⌉ - 1 normal scores at least.

    References
    ----------
    Vovk, Gammerman and Shafer, "Algorithmic learning in a random world", Springer 2005.
    Lei, G'Sell, Rinaldo, Tibshirani and Wasserman, "Distribution-free predictive inference for
    regression", Journal of the American Statistical Association 113(523), 2018.
    """

    fpr: float = DEFAULT_RATE

    def __post_init__(self) -> None:
        require_rate("conformal", self.fpr)

    @property
    def promised_rate(self) -> float | None:
        """Share of normal pictures that the rule is meant to flag."""
        return self.fpr

    @property
    def min_scores(self) -> int:
        """Number of normal scores that the rule needs at least."""
        return max(2, scores_needed(self.fpr))

    def expected_rate(self, n: int) -> float | None:
        """Share of new normal pictures to expect above the limit when fitted on ``n`` scores."""
        return (n + 1 - self.rank(n)) / (n + 1) if n >= self.min_scores else None

    def rank(self, n: int) -> int:
        """Return k: the limit is the k-th least of ``n`` scores."""
        return n + 1 - rank_from_top(self.fpr, n)

    def limits(self, scores: NDArray[np.float64]) -> tuple[float, float | None]:
        """Return the limits for finite normal scores (n,), n at least `min_scores`."""
        at = self.rank(scores.size) - 1
        return float(np.partition(scores, at)[at]), None

    def __str__(self) -> str:
        return f"conformal({float(self.fpr)!r})"


@dataclass(frozen=True)
class Auto(ThresholdRule):
    """``conformal(0.01)``, or the strictest promise that fewer than 99 scores allow.

    With n scores that promise is 1 / (n + 1), rounded up to three digits: the limit is the highest
    of them. The fitted threshold names the rule that it came to.
    """

    @property
    def promised_rate(self) -> float | None:
        """Share of normal pictures that the rule is meant to flag where there are enough scores."""
        return DEFAULT_RATE

    def for_count(self, n: int) -> ThresholdRule:
        """Return the conformal rule that is fitted on ``n`` scores."""
        if n >= scores_needed(DEFAULT_RATE):
            return Conformal(DEFAULT_RATE)
        upwards = Context(prec=3, rounding=ROUND_CEILING)
        return Conformal(float(upwards.divide(Decimal(1), Decimal(n + 1))))

    def expected_rate(self, n: int) -> float | None:
        """Share of new normal pictures to expect above the limit when fitted on ``n`` scores."""
        return self.for_count(n).expected_rate(n)

    def shortage(self, n: int) -> str | None:
        """Say what ``n`` scores promise where that is more than 1 %; None: they are enough."""
        actual = self.for_count(n).promised_rate
        assert actual is not None
        if actual <= DEFAULT_RATE:
            return None
        return (
            f"{n} held-out normal pictures cannot show a false-positive rate below 1 in {n + 1}, "
            f"so the threshold promises {actual:.1%}; "
            f"{scores_needed(DEFAULT_RATE)} would give {DEFAULT_RATE:.0%}"
        )

    def limits(self, scores: NDArray[np.float64]) -> tuple[float, float | None]:
        """Return the limits for finite normal scores (n,), n ≥ 2."""
        return self.for_count(scores.size).limits(scores)

    def __str__(self) -> str:
        return "auto"


def rank_from_top(rate: float, n: int) -> int:
    """Return the greatest m with m / (n + 1) ≤ ``rate``, compared as p-values are.

    The product of both is wrong by a rounding where the rate is no binary fraction: 100 times 0.29
    is below 29. The quotients are the numbers that p-values take.
    """
    m = floor((n + 1) * rate)
    if (m + 1) / (n + 1) <= rate:
        return m + 1
    return m - 1 if m / (n + 1) > rate else m


def scores_needed(rate: float) -> int:
    """Return the fewest scores n with 1 / (n + 1) ≤ ``rate``."""
    n = ceil(1 / rate) - 1
    if n > 0 and 1 / n <= rate:
        return n - 1
    return n + 1 if 1 / (n + 1) > rate else n


def require_rate(rule: str, rate: float) -> None:
    """Refuse a rate that is none.

    Raises
    ------
    ConfigurationError
        It is not a number in (0, 1).
    """
    if isinstance(rate, bool) or not 0 < rate < 1:
        raise ConfigurationError(
            f"{rule}: the rate is {rate!r}; it must be a number between 0 and 1, such as 0.01"
        )
