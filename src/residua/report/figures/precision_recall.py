"""Precision against recall over all thresholds."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from residua.report.figures import style
from residua.report.figures.chart import Chart, heading, legend_beside, rate_axes
from residua.report.figures.curves import stairs, thinned
from residua.report.figures.inputs import both_classes, checked_marks, checked_scores
from residua.report.figures.lettering import plain_number


class PrecisionRecallDisplay(Chart):
    """How many of the flagged are anomalies, against how many of the anomalies are flagged.

    Parameters
    ----------
    precision, recall : ndarray of shape (n_points,)
        As `sklearn.metrics.precision_recall_curve` returns them, recall falling.
    cutoffs : ndarray of shape (n_points - 1,)
        The score from which on pictures count as flagged; the last point has none.
    average_precision : float
    prevalence : float
        Share of anomalies: the precision of flagging by chance.
    threshold : float, optional
    point : (float, float), optional
        Recall and precision at the threshold; None where nothing is flagged.

    Examples
    --------
    >>> from residua.report.figures import PrecisionRecallDisplay
    >>> display = PrecisionRecallDisplay.from_predictions([False, True], [0.1, 0.3])
    >>> display.average_precision
    1.0
    """

    stem = "precision-recall"
    title = "Precision against recall"

    def __init__(
        self,
        precision: NDArray[np.float64],
        recall: NDArray[np.float64],
        cutoffs: NDArray[np.float64],
        average_precision: float,
        prevalence: float,
        *,
        threshold: float | None = None,
        point: tuple[float, float] | None = None,
    ) -> None:
        self.precision, self.recall, self.cutoffs = precision, recall, cutoffs
        self.average_precision = average_precision
        self.prevalence = prevalence
        self.threshold = threshold
        self.point = point
        if threshold is not None and point is None:
            value = plain_number(threshold)
            self.notes = (f"Nothing is flagged at the threshold {value}: it has no precision.",)

    @classmethod
    def from_predictions(
        cls, anomalous: ArrayLike, scores: ArrayLike, *, threshold: float | None = None
    ) -> Self:
        """Compute the curve.

        Parameters
        ----------
        anomalous : array-like of shape (N,), bool
        scores : array-like of shape (N,)
        threshold : float, optional
            Marked on the curve: scores above are flagged.

        Raises
        ------
        InputError
            Pictures of one class only, or arrays that do not fit each other.
        """
        from sklearn.metrics import average_precision_score, precision_recall_curve

        values = checked_scores(scores)
        marks = checked_marks(anomalous, len(values))
        both_classes(marks, "the precision-recall curve")
        precision, recall, cutoffs = precision_recall_curve(marks, values)
        point = None
        if threshold is not None and (values > threshold).any():
            above = values > threshold
            point = (float(above[marks].mean()), float(marks[above].mean()))
        return cls(
            precision,
            recall,
            cutoffs,
            float(average_precision_score(marks, values)),
            float(marks.mean()),
            threshold=threshold,
            point=point,
        )

    @classmethod
    def from_estimator(cls, detector: Any, X: Any, anomalous: ArrayLike) -> Self:
        """Score X with a fitted detector; its threshold is marked."""
        scores = detector.anomaly_scores(X)
        return cls.from_predictions(anomalous, scores, threshold=detector.threshold_.upper)

    def data(self) -> dict[str, list[Any]]:
        """Return the whole curve; the last point, of recall 0, belongs to no score."""
        return {
            "precision": self.precision.tolist(),
            "recall": self.recall.tolist(),
            "score": [*self.cutoffs.tolist(), None],
        }

    def _height(self) -> float:
        return 4.2

    def _draw(self, ax: Any) -> None:
        rate_axes(ax)
        x, y = thinned(*stairs(self.recall, self.precision))
        label = f"average precision {self.average_precision:.3f}"
        ax.plot(x, y, color=style.NORMAL.colour, label=label)
        ax.axhline(
            self.prevalence,
            color=style.MUTED,
            linestyle=":",
            linewidth=1,
            label=f"chance ({self.prevalence:.3f})",
        )
        if self.point is not None and self.threshold is not None:
            recall, precision = self.point
            label = (
                f"threshold {plain_number(self.threshold)}: precision {precision:.1%}, "
                f"recall {recall:.1%}"
            )
            ax.plot(*self.point, label=label, clip_on=False, zorder=5, **style.point_mark(0))
        ax.set_xlabel("recall (share of anomalies that are flagged)")
        ax.set_ylabel("precision (share of flagged)")
        legend_beside(ax)
        heading(ax, self.title, self.notes)
