"""Precision and recall of the verdicts, from counts of what persons said of them.

What was flagged and what was passed are two strata. Within each the share of anomalous pictures is
drawn from its Jeffreys posterior, which is sensible also where none or all are: 0 of 20 is not
certainty.

References
----------
Brown, Cai and DasGupta, "Interval estimation for a binomial proportion", Statistical Science 16(2),
2001.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from residua.service.schemas import Quality, Rate

LEVEL = 0.95
_DRAWS = 10_000
_SEED = 0
# The share of a stratum that may be missing from a fair sample before it is worth a word.
_MISSING = 0.05


@dataclass(frozen=True)
class Verdicts:
    """Reviewed pictures, by verdict and truth."""

    true_positives: int = 0
    """Flagged and anomalous."""
    false_positives: int = 0
    """Flagged and normal."""
    true_negatives: int = 0
    """Passed and normal."""
    false_negatives: int = 0
    """Passed and anomalous."""

    @classmethod
    def of(cls, counts: Mapping[tuple[bool, bool], int]) -> Self:
        """Read counts by (flagged, verdict was right)."""
        return cls(
            true_positives=counts.get((True, True), 0),
            false_positives=counts.get((True, False), 0),
            true_negatives=counts.get((False, True), 0),
            false_negatives=counts.get((False, False), 0),
        )

    def __sub__(self, other: Verdicts) -> Verdicts:
        return Verdicts(
            self.true_positives - other.true_positives,
            self.false_positives - other.false_positives,
            self.true_negatives - other.true_negatives,
            self.false_negatives - other.false_negatives,
        )

    @property
    def flagged(self) -> int:
        """Flagged pictures that were reviewed."""
        return self.true_positives + self.false_positives

    @property
    def passed(self) -> int:
        """Passed pictures that were reviewed."""
        return self.true_negatives + self.false_negatives

    @property
    def reviewed(self) -> int:
        """All that were reviewed."""
        return self.flagged + self.passed


def quality_of_all(verdicts: Verdicts, *, passed: int, uncertain: int) -> Quality:
    """Measure on all reviewed pictures, as they are.

    Parameters
    ----------
    verdicts : Verdicts
        Of all reviewed pictures.
    passed : int
        Passed pictures that are kept, reviewed or not.
    uncertain : int
        Reviewed pictures that came up as the most uncertain.
    """
    caveats = []
    if 2 * uncertain > verdicts.reviewed:
        caveats.append(
            f"{uncertain:,} of the {verdicts.reviewed:,} reviewed pictures came up because their "
            "verdicts were the most uncertain: on all pictures verdicts are more often right."
        )
    return _quality(
        verdicts,
        weights=(verdicts.flagged, verdicts.passed),
        passed=passed,
        what="reviewed",
        caveats=caveats,
    )


def quality_of_random(
    verdicts: Verdicts, *, flagged: int, passed: int, otherwise: Verdicts
) -> Quality:
    """Measure on pictures that came up in random order, weighted to all that are kept.

    Within the flagged and the passed they are a fair sample; how many of each were reviewed need
    not be as many as were kept. So with F flagged and P passed pictures

        recall = F precision / (F precision + P missed)

    where missed is the share of anomalous pictures among the passed.

    Parameters
    ----------
    verdicts : Verdicts
        Of the pictures that came up in random order.
    flagged, passed : int
        Pictures that are kept, reviewed or not.
    otherwise : Verdicts
        Of those that came up in another order, and so could not come up at random any more.
    """
    caveats = []
    missing = max(otherwise.flagged / max(flagged, 1), otherwise.passed / max(passed, 1))
    if verdicts.reviewed and missing > _MISSING:
        caveats.append(
            f"{otherwise.reviewed:,} pictures were reviewed in another order and so never came up "
            "at random: these figures are of the others."
        )
    return _quality(
        verdicts,
        weights=(flagged, passed),
        passed=passed,
        what="reviewed in random order",
        caveats=caveats,
    )


def _quality(
    verdicts: Verdicts,
    *,
    weights: tuple[int, int],
    passed: int,
    what: str,
    caveats: list[str],
) -> Quality:
    """Weight the flagged and the passed; ``passed`` are those that are kept."""
    v = verdicts
    precision = recall = None
    rng = np.random.default_rng(_SEED)
    hits = rng.beta(v.true_positives + 0.5, v.false_positives + 0.5, _DRAWS)
    misses = rng.beta(v.false_negatives + 0.5, v.true_negatives + 0.5, _DRAWS)
    if v.flagged:
        precision = _rate(v.true_positives / v.flagged, hits)
    if not v.reviewed:
        caveats.append(f"No picture has been {what} yet.")
    elif not v.flagged:
        caveats.append(f"No flagged picture has been {what}: precision and recall need some.")
    if not passed and v.reviewed:
        caveats.append("No passed picture is kept: recall cannot be told.")
    elif not v.passed and v.reviewed:
        caveats.append(f"No passed picture has been {what}: recall cannot be told.")
    if v.flagged and v.passed:
        if v.true_positives + v.false_negatives:
            point = _recall(v.true_positives / v.flagged, v.false_negatives / v.passed, weights)
            recall = _rate(float(point), _recall(hits, misses, weights))
        else:
            caveats.append(f"No picture that was {what} is anomalous: recall cannot be told.")
    return Quality(
        true_positives=v.true_positives,
        false_positives=v.false_positives,
        true_negatives=v.true_negatives,
        false_negatives=v.false_negatives,
        precision=precision,
        recall=recall,
        caveat=" ".join(caveats) or None,
    )


def _recall(
    precision: NDArray[np.float64] | float,
    missed: NDArray[np.float64] | float,
    weights: tuple[int, int],
) -> NDArray[np.float64]:
    found = weights[0] * np.asarray(precision)
    return np.asarray(found / (found + weights[1] * np.asarray(missed)))


def _rate(value: float, drawn: NDArray[np.float64]) -> Rate:
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(drawn, (tail, 1 - tail))
    # The interval holds the figure itself, also where that is 0 or 1.
    return Rate(value=value, low=min(float(low), value), high=max(float(high), value), level=LEVEL)
