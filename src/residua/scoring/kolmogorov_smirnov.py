"""How far two samples lie apart, and how often chance sets them as far: exact, in NumPy alone."""

from __future__ import annotations

from math import exp, log
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from residua.errors import ConfigurationError, InputError

# Factors along a row are brought to one size in runs so short that none of them overflows.
_LARGEST_EXPONENT = 300.0
# Beyond what a p-value can be told from zero; still an upper bound of it.
_SMALLEST = float(np.finfo(np.float64).tiny)


class Distance(NamedTuple):
    """The greatest difference of two samples' cumulative shares."""

    steps: int
    """The difference in units of 1 / (n m), so that equal distances are equal numbers."""
    value: float
    """The difference, in [0, 1]."""


def distance_between(first: ArrayLike, second: ArrayLike) -> Distance:
    """Return Kolmogorov and Smirnov's distance of two samples.

    Parameters
    ----------
    first : array-like of shape (n,), n ≥ 1
        In any order.
    second : array-like of shape (m,), m ≥ 1
        In any order.

    Raises
    ------
    InputError
        A value is NaN, or a sample is empty.
    """
    one, other = _sample(first), _sample(second)
    values = np.concatenate([one, other])
    below_one = np.searchsorted(one, values, "right")
    below_other = np.searchsorted(other, values, "right")
    steps = int(np.abs(below_one * other.size - below_other * one.size).max())
    return Distance(steps, steps / (one.size * other.size))


def p_value_of(steps: int, n: int, m: int) -> float:
    """Return how often two samples of one continuous distribution lie at least so far apart.

    The samples, in order, are a path of n + m steps from (0, 0) to (m, n), all paths equally
    likely; the distance is reached where a path leaves the band \\|n x - m y\\| < ``steps``. The
    share of paths that leave it is summed row by row from positive terms only, so that it is as
    exact near 0 as near 1: to nine digits. With tied values the share is an upper bound, and so it
    is below 2.2e-308, which is then returned.

    Parameters
    ----------
    steps : int
        The distance in units of 1 / (n m), as of `distance_between`; 0 to n m.
    n, m : int
        Sizes of the samples, ≥ 1. The time is as n m times the distance, where n ≤ m.

    Returns
    -------
    float
        In (0, 1].

    Raises
    ------
    ConfigurationError
        A number is outside its range.

    References
    ----------
    Hodges, "The significance probability of the Smirnov two-sample test", Arkiv för Matematik
    3(43), 1958.
    """
    if n < 1 or m < 1 or not 0 <= steps <= n * m:
        raise ConfigurationError(
            f"a distance of {steps} / ({n} · {m}) is none of two samples; wanted 0 to n m, of "
            f"samples of at least 1"
        )
    n, m = min(n, m), max(n, m)
    if steps == 0:
        return 1.0
    return min(1.0, max(_SMALLEST, _Paths(n, m).share_leaving(steps)))


class _Paths:
    """Random paths that go right with probability m / (n + m), else up.

    Every path to one point is equally likely, so that among the paths that come through (m, n) all
    are; and no probability can overflow, as counts of paths would.
    """

    def __init__(self, n: int, m: int) -> None:
        self._n, self._m = n, m
        self._right, self._up = m / (n + m), n / (n + m)
        self._log_right, self._log_up = log(self._right), log(self._up)
        logs = np.log(np.arange(1, n + m + 1, dtype=np.float64))
        self._log_factorial = [0.0, *np.cumsum(logs).tolist()]
        self._run = max(1, int(_LARGEST_EXPONENT / -log(self._right)))
        exponents = np.arange(min(self._run, m + 1), dtype=np.float64)
        self._powers = self._right**exponents
        # Times `up`, so that a row is solved in few passes over it.
        self._inverse = self._up * self._right**-exponents

    def share_leaving(self, steps: int) -> float:
        """Return the share of paths to (m, n) that leave the band on their way."""
        n, m = self._n, self._m
        low, high = 0, min(m + 1, -(-steps // n))
        # Probability to come through each point of the row's band after having left the band.
        left: NDArray[np.float64] = np.zeros(high)
        for y in range(1, n + 1):
            before_low, before_high = low, high
            low = max(0, (y * m - steps) // n + 1)
            high = min(m + 1, -(-(y * m + steps) // n))
            if low >= high:
                return 1.0
            # Where the row below has ended, this one stands on points outside the band, which all
            # paths have left it to reach; so they have to the point beside its first.
            below = left[max(0, low - before_low) :]
            fresh = [self._through(x, y - 1) for x in range(max(low, before_high), high)]
            left = self._row(
                np.concatenate([below, fresh]), self._through(low - 1, y) if low else 0.0
            )
        return float(left[-1]) / self._through(m, n)

    def _through(self, x: int, y: int) -> float:
        """Return the probability that a path comes through the point (x, y)."""
        factorial = self._log_factorial
        ways = factorial[x + y] - factorial[x] - factorial[y]
        return exp(ways + x * self._log_right + y * self._log_up)

    def _row(self, below: NDArray[np.float64], beside: float) -> NDArray[np.float64]:
        """Solve w[x] = right · w[x - 1] + up · below[x], of which the one before is ``beside``."""
        row = np.empty_like(below)
        for start in range(0, below.size, self._run):
            part = below[start : start + self._run]
            sums = part * self._inverse[: part.size]
            np.cumsum(sums, out=sums)
            sums += self._right * beside
            sums *= self._powers[: part.size]
            row[start : start + part.size] = sums
            beside = float(sums[-1])
        return row


def _sample(values: ArrayLike) -> NDArray[np.float64]:
    """Return a sample in rising order."""
    sample = np.sort(np.asarray(values, dtype=np.float64), axis=None)
    if not sample.size:
        raise InputError("a sample is empty; a distance needs at least one value of each")
    if np.isnan(sample[-1]):
        raise InputError("a value is NaN; it has no place in an order")
    return sample
