"""All scores in rising order, with the threshold."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from residua.errors import InputError
from residua.report.figures import style
from residua.report.figures.chart import (
    Chart,
    count_axis,
    heading,
    legend_beside,
    score_label,
    value_axis,
    value_limits,
    wants_log,
)
from residua.report.figures.inputs import checked_marks, checked_scores
from residua.report.figures.lettering import counted, plain_number


class SortedErrorsDisplay(Chart):
    """Score against rank; those above the line are flagged.

    Parameters
    ----------
    scores : ndarray of shape (N,), float64
    threshold : float
        Scores above are flagged.
    lower : float, optional
        Scores below are flagged too.
    anomalous : ndarray of shape (N,), bool, optional
    score : str, optional
        Name of the score, for its axis.

    Examples
    --------
    >>> from residua.report.figures import SortedErrorsDisplay
    >>> SortedErrorsDisplay.from_predictions([0.2, 0.1], threshold=0.15).data()["flagged"]
    [False, True]
    """

    stem = "sorted-errors"

    def __init__(
        self,
        scores: NDArray[np.float64],
        threshold: float,
        anomalous: NDArray[np.bool_] | None = None,
        lower: float | None = None,
        score: str | None = None,
    ) -> None:
        if not np.isfinite(threshold):
            raise InputError(f"the threshold is {threshold}; wanted a finite number")
        self.scores = scores
        self.threshold = float(threshold)
        self.lower = lower
        self.score = score
        self.anomalous = anomalous
        above = int(self._is_flagged(scores).sum())
        where = "above the threshold" if lower is None else "outside the limits"
        self.title = f"{above:,} of {counted(len(scores))} {where}"
        notes = []
        if not above:
            notes.append("Nothing is flagged.")
        if anomalous is not None and (anomalous.all() or not anomalous.any()):
            kind = "anomalous" if anomalous.all() else "normal"
            notes.append(f"All pictures are {kind}.")
        if np.ptp(scores) == 0 and len(scores) > 1:
            notes.append("All scores are equal: the order says nothing.")
        self.notes = tuple(notes)

    @classmethod
    def from_predictions(
        cls,
        scores: ArrayLike,
        *,
        threshold: float,
        lower: float | None = None,
        anomalous: ArrayLike | None = None,
        score: str | None = None,
    ) -> Self:
        """Take scores.

        Parameters
        ----------
        scores : array-like of shape (N,)
        threshold : float
        lower : float, optional
        anomalous : array-like of shape (N,), bool, optional
        score : str, optional
            Name of the score, for its axis.

        Raises
        ------
        InputError
            No score, one that is not finite, or labels of another number.
        """
        values = checked_scores(scores)
        marks = None if anomalous is None else checked_marks(anomalous, len(values))
        return cls(values, threshold, marks, lower, score)

    @classmethod
    def from_estimator(cls, detector: Any, X: Any, anomalous: ArrayLike | None = None) -> Self:
        """Score X with a fitted detector; the line is its threshold."""
        limits = detector.threshold_
        return cls.from_predictions(
            detector.anomaly_scores(X),
            threshold=limits.upper,
            lower=limits.lower,
            anomalous=anomalous,
            score=detector.manifest_.settings.score,
        )

    def _is_flagged(self, scores: NDArray[np.float64]) -> NDArray[np.bool_]:
        above = scores > self.threshold
        return above if self.lower is None else above | (scores < self.lower)

    def data(self) -> dict[str, list[Any]]:
        """Return rank, position, score, truth and verdict, by rising score."""
        order = np.argsort(self.scores, kind="stable")
        values = self.scores[order]
        marks = self.anomalous
        return {
            "rank": list(range(1, len(order) + 1)),
            "picture": order.tolist(),
            "score": values.tolist(),
            "anomalous": [None] * len(order) if marks is None else marks[order].tolist(),
            "flagged": self._is_flagged(values).tolist(),
        }

    def _draw(self, ax: Any) -> None:
        order = np.argsort(self.scores, kind="stable")
        ranks = np.arange(1, len(order) + 1)
        values = self.scores[order]
        marks = None if self.anomalous is None else self.anomalous[order]
        limits = np.append(values, self.threshold)
        log = wants_log(limits, score=self.score)
        value_axis(ax.yaxis, value_limits(limits, log=log), log=log)
        groups: list[tuple[Any, style.Look, str]] = (
            [(np.ones(len(order), bool), style.NORMAL, "pictures")]
            if marks is None
            else [(~marks, style.NORMAL, "normal"), (marks, style.ANOMALOUS, "anomalous")]
        )
        size = float(np.clip(30_000 / len(order), 6, 26))
        for chosen, look, name in groups:
            if chosen.any():
                ax.scatter(
                    ranks[chosen],
                    values[chosen],
                    s=size * (1.6 if look is style.ANOMALOUS else 1),
                    c=look.colour,
                    marker=look.marker,
                    linewidths=0,
                    alpha=0.8,
                    label=f"{name} (n = {int(chosen.sum()):,})",
                    rasterized=len(order) > style.MANY_POINTS,
                    clip_on=False,
                )
        line = style.reference_line(0) | {"linestyle": "--"}
        ax.axhline(self.threshold, label=f"threshold {plain_number(self.threshold)}", **line)
        reach = max(0.02 * len(order), 0.5)
        ax.set_xlim(1 - reach, len(order) + reach)
        count_axis(ax.xaxis)
        ax.set_xlabel("rank of the picture (1: the least score)")
        ax.set_ylabel(score_label(self.score))
        legend_beside(ax)
        heading(ax, self.title, self.notes)
