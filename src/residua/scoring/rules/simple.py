"""Rules from a few figures of the normal scores: mean and deviation, a percentile, the median."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from residua.errors import ConfigurationError
from residua.scoring.rules.base import ThresholdRule


@dataclass(frozen=True)
class ZScore(ThresholdRule):
    """Mean ± ``k`` standard deviations of the normal scores.

    Parameters
    ----------
    k : float, default=3.0
        Standard deviations, positive.
    two_sided : bool, default=False
        Whether scores below the mean by as much are anomalous too.
    """

    k: float = 3.0
    two_sided: bool = False

    def __post_init__(self) -> None:
        _require_positive("zscore", self.k)
        if not isinstance(self.two_sided, bool):
            raise ConfigurationError(
                f"zscore: two_sided is {self.two_sided!r}; it must be True or False"
            )

    def limits(self, scores: NDArray[np.float64]) -> tuple[float, float | None]:
        """Return the limits for finite normal scores (n,)."""
        mean, reach = scores.mean(), self.k * scores.std(ddof=1)
        return mean + reach, mean - reach if self.two_sided else None

    def __str__(self) -> str:
        return f"zscore({self.k:.15g}, two_sided={self.two_sided})"


@dataclass(frozen=True)
class Percentile(ThresholdRule):
    """The ``q``-th percentile of the normal scores; (100 - q) % of them lie above it.

    Of few scores it flags more new pictures than it says; `Conformal` does not.

    Parameters
    ----------
    q : float, default=99.0
        Percentile, in (0, 100]; linear interpolation between neighbouring scores.
    """

    q: float = 99.0

    def __post_init__(self) -> None:
        if not 0 < self.q <= 100:
            raise ConfigurationError(f"percentile: q is {self.q}; it must be in (0, 100]")

    @property
    def promised_rate(self) -> float | None:
        """Share of normal pictures that the rule is meant to flag."""
        return 1 - self.q / 100

    def expected_rate(self, n: int) -> float | None:
        """Share of new normal pictures to expect above the limit when fitted on ``n`` scores.

        The k-th least of n exchangeable scores is expected to have k / (n + 1) of new ones below.
        """
        return 1 - (1 + (n - 1) * self.q / 100) / (n + 1)

    def limits(self, scores: NDArray[np.float64]) -> tuple[float, float | None]:
        """Return the limits for finite normal scores (n,)."""
        return float(np.percentile(scores, self.q)), None

    def __str__(self) -> str:
        return f"percentile({self.q:.15g})"


@dataclass(frozen=True)
class MAD(ThresholdRule):
    """Median + ``k`` scaled median absolute deviations: a z-score that strays do not move.

    Parameters
    ----------
    k : float, default=3.5
        Scaled deviations, positive. The scale 1.4826 makes them standard deviations where the
        scores are normally distributed.

    References
    ----------
    Iglewicz and Hoaglin, "How to detect and handle outliers", ASQC 1993, chapter 3.
    """

    k: float = 3.5

    def __post_init__(self) -> None:
        _require_positive("mad", self.k)

    def limits(self, scores: NDArray[np.float64]) -> tuple[float, float | None]:
        """Return the limits for finite normal scores (n,)."""
        median = np.median(scores)
        return float(median + self.k * 1.4826 * np.median(np.abs(scores - median))), None

    def __str__(self) -> str:
        return f"mad({self.k:.15g})"


def _require_positive(rule: str, k: float) -> None:
    if not (np.isfinite(k) and k > 0):
        raise ConfigurationError(f"{rule}: k is {k}; it must be a positive number")
