"""Histogram of scores with the normal distribution fitted to them and its limits."""

from __future__ import annotations

from collections.abc import Sequence
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
    legend_height,
    score_label,
    value_axis,
    value_limits,
    wants_log,
)
from residua.report.figures.inputs import checked_scores
from residua.report.figures.lettering import counted, plain_number

_MOST_BINS = 60


class ErrorHistogramDisplay(Chart):
    """Scores of normal pictures, those of anomalous ones beside them, and limits.

    Parameters
    ----------
    normal_scores : ndarray of shape (n_normal,), float64
        The normal curve has their mean and standard deviation.
    anomalous_scores : ndarray of shape (n_anomalous,), float64, optional
    limits : sequence of (str, float)
        Lines, by name.
    other : str, default="anomalous"
        What the second group is.
    score : str, optional
        Name of the score, for its axis.

    Examples
    --------
    >>> from residua.report.figures import ErrorHistogramDisplay
    >>> display = ErrorHistogramDisplay.from_predictions([1.0, 2.0, 3.0], k=2)
    >>> display.limits
    [('mean + 2 s', 4.0), ('mean − 2 s', 0.0)]
    """

    stem = "error-histogram"

    def __init__(
        self,
        normal_scores: NDArray[np.float64],
        anomalous_scores: NDArray[np.float64] | None = None,
        limits: Sequence[tuple[str, float]] = (),
        other: str = "anomalous",
        score: str | None = None,
    ) -> None:
        self.other = other
        self.score = score
        self.normal_scores = normal_scores
        self.anomalous_scores = anomalous_scores
        self.limits = [(name, float(value)) for name, value in limits]
        self.mean = float(normal_scores.mean())
        self.std = float(normal_scores.std(ddof=1)) if len(normal_scores) > 1 else 0.0
        self.title = f"Scores of {counted(len(normal_scores), 'normal picture')}"
        if anomalous_scores is not None and len(anomalous_scores):
            self.title += f" and {len(anomalous_scores):,} {other}"
        values = self._values()
        self.log = wants_log(values, score=score)
        self._limits = value_limits(np.concatenate([values, self._drawable()]), log=self.log)
        self.edges = self._bins(values)
        self.notes = tuple(self._notes())

    @classmethod
    def from_predictions(
        cls,
        normal_scores: ArrayLike,
        *,
        anomalous_scores: ArrayLike | None = None,
        limits: Sequence[tuple[str, float]] | None = None,
        k: float = 3.0,
        other: str = "anomalous",
        score: str | None = None,
    ) -> Self:
        """Take scores.

        Parameters
        ----------
        normal_scores : array-like of shape (n_normal,)
        anomalous_scores : array-like of shape (n_anomalous,), optional
            None or empty: there are none.
        limits : sequence of (name, value), optional
            Default: mean ± ``k`` standard deviations of the normal scores.
        k : float, default=3.0
        other : str, default="anomalous"
            What the second group is; "scored" where its truth is not known.
        score : str, optional
            Name of the score, for its axis.

        Raises
        ------
        InputError
            No normal score, or one that is not finite.
        """
        normal = checked_scores(normal_scores, "normal scores")
        second = None
        if anomalous_scores is not None and np.size(anomalous_scores):
            second = checked_scores(anomalous_scores, f"{other} scores")
        if limits is None:
            reach = k * float(normal.std(ddof=1)) if len(normal) > 1 else 0.0
            mean = float(normal.mean())
            limits = [(f"mean + {k:g} s", mean + reach), (f"mean − {k:g} s", mean - reach)]
            if not reach:
                limits = []
        for name, value in limits:
            if not np.isfinite(value):
                raise InputError(f"the limit {name!r} is {value}; wanted a finite number")
        return cls(normal, second, limits, other, score)

    @classmethod
    def from_estimator(
        cls, detector: Any, X: Any = None, *, limits: Sequence[tuple[str, float]] | None = None
    ) -> Self:
        """Score normal pictures X, or take the calibration scores; default limits: the fitted."""
        if limits is None:
            limits = [("upper limit", detector.threshold_.upper)]
            if detector.threshold_.lower is not None:
                limits.append(("lower limit", detector.threshold_.lower))
        scores = detector.calibration_scores_ if X is None else detector.anomaly_scores(X)
        return cls.from_predictions(scores, limits=limits, score=detector.manifest_.settings.score)

    def data(self) -> dict[str, list[Any]]:
        """Return the bins, the counts in them and what the normal curve expects there."""
        other = self.anomalous_scores
        return {
            "low": self.edges[:-1].tolist(),
            "high": self.edges[1:].tolist(),
            "normal": np.histogram(self.normal_scores, self.edges)[0].tolist(),
            self.other: [0] * (len(self.edges) - 1)
            if other is None
            else np.histogram(other, self.edges)[0].tolist(),
            "expected": self._expected(self.edges).tolist(),
        }

    def _height(self) -> float:
        return legend_height(3 + len(self.limits))

    def _draw(self, ax: Any) -> None:
        value_axis(ax.xaxis, self._limits, log=self.log)
        counts = np.histogram(self.normal_scores, self.edges)[0]
        self._bars(ax, counts, style.NORMAL, f"normal (n = {len(self.normal_scores):,})", 0.75)
        if self.anomalous_scores is not None:
            other = np.histogram(self.anomalous_scores, self.edges)[0]
            number = len(self.anomalous_scores)
            self._bars(ax, other, style.ANOMALOUS, f"{self.other} (n = {number:,})", 0.45)
        if self._has_curve():
            x, y = self._curve()
            name = f"normal curve, mean {plain_number(self.mean)}, s {plain_number(self.std)}"
            ax.plot(x, y, color=style.INK, linewidth=1.4, label=name)
        for index, (name, value) in enumerate(self.limits):
            if self._is_drawable(value):
                label = f"{name} = {plain_number(value)}"
                ax.axvline(value, label=label, **style.reference_line(index + 1))
        count_axis(ax.yaxis)
        ax.set_ylim(bottom=0)
        ax.set_xlabel(score_label(self.score))
        ax.set_ylabel("pictures in a bin (count)")
        legend_beside(ax)
        heading(ax, self.title, self.notes)

    def _bars(self, ax: Any, counts: Any, look: style.Look, label: str, alpha: float) -> None:
        from matplotlib.colors import to_rgba

        ax.stairs(
            counts,
            self.edges,
            fill=True,
            facecolor=to_rgba(look.colour, alpha),
            edgecolor=look.colour,
            hatch=look.hatch or None,
            linewidth=0.8,
            label=label,
        )

    def _values(self) -> NDArray[np.float64]:
        if self.anomalous_scores is None:
            return self.normal_scores
        return np.concatenate([self.normal_scores, self.anomalous_scores])

    def _is_drawable(self, value: float) -> bool:
        return not self.log or value > 0

    def _drawable(self) -> NDArray[np.float64]:
        return np.asarray([value for _, value in self.limits if self._is_drawable(value)])

    def _has_curve(self) -> bool:
        return self.std > 1e-9 * abs(self.mean)

    def _bins(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the bins' edges, even on the axis; their width follows the normal scores."""
        low, high = float(values.min()), float(values.max())
        if value_limits(values, log=False)[1] - high >= 0.1 * max(abs(low), abs(high)) and np.ptp(
            values
        ) <= 1e-6 * max(abs(low), abs(high)):
            return np.linspace(*value_limits(values, log=False), 12)
        axis = np.log10 if self.log else np.asarray
        ends = axis(low), axis(high)
        # Freedman and Diaconis's rule.
        quartiles = np.percentile(axis(self.normal_scores), [25, 75])
        width = 2 * (quartiles[1] - quartiles[0]) * len(self.normal_scores) ** (-1 / 3)
        count = (
            _MOST_BINS if width <= 0 else int(np.clip((ends[1] - ends[0]) / width, 8, _MOST_BINS))
        )
        edges = np.linspace(*ends, count + 1)
        edges = 10**edges if self.log else edges
        # Rounding must not put the extremes outside.
        edges[0], edges[-1] = min(edges[0], low), max(edges[-1], high)
        return np.asarray(edges, np.float64)

    def _expected(self, edges: NDArray[np.float64]) -> NDArray[np.float64]:
        from scipy.stats import norm

        if not self._has_curve():
            return np.full(len(edges) - 1, np.nan)
        below = norm.cdf(edges, self.mean, self.std)
        expected: NDArray[np.float64] = len(self.normal_scores) * np.diff(below)
        return expected

    def _curve(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return what a bin around each place would be expected to hold."""
        from scipy.stats import norm

        low, high = self._limits
        count = len(self.normal_scores)
        x = np.geomspace(low, high, 300) if self.log else np.linspace(low, high, 300)
        if self.log:
            ratio = float(self.edges[1] / self.edges[0]) ** 0.5
            lower, upper = x / ratio, x * ratio
        else:
            half = float(self.edges[1] - self.edges[0]) / 2
            lower, upper = x - half, x + half
        inside = norm.cdf(upper, self.mean, self.std) - norm.cdf(lower, self.mean, self.std)
        return x, count * inside

    def _notes(self) -> list[str]:
        notes = []
        if not self._has_curve():
            one = len(self.normal_scores) == 1
            why = "there is one normal score only" if one else "all normal scores are equal"
            notes.append(f"No normal curve: {why}.")
        elif self.log:
            notes.append("On this logarithmic axis the normal curve is not symmetric.")
        notes += [
            f"{name} = {plain_number(value)} is not above 0 and has no place on this scale."
            for name, value in self.limits
            if not self._is_drawable(value)
        ]
        return notes
