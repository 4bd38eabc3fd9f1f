"""Whether a limit keeps its promise: false positives beside the interval that they should be in.

A limit that promises the rate α is the (n + 1 - l)-th least of n calibration scores, l being
⌊α (n + 1)⌋. Where calibration and test pictures are exchangeable, the share of normal pictures
beyond it is itself random, Beta(l, n + 1 - l), and the count among m of them is beta-binomial: both
the calibration and the test pictures vary. An interval for the test pictures alone is too narrow.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from quality.kept import Rate, Result

LEVEL = 0.95
_DRAWS = 100_000


class Pooled(NamedTuple):
    """False positives of one limit over the fits of a row."""

    rule: str
    n_calibration: tuple[int, int]
    """The least and the greatest number of calibration scores of a fit."""
    n_normal: int
    """Tests in all; a picture that several fits score counts for each."""
    flagged: int
    low: float
    """Ends of the two-sided 95 % interval of the rate, if the promise holds."""
    high: float
    refused: int
    """Fits in which the rule was refused; none of the figures counts them."""
    fits: int
    """All fits."""
    why: str | None
    """The first refusal."""

    @property
    def rate(self) -> float:
        """Share of normal pictures flagged."""
        return self.flagged / self.n_normal

    @property
    def verdict(self) -> str:
        """Where the rate lies."""
        if self.rate > self.high:
            return "above"
        return "below" if self.rate < self.low else "within"


def pool(results: Iterable[Result]) -> list[Pooled]:
    """Pool the false positives of a row's results, limit by limit."""
    by_rule: dict[str, list[tuple[str, Rate]]] = defaultdict(list)
    for result in results:
        for rate in result.rates:
            by_rule[rate.rule].append((result.case, rate))
    return [_pooled(rule, entries) for rule, entries in by_rule.items()]


def _pooled(rule: str, entries: Sequence[tuple[str, Rate]]) -> Pooled:
    counted = [(case, rate) for case, rate in entries if rate.refused is None]
    refusals = [rate.refused for _, rate in entries if rate.refused is not None]
    sizes = [rate.n_calibration for _, rate in counted or entries]
    total = sum(rate.n_normal for _, rate in counted)
    low, high = expected_interval(counted) if counted else (0, 0)
    return Pooled(
        rule=rule,
        n_calibration=(min(sizes), max(sizes)),
        n_normal=total,
        flagged=sum(rate.flagged for _, rate in counted),
        low=low / max(total, 1),
        high=high / max(total, 1),
        refused=len(refusals),
        fits=len(entries),
        why=refusals[0] if refusals else None,
    )


def expected_interval(entries: Sequence[tuple[str, Rate]]) -> tuple[int, int]:
    """Return the two-sided 95 % interval of the number flagged in all, if the promise holds.

    The fits of one case from several seeds score the same test pictures, or many of them, so their
    counts are not independent. They are taken as dependent as they can be, each picture having
    one rank among normal ones whatever the seed, which gives the widest interval. Cases have
    different normal pictures and are independent. Of one fit alone it is the beta-binomial
    interval.

    Parameters
    ----------
    entries : sequence of (str, Rate)
        Cases with their counts; none refused, each with a promised rate.
    """
    rng = np.random.default_rng(0)
    by_case: dict[str, list[Rate]] = defaultdict(list)
    for case, rate in entries:
        by_case[case].append(rate)
    total = np.zeros(_DRAWS, np.int64)
    for rates in by_case.values():
        total += _drawn(rates, rng)
    tail = (1 - LEVEL) / 2
    low = np.quantile(total, tail, method="inverted_cdf")
    return int(low), int(np.quantile(total, 1 - tail, method="inverted_cdf"))


def _drawn(rates: Sequence[Rate], rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw the number that the fits of one case flag together (draws,)."""
    beyond = np.stack([rng.beta(*_coverage(rate), _DRAWS) for rate in rates])
    shared = min(rate.n_normal for rate in rates)
    flagged = np.zeros(_DRAWS, np.int64)
    for rate, share in zip(rates, beyond, strict=True):
        flagged += rng.binomial(rate.n_normal - shared, share)
    # Shared pictures: those beyond a stricter limit are beyond each laxer one too.
    below, last = np.zeros(_DRAWS, np.int64), np.zeros(_DRAWS)
    for share in np.sort(beyond, axis=0):
        more = np.clip((share - last) / (1 - last), 0, 1)
        below = below + rng.binomial(shared - below, more)
        flagged += below
        last = share
    return flagged


def _coverage(rate: Rate) -> tuple[float, float]:
    """Return both parameters of the Beta distribution of the share beyond a limit."""
    assert rate.promised is not None
    # A whole number may come out a trace below itself.
    beyond = math.floor(rate.promised * (rate.n_calibration + 1) + 1e-9)
    return float(beyond), float(rate.n_calibration + 1 - beyond)
