"""Exact intervals of rates, rank correlation and the two-sample test, with NumPy alone."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

LEVEL = 0.95
_STEPS = 60


class Interval(NamedTuple):
    """A figure with the ends of its interval."""

    value: float
    low: float
    high: float


def rate_interval(hits: int, n: int, level: float = LEVEL) -> Interval:
    """Return the share of ``hits`` among ``n`` ≥ 1 with its exact interval.

    References
    ----------
    Clopper and Pearson, "The use of confidence or fiducial limits illustrated in the case of the
    binomial", Biometrika 26(4), 1934.
    """
    tail = (1 - level) / 2
    low = beta_quantile(tail, hits, n - hits + 1) if hits else 0.0
    high = beta_quantile(1 - tail, hits + 1, n - hits) if hits < n else 1.0
    return Interval(hits / n, low, high)


def order_statistic_interval(n: int, q: float, level: float = LEVEL) -> Interval:
    """Return the share of new scores to expect above the ``q``-th percentile of ``n`` scores.

    The share above the k-th least of n exchangeable scores has the distribution
    Beta(n + 1 - k, k), whatever that of the scores. A percentile between two of them has the low
    end of the upper and the high end of the lower one, so that its interval is no less than exact.
    """
    tail = (1 - level) / 2
    rank = 1 + (n - 1) * q / 100
    above, below = math.ceil(rank - 1e-9), math.floor(rank + 1e-9)
    low = beta_quantile(tail, n + 1 - above, above)
    high = beta_quantile(1 - tail, n + 1 - below, below)
    return Interval(1 - rank / (n + 1), low, high)


def beta_quantile(probability: float, a: int, b: int) -> float:
    """Return the quantile of Beta(a, b) for whole a, b ≥ 1, by bisection.

    It uses that Beta(a, b) lies below x as often as Binomial(a + b - 1, x) is at least a.
    """
    n = a + b - 1
    # The shorter of the two tails is summed.
    lower_tail = a > n - a + 1
    counts = np.arange(a, n + 1) if lower_tail else np.arange(a)
    log_ways = math.lgamma(n + 1) - _log_gamma(counts) - _log_gamma(n - counts)
    low, high = 0.0, 1.0
    for _ in range(_STEPS):
        x = (low + high) / 2
        logs = log_ways + counts * math.log(x) + (n - counts) * math.log1p(-x)
        total = float(np.exp(logs).sum())
        if (total if lower_tail else 1 - total) < probability:
            low = x
        else:
            high = x
    return (low + high) / 2


def ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the rank of each value (N,), from 1; equal ones share their mean rank."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    mean: NDArray[np.float64] = (last - (counts - 1) / 2)[inverse]
    return mean


def rank_correlation(a: NDArray[np.float64], b: NDArray[np.float64]) -> Interval | None:
    """Return Spearman's correlation of two figures (N,) with its interval.

    None: there are fewer than 10 pairs, or one of the two is constant.

    References
    ----------
    Bonett and Wright, "Sample size requirements for estimating Pearson, Kendall and Spearman
    correlations", Psychometrika 65(1), 2000, for the standard error.
    """
    if len(a) < 10 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return None
    rho = float(np.corrcoef(ranks(a), ranks(b))[0, 1])
    bounded = min(max(rho, -1 + 1e-12), 1 - 1e-12)
    centre = math.atanh(bounded)
    reach = 1.959964 * math.sqrt((1 + bounded**2 / 2) / (len(a) - 3))
    return Interval(rho, math.tanh(centre - reach), math.tanh(centre + reach))


def auroc_interval(truth: NDArray[np.bool_], scores: NDArray[np.float64]) -> Interval | None:
    """Return how often an anomalous picture scores above a normal one, with its interval.

    None: all are of one kind.

    References
    ----------
    Hanley and McNeil, "The meaning and use of the area under a receiver operating characteristic
    (ROC) curve", Radiology 143(1), 1982.
    """
    n, m = int(truth.sum()), int((~truth).sum())
    if not n or not m:
        return None
    area = (float(ranks(scores)[truth].sum()) - n * (n + 1) / 2) / (n * m)
    square = area**2
    above, below = area / (2 - area) - square, 2 * square / (1 + area) - square
    variance = (area - square + (n - 1) * above + (m - 1) * below) / (n * m)
    reach = 1.959964 * math.sqrt(max(variance, 0.0))
    return Interval(area, max(area - reach, 0.0), min(area + reach, 1.0))


class TwoSample(NamedTuple):
    """The two-sample Kolmogorov-Smirnov test."""

    distance: float
    """Greatest difference of the two distribution functions, 0 to 1."""
    p_value: float
    """How often samples of one distribution are at least as far apart; asymptotic."""


def two_sample(a: NDArray[np.float64], b: NDArray[np.float64]) -> TwoSample:
    """Compare the distributions of two samples, of at least one value each."""
    a, b = np.sort(a), np.sort(b)
    every = np.concatenate([a, b])
    below = [np.searchsorted(part, every, side="right") / len(part) for part in (a, b)]
    distance = float(np.abs(below[0] - below[1]).max())
    size = math.sqrt(len(a) * len(b) / (len(a) + len(b)))
    scaled = (size + 0.12 + 0.11 / size) * distance
    terms = np.arange(1, 101)
    tail = float(2 * ((-1.0) ** (terms - 1) * np.exp(-2 * (scaled * terms) ** 2)).sum())
    # The series does not converge near 0, where the probability is 1.
    return TwoSample(distance, 1.0 if scaled < 0.2 else min(max(tail, 0.0), 1.0))


def _log_gamma(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return log(counts!) for whole counts (K,)."""
    return np.array([math.lgamma(count + 1) for count in counts.tolist()])
