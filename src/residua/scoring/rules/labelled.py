"""Rules that see labelled anomalies. They promise no rate, and a fit on trusted pictures has none.

What they set is as good as the anomalies that were shown to them; other kinds may score lower.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from residua.errors import InputError, TooFewImages
from residua.scoring.rules.base import Rule, Threshold, checked_scores


class LabelledRule(Rule, ABC):
    """A way to set a limit from the scores of normal and of anomalous pictures."""

    @abstractmethod
    def worth(self, flagged: Flagged) -> NDArray[np.float64]:
        """Return how good it is to flag from each of K scores on (K,); the highest is taken."""

    def fit(self, normal_scores: ArrayLike, anomalous_scores: ArrayLike) -> Threshold:
        """Fit the rule.

        The limit lies half-way between the score from which on flagging is best and the next
        lower one.

        Parameters
        ----------
        normal_scores : array-like of shape (n,)
            Scores of normal pictures that the network was not fitted on, finite, n ≥ 2.
        anomalous_scores : array-like of shape (m,)
            Scores of anomalous pictures, finite, m ≥ 1.

        Raises
        ------
        TooFewImages
            Fewer scores than that.
        InputError
            A score that is not finite, or no limit is better than flagging all or nothing.
        """
        normal = checked_scores(normal_scores)
        anomalous = checked_scores(anomalous_scores, "anomalous")
        if normal.size < 2 or not anomalous.size:
            raise TooFewImages(
                f"{self} needs the scores of at least 2 normal and 1 anomalous picture and has "
                f"{normal.size} and {anomalous.size}; give more pictures"
            )
        flagged = Flagged.of(normal, anomalous)
        # Where most are anomalous, to flag everything has a fine F1 and is no limit.
        better = flagged.true_rate > flagged.false_rate
        best = int(np.argmax(np.where(better, self.worth(flagged), -np.inf)))
        if not better[best]:
            raise InputError(
                f"{self} finds no limit: the {anomalous.size:,} anomalous pictures score no higher "
                f"than the {normal.size:,} normal ones; use a rule that needs no labels, or fit a "
                f"model that tells them apart"
            )
        return Threshold(
            rule=str(self),
            upper=_below(flagged.scores, best),
            n_normal=normal.size,
            normal_mean=float(normal.mean()),
            normal_std=float(normal.std(ddof=1)),
            n_anomalous=anomalous.size,
        )


@dataclass(frozen=True)
class Flagged:
    """What flagging from each score on gives."""

    scores: NDArray[np.float64]
    """The different scores (K,), rising."""
    true_positives: NDArray[np.int64]
    """Anomalous scores at least as high (K,)."""
    false_positives: NDArray[np.int64]
    """Normal scores at least as high (K,)."""
    n_anomalous: int
    n_normal: int

    @classmethod
    def of(cls, normal: NDArray[np.float64], anomalous: NDArray[np.float64]) -> Flagged:
        """Count normal scores (n,) and anomalous ones (m,)."""
        scores = np.unique(np.concatenate([normal, anomalous]))
        counts = [
            part.size - np.searchsorted(np.sort(part), scores, "left")
            for part in (anomalous, normal)
        ]
        return cls(scores, counts[0], counts[1], anomalous.size, normal.size)

    @property
    def true_rate(self) -> NDArray[np.float64]:
        """Share of the anomalous scores at least as high (K,)."""
        return self.true_positives / self.n_anomalous

    @property
    def false_rate(self) -> NDArray[np.float64]:
        """Share of the normal scores at least as high (K,)."""
        return self.false_positives / self.n_normal


@dataclass(frozen=True)
class BestF1(LabelledRule):
    """The highest F1: harmonic mean of the shares found and rightly flagged.

    It depends on how many anomalies there are among the pictures, so they should come as often
    as they do later.

    References
    ----------
    van Rijsbergen, "Information retrieval", Butterworths 1979, chapter 7.
    """

    def worth(self, flagged: Flagged) -> NDArray[np.float64]:
        """Return F1 for flagging from each of K scores on (K,)."""
        return (
            2
            * flagged.true_positives
            / (flagged.true_positives + flagged.false_positives + flagged.n_anomalous)
        )

    def __str__(self) -> str:
        return "best_f1"


@dataclass(frozen=True)
class Youden(LabelledRule):
    """The highest true-positive rate minus false-positive rate, however many anomalies there are.

    References
    ----------
    Youden, "Index for rating diagnostic tests", Cancer 3(1), 1950.
    """

    def worth(self, flagged: Flagged) -> NDArray[np.float64]:
        """Return Youden's J for flagging from each of K scores on (K,)."""
        return flagged.true_rate - flagged.false_rate

    def __str__(self) -> str:
        return "youden"


def _below(scores: NDArray[np.float64], at: int) -> float:
    """Return a limit between the score at a position and the next lower one."""
    from_here = float(scores[at])
    if at == 0:
        return float(np.nextafter(from_here, -np.inf))
    before = float(scores[at - 1])
    half = before + (from_here - before) / 2
    return half if half < from_here else before
