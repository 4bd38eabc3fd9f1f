"""Density of the scores of all, of normal and of anomalous pictures, with thresholds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from residua.errors import InputError
from residua.report.figures import style
from residua.report.figures.chart import (
    Chart,
    heading,
    legend_beside,
    legend_height,
    score_label,
    value_axis,
    wants_log,
)
from residua.report.figures.curves import density, density_grid
from residua.report.figures.inputs import checked_marks, checked_scores
from residua.report.figures.lettering import counted, plain_number

_FEW = 50


class ErrorDensityDisplay(Chart):
    """Kernel densities, each of area 1; where scores do not differ, a spike stands for them.

    Parameters
    ----------
    scores : ndarray of shape (N,), float64
    anomalous : ndarray of shape (N,), bool, optional
        None: only the density of all is drawn.
    thresholds : mapping of str to float
        Lines, by name.
    score : str, optional
        Name of the score, for its axis.

    Examples
    --------
    >>> from residua.report.figures import ErrorDensityDisplay
    >>> display = ErrorDensityDisplay.from_predictions(
    ...     [1.0, 1.2, 1.1, 3.0], [False, False, False, True], thresholds={"90 %": 2.0}
    ... )
    >>> sorted(display.data())
    ['all', 'anomalous', 'normal', 'score']
    """

    stem = "error-density"

    def __init__(
        self,
        scores: NDArray[np.float64],
        anomalous: NDArray[np.bool_] | None,
        thresholds: Mapping[str, float],
        score: str | None = None,
    ) -> None:
        self.scores = scores
        self.score = score
        self.anomalous = anomalous
        self.thresholds = {name: float(value) for name, value in thresholds.items()}
        for name, value in self.thresholds.items():
            if not np.isfinite(value):
                raise InputError(f"the threshold {name!r} is {value}; wanted a finite number")
        self.log = wants_log(scores, score=score)
        self.title = f"Density of the scores of {counted(len(scores))}"
        self._densities: dict[str, NDArray[np.float64] | None] = {}
        shown = [value for value in self.thresholds.values() if self._is_drawable(value)]
        self.grid = density_grid(self._axis(scores), *self._axis(np.asarray(shown)))
        for name, values in self._groups().items():
            self._densities[name] = density(self._axis(values), self.grid)
        self.notes = tuple(self._notes())

    @classmethod
    def from_predictions(
        cls,
        scores: ArrayLike,
        anomalous: ArrayLike | None = None,
        *,
        thresholds: Mapping[str, float] | None = None,
        score: str | None = None,
    ) -> Self:
        """Take scores.

        Parameters
        ----------
        scores : array-like of shape (N,)
        anomalous : array-like of shape (N,), bool, optional
        thresholds : mapping of str to float, optional
        score : str, optional
            Name of the score, for its axis.

        Raises
        ------
        InputError
            No score, one that is not finite, or labels of another number.
        """
        values = checked_scores(scores)
        marks = None if anomalous is None else checked_marks(anomalous, len(values))
        return cls(values, marks, thresholds or {}, score)

    @classmethod
    def from_estimator(cls, detector: Any, X: Any, anomalous: ArrayLike | None = None) -> Self:
        """Score X with a fitted detector; the line is its threshold."""
        upper = {"threshold": detector.threshold_.upper}
        return cls.from_predictions(
            detector.anomaly_scores(X),
            anomalous,
            thresholds=upper,
            score=detector.manifest_.settings.score,
        )

    def data(self) -> dict[str, list[Any]]:
        """Return the densities on the grid of scores; None where there is none.

        On a logarithmic axis the densities are those of the scores' decimal logarithm.
        """
        columns: dict[str, list[Any]] = {
            "score": (10**self.grid if self.log else self.grid).tolist()
        }
        for name in ("all", "normal", "anomalous"):
            found = self._densities.get(name)
            columns[name] = [None] * len(self.grid) if found is None else found.tolist()
        return columns

    def _height(self) -> float:
        return legend_height(3 + len(self.thresholds))

    def _groups(self) -> dict[str, NDArray[np.float64]]:
        groups = {"all": self.scores}
        if self.anomalous is not None:
            groups |= {"normal": self.scores[~self.anomalous]}
            groups |= {"anomalous": self.scores[self.anomalous]}
        return {name: values for name, values in groups.items() if len(values)}

    def _axis(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.log10(values) if self.log else values

    def _is_drawable(self, value: float) -> bool:
        return not self.log or value > 0

    def _draw(self, ax: Any) -> None:
        x = 10**self.grid if self.log else self.grid
        value_axis(ax.xaxis, (float(x[0]), float(x[-1])), log=self.log)
        looks = {"all": style.ALL, "normal": style.NORMAL, "anomalous": style.ANOMALOUS}
        peaks = [found.max() for found in self._densities.values() if found is not None]
        top = 1.08 * max(peaks, default=1.0)
        ax.set_ylim(0, top)
        for name, values in self._groups().items():
            look = looks[name]
            label = f"{name} (n = {len(values):,})"
            self._draw_group(ax, x, name, values, look, label, top)
        for index, (name, value) in enumerate(self.thresholds.items()):
            if self._is_drawable(value):
                line = style.reference_line(index + 1)
                ax.axvline(value, label=f"{name} = {plain_number(value)}", **line)
        if not peaks:
            ax.set_yticks([])
        ax.set_xlabel(score_label(self.score))
        ax.set_ylabel(
            "density (per decade of score)" if self.log else "density (per unit of score)"
        )
        legend_beside(ax)
        heading(ax, self.title, self.notes)

    def _draw_group(
        self,
        ax: Any,
        x: NDArray[np.float64],
        name: str,
        values: NDArray[np.float64],
        look: style.Look,
        label: str,
        top: float,
    ) -> None:
        line = {"color": look.colour, "linestyle": look.line}
        found = self._densities[name]
        if found is None:
            ax.vlines(values[0], 0, top, color=look.colour, linestyle=look.line, label=label)
        else:
            ax.plot(x, found, label=label, **line)
            if name != "all":
                ax.fill_between(x, found, color=look.colour, alpha=0.15, linewidth=0)
        if len(values) <= _FEW and name != "all":
            # A rug: each picture a mark on the axis.
            ax.plot(
                values,
                np.full(len(values), 0.02 * top),
                linestyle="none",
                marker=look.marker,
                markersize=4,
                color=look.colour,
                markerfacecolor="none",
            )

    def _notes(self) -> list[str]:
        notes = []
        if self.anomalous is None:
            notes.append("No labels: normal and anomalous pictures are not told apart.")
        elif not self.anomalous.any():
            notes.append("All pictures are normal: there is no anomalous curve.")
        elif self.anomalous.all():
            notes.append("All pictures are anomalous: there is no normal curve.")
        for name, found in self._densities.items():
            if found is None:
                count = len(self._groups()[name])
                why = "one picture only" if count == 1 else "all scores are equal"
                notes.append(f"A spike stands for {name}: {why}.")
        notes += [
            f"{name} = {plain_number(value)} is not above 0 and has no place on this scale."
            for name, value in self.thresholds.items()
            if not self._is_drawable(value)
        ]
        return notes
