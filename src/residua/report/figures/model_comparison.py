"""Mean error and accuracy of compared models, two bar charts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from residua.errors import ConfigurationError, InputError
from residua.report.figures import style
from residua.report.figures.base import Display
from residua.report.figures.chart import heading, value_axis, wants_log
from residua.report.figures.lettering import counted, plain_number, shortened

_NAME_INCHES = 1.5


class ModelComparisonDisplay(Display):
    """One bar a model in each of two panels; ``axes_`` holds both.

    Parameters
    ----------
    names : sequence of str
    mean_errors : ndarray of shape (n_models,), float64
        NaN: not measured.
    accuracies : ndarray of shape (n_models,), float64 in [0, 1]
        NaN: not measured.
    spreads : ndarray of shape (n_models,), float64, optional
        Standard deviation of the errors.

    Examples
    --------
    >>> from residua.report.figures import ModelComparisonDisplay
    >>> display = ModelComparisonDisplay.from_results(["Initial", "Deeper"], [2.0, 1.0], [0.6, 0.7])
    >>> display.data()["accuracy"]
    [0.6, 0.7]
    """

    stem = "model-comparison"

    def __init__(
        self,
        names: Sequence[str],
        mean_errors: NDArray[np.float64],
        accuracies: NDArray[np.float64],
        spreads: NDArray[np.float64] | None = None,
    ) -> None:
        self.names = list(names)
        self.mean_errors = mean_errors
        self.accuracies = accuracies
        self.spreads = spreads
        self.title = f"Mean error and accuracy of {counted(len(names), 'model')}"

    @classmethod
    def from_results(
        cls,
        names: Sequence[object],
        mean_errors: ArrayLike,
        accuracies: ArrayLike,
        *,
        spreads: ArrayLike | None = None,
    ) -> Self:
        """Take results, one a model; NaN where one was not measured.

        Raises
        ------
        InputError
            No model, or columns of different lengths.
        """
        texts = [str(name) for name in names]
        columns = [np.asarray(mean_errors, np.float64), np.asarray(accuracies, np.float64)]
        if spreads is not None:
            columns.append(np.asarray(spreads, np.float64))
        if not texts:
            raise InputError("no model was given; there is nothing to compare")
        if any(column.shape != (len(texts),) for column in columns):
            shapes = [column.shape for column in columns]
            raise InputError(f"{len(texts)} names came with columns of shapes {shapes}")
        return cls(texts, columns[0], columns[1], columns[2] if spreads is not None else None)

    def data(self) -> dict[str, list[Any]]:
        """Return the results as columns."""
        spreads = [None] * len(self.names) if self.spreads is None else self.spreads.tolist()
        return {
            "model": list(self.names),
            "mean_error": self.mean_errors.tolist(),
            "spread": spreads,
            "accuracy": self.accuracies.tolist(),
        }

    def _plot(self, ax: Any) -> list[Any]:
        if ax is None:
            height = 1.25 + 0.3 * max(len(self.names), 2)
            figure = style.new_figure(style.WIDTH, height, layout="constrained")
            axes = list(figure.subplots(1, 2, sharey=True))
        else:
            axes = list(np.ravel(ax))
            if len(axes) != 2:
                raise ConfigurationError(f"the comparison draws on 2 axes and got {len(axes)}")
        for panel in axes:
            panel.set_ylim(len(self.names) - 0.4, -0.6)
            panel.grid(False, axis="y")
        rows = [shortened(name, _NAME_INCHES) for name in self.names]
        axes[0].set_yticks(range(len(rows)), rows)
        axes[1].tick_params(axis="y", length=0, labelleft=False)
        for label in axes[0].get_yticklabels():
            label.set_parse_math(False)
        self._draw_errors(axes[0])
        self._draw_accuracies(axes[1])
        return axes

    def _draw_errors(self, ax: Any) -> None:
        whiskers = np.zeros(len(self.names)) if self.spreads is None else self.spreads
        whiskers = np.where(np.isfinite(whiskers), whiskers, 0)
        measured = self.mean_errors[np.isfinite(self.mean_errors)]
        ends = self.mean_errors + whiskers
        log = wants_log(measured)
        positions = np.arange(len(self.names))
        if log:
            # A bar has no foot on a logarithmic axis.
            ax.plot(self.mean_errors, positions, **_point())
        else:
            _bars(ax, positions, self.mean_errors, style.NORMAL)
        if whiskers.any():
            low = np.minimum(whiskers, self.mean_errors * 0.999) if log else whiskers
            ax.errorbar(
                self.mean_errors,
                positions,
                xerr=np.nan_to_num(np.vstack([low, whiskers])),
                fmt="none",
                ecolor=style.INK,
                elinewidth=1,
                capsize=2.5,
            )
        finite = ends[np.isfinite(ends)]
        value_axis(ax.xaxis, _room(measured, finite, log=log), log=log)
        ax.xaxis.get_major_locator().set_params(**({"numticks": 4} if log else {"nbins": 3}))
        texts = [plain_number(value) for value in self.mean_errors.tolist()]
        _label_bars(ax, np.where(np.isfinite(ends), ends, ax.get_xlim()[0]), texts)
        ax.set_xlabel("mean error" if self.spreads is None else "mean error (± s)")
        heading(ax, "Mean error (less is better)", width=2.7)

    def _draw_accuracies(self, ax: Any) -> None:
        positions = np.arange(len(self.names))
        _bars(ax, positions, self.accuracies, style.SECOND)
        ax.set_xlim(0, 1.35)
        ax.set_xticks([0, 0.5, 1], ["0%", "50%", "100%"])
        texts = [f"{value:.1%}" for value in self.accuracies.tolist()]
        _label_bars(ax, np.nan_to_num(self.accuracies), texts)
        ax.set_xlabel("accuracy (share of pictures)")
        heading(ax, "Accuracy (more is better)", width=2.4)


def _point() -> dict[str, Any]:
    return {"color": style.NORMAL.colour, "marker": "o", "linestyle": "none", "markersize": 6}


def _bars(ax: Any, positions: Any, values: NDArray[np.float64], look: style.Look) -> None:
    ax.barh(
        positions,
        np.nan_to_num(values),
        height=0.62,
        color=look.colour,
        alpha=0.85,
        hatch=look.hatch or None,
        edgecolor="white" if look.hatch else look.colour,
        linewidth=0.5,
    )


def _room(
    measured: NDArray[np.float64], ends: NDArray[np.float64], *, log: bool
) -> tuple[float, float]:
    """Return limits that leave room for a number right of the longest bar."""
    if not ends.size:
        return 0.0, 1.0
    high = float(max(ends.max(), measured.max()))
    if log:
        low = float(measured.min()) / 1.5
        return low, float(high * (high / low) ** 0.45)
    low = float(min(measured.min(), 0.0))
    return low * 1.1, low + (high - low) * 1.45 if high > low else low + 1.0


def _label_bars(ax: Any, ends: NDArray[np.float64], texts: Sequence[str]) -> None:
    """Write each number right of its bar."""
    for position, (end, text) in enumerate(zip(ends.tolist(), texts, strict=True)):
        words = "not measured" if "nan" in text else text
        ax.annotate(
            words,
            (max(end, ax.get_xlim()[0]), position),
            (4, 0),
            textcoords="offset points",
            va="center",
            ha="left",
            fontsize=style.SMALL_SIZE,
        )
