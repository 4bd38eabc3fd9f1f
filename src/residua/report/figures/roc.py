"""Receiver operating characteristic with its interval and the operating points."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from residua.errors import InputError
from residua.report.figures import style
from residua.report.figures.chart import Chart, heading, legend_beside, legend_height, rate_axes
from residua.report.figures.curves import thinned
from residua.report.figures.inputs import both_classes, checked_marks, checked_scores
from residua.report.figures.lettering import plain_number

Band = tuple[ArrayLike, ArrayLike, ArrayLike]


class ROCDisplay(Chart):
    """True-positive rate against false-positive rate over all thresholds.

    Parameters
    ----------
    fpr, tpr, cutoffs : ndarray of shape (n_points,)
        As `sklearn.metrics.roc_curve` returns them.
    auroc : float
        Area under the curve.
    operating_points : mapping of str to (float, float)
        False-positive and true-positive rate, by name.
    band : (fpr, low, high), optional
        Interval of the true-positive rate on a grid of false-positive rates.
    auroc_text : str, optional
        The area as text. Default: its number with three decimals.
    counts : (int, int), optional
        Normal and anomalous pictures.

    Examples
    --------
    >>> from residua.report.figures import ROCDisplay
    >>> display = ROCDisplay.from_predictions([False, False, True], [0.1, 0.4, 0.3])
    >>> float(display.auroc)
    0.5
    """

    stem = "roc"
    title = "Anomalies found against false alarms (ROC)"

    def __init__(
        self,
        fpr: NDArray[np.float64],
        tpr: NDArray[np.float64],
        cutoffs: NDArray[np.float64],
        auroc: float,
        *,
        operating_points: Mapping[str, tuple[float, float]] | None = None,
        band: Band | None = None,
        auroc_text: str | None = None,
        counts: tuple[int, int] | None = None,
    ) -> None:
        self.fpr, self.tpr, self.cutoffs = fpr, tpr, cutoffs
        self.auroc = auroc
        self.operating_points = dict(operating_points or {})
        self.band = None if band is None else tuple(np.asarray(part, np.float64) for part in band)
        self.auroc_text = auroc_text or f"AUROC {auroc:.3f}"
        for name, point in self.operating_points.items():
            if not np.isfinite(point).all():
                raise InputError(f"the operating point {name!r} is {point}; wanted two rates")
        if counts is not None:
            self.notes = (f"{counts[0]:,} normal and {counts[1]:,} anomalous pictures.",)

    @classmethod
    def from_predictions(
        cls,
        anomalous: ArrayLike,
        scores: ArrayLike,
        *,
        threshold: float | None = None,
        operating_points: Mapping[str, tuple[float, float]] | None = None,
        band: Band | None = None,
        auroc_text: str | None = None,
    ) -> Self:
        """Compute the curve.

        Parameters
        ----------
        anomalous : array-like of shape (N,), bool
        scores : array-like of shape (N,)
        threshold : float, optional
            Marked on the curve: the rates of the scores above it.
        operating_points : mapping of str to (fpr, tpr), optional
        band : (fpr, low, high), optional
        auroc_text : str, optional

        Raises
        ------
        InputError
            Pictures of one class only, or arrays that do not fit each other.
        """
        from sklearn.metrics import auc, roc_curve

        values = checked_scores(scores)
        marks = checked_marks(anomalous, len(values))
        both_classes(marks, "the ROC curve")
        fpr, tpr, cutoffs = roc_curve(marks, values)
        points = {}
        if threshold is not None:
            above = values > threshold
            name = f"threshold {plain_number(threshold)}"
            points[name] = (float(above[~marks].mean()), float(above[marks].mean()))
        return cls(
            fpr,
            tpr,
            cutoffs,
            float(auc(fpr, tpr)),
            operating_points=points | dict(operating_points or {}),
            band=band,
            auroc_text=auroc_text,
            counts=(int((~marks).sum()), int(marks.sum())),
        )

    @classmethod
    def from_estimator(cls, detector: Any, X: Any, anomalous: ArrayLike, **options: Any) -> Self:
        """Score X with a fitted detector; its threshold is marked."""
        options.setdefault("threshold", detector.threshold_.upper)
        return cls.from_predictions(anomalous, detector.anomaly_scores(X), **options)

    def data(self) -> dict[str, list[Any]]:
        """Return the whole curve: rates, and the score from which on pictures count as flagged."""
        return {
            "fpr": self.fpr.tolist(),
            "tpr": self.tpr.tolist(),
            "score": self.cutoffs.tolist(),
        }

    def _height(self) -> float:
        return max(4.2, legend_height(3 + len(self.operating_points)))

    def _draw(self, ax: Any) -> None:
        rate_axes(ax)
        if self.band is not None:
            grid, low, high = self.band
            colour = style.NORMAL.colour
            ax.fill_between(grid, low, high, color=colour, alpha=0.2, linewidth=0, label="interval")
        x, y = thinned(self.fpr, self.tpr)
        ax.plot(x, y, color=style.NORMAL.colour, label=self.auroc_text)
        ax.plot([0, 1], [0, 1], color=style.MUTED, linestyle=":", linewidth=1, label="chance (0.5)")
        for index, (name, (fpr, tpr)) in enumerate(self.operating_points.items()):
            label = f"{name}: TPR {tpr:.1%}, FPR {fpr:.1%}"
            ax.plot(fpr, tpr, label=label, clip_on=False, zorder=5, **style.point_mark(index))
        ax.set_xlabel("false-positive rate (share of normal pictures)")
        ax.set_ylabel("true-positive rate (share of anomalies)")
        legend_beside(ax)
        heading(ax, self.title, self.notes)
