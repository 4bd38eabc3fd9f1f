"""Pictures or their codes in two dimensions, normal against anomalous."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from residua.errors import BadArray
from residua.report.figures import style
from residua.report.figures.chart import (
    Chart,
    heading,
    legend_beside,
    value_axis,
    value_limits,
)
from residua.report.figures.inputs import checked_marks, spread

_MOST_FITTED = 1_000
_STRIPS = ("normal", "anomalous")
_BLOCK_VALUES = 1 << 24


class ProjectionDisplay(Chart):
    """The first two principal components, fitted on normal pictures alone.

    Parameters
    ----------
    points : ndarray of shape (N, 2), float64
        The second column is 0 where there is only one component.
    shares : sequence of float or None
        Share of the normal pictures' variance in each component; None: there is no variance.
    anomalous : ndarray of shape (N,), bool, optional
    title : str
    n_fitted : int
        Normal pictures on which the components were fitted.

    Examples
    --------
    >>> import numpy as np
    >>> from residua.report.figures import ProjectionDisplay
    >>> codes = np.random.default_rng(0).normal(size=(20, 5))
    >>> ProjectionDisplay.from_predictions(codes, title="Codes").points.shape
    (20, 2)
    """

    stem = "projection"

    def __init__(
        self,
        points: NDArray[np.float64],
        shares: list[float | None],
        anomalous: NDArray[np.bool_] | None,
        title: str,
        n_fitted: int,
    ) -> None:
        self.points = points
        self.shares = shares
        self.anomalous = anomalous
        self.title = title
        self.notes = tuple(self._notes(n_fitted))

    @classmethod
    def from_predictions(
        cls, codes: ArrayLike, anomalous: ArrayLike | None = None, *, title: str
    ) -> Self:
        """Project.

        Parameters
        ----------
        codes : array-like of shape (N, ...)
            Codes or pictures; further axes are flattened. The components are fitted on at most
            1,000 normal ones, evenly spaced.
        anomalous : array-like of shape (N,), bool, optional
            None: all count as normal.
        title : str

        Raises
        ------
        InputError
            No row, a value that is not finite, or labels of another number.
        """
        table = np.asarray(codes)
        if table.ndim < 2 or 0 in table.shape or table.dtype.kind not in "fiub":
            raise BadArray(
                f"the codes are {table.dtype} of shape {table.shape}; wanted numbers (N, D), at "
                "least one of each"
            )
        table = table.reshape(len(table), -1)
        if table.dtype.kind == "f" and not np.isfinite(table).all():
            raise BadArray("the codes have values that are NaN or infinite")
        marks = None if anomalous is None else checked_marks(anomalous, len(table))
        normal = np.arange(len(table)) if marks is None else np.flatnonzero(~marks)
        if not len(normal):
            normal = np.arange(len(table))
        fitted = normal[spread(len(normal), _MOST_FITTED)]
        points, shares = _projected(table, fitted)
        return cls(points, shares, marks, title, len(fitted))

    @classmethod
    def from_estimator(
        cls,
        detector: Any,
        X: Any,
        anomalous: ArrayLike | None = None,
        *,
        title: str = "Codes of the network, projected",
    ) -> Self:
        """Project the codes that a fitted detector gives X."""
        return cls.from_predictions(detector.encode(X), anomalous, title=title)

    def data(self) -> dict[str, list[Any]]:
        """Return the place of each picture."""
        marks = self.anomalous
        return {
            "component_1": self.points[:, 0].tolist(),
            "component_2": self.points[:, 1].tolist()
            if len(self.shares) > 1
            else [None] * len(self.points),
            "anomalous": [None] * len(self.points) if marks is None else marks.tolist(),
        }

    def _notes(self, n_fitted: int) -> list[str]:
        notes = []
        marks = self.anomalous
        if marks is None:
            notes.append("No labels: the components are those of all pictures.")
        elif marks.all():
            notes.append("No normal picture: the components are those of the anomalous ones.")
        else:
            notes.append(f"Components fitted on {n_fitted:,} normal pictures alone.")
            if n_fitted == 1:
                notes[-1] = "There is one normal picture only."
            if not marks.any():
                notes.append("There is no anomalous picture.")
        if self.shares[0] is None:
            notes.append("No variance to find components in: the axes are two of the values.")
        elif len(self.shares) == 1:
            notes.append("One component only: the height in a strip means nothing.")
        return notes

    def _draw(self, ax: Any) -> None:
        x, y = self.points.T
        strips = len(self.shares) == 1
        if strips:
            rows = np.zeros(len(x)) if self.anomalous is None else self.anomalous.astype(np.float64)
            y = rows + np.random.default_rng(0).uniform(-0.3, 0.3, len(x))
        marks = self.anomalous
        everyone = np.ones(len(x), bool)
        groups = (
            [(everyone, style.NORMAL, "pictures")]
            if marks is None
            else [(~marks, style.NORMAL, "normal"), (marks, style.ANOMALOUS, "anomalous")]
        )
        size = float(np.clip(20_000 / len(x), 7, 30))
        for chosen, look, name in groups:
            if chosen.any():
                ax.scatter(
                    x[chosen],
                    y[chosen],
                    s=size,
                    c=look.colour,
                    marker=look.marker,
                    alpha=0.55,
                    linewidths=0,
                    label=f"{name} (n = {int(chosen.sum()):,})",
                    rasterized=len(x) > style.MANY_POINTS,
                )
        value_axis(ax.xaxis, value_limits(x, log=False), log=False)
        ax.set_xlabel(self._label(0))
        if strips:
            ax.set_ylim(-0.6, 0.6 if marks is None else 1.6)
            ax.set_yticks([] if marks is None else [0, 1], [] if marks is None else _STRIPS)
        else:
            value_axis(ax.yaxis, value_limits(y, log=False), log=False)
            ax.set_ylabel(self._label(1))
        legend_beside(ax)
        heading(ax, self.title, self.notes)

    def _label(self, number: int) -> str:
        share = self.shares[number]
        if share is None:
            return f"value {number + 1}"
        return f"component {number + 1} ({share:.1%} of the variance)"


def _projected(
    table: NDArray[Any], fitted: NDArray[np.int64]
) -> tuple[NDArray[np.float64], list[float | None]]:
    """Return places (N, 2) and the explained shares of variance."""
    from sklearn.decomposition import PCA

    normal = table[fitted].astype(np.float32 if table.dtype.kind != "f" else table.dtype)
    points = np.zeros((len(table), 2))
    if len(fitted) < 2 or not np.ptp(normal, axis=0).any():
        columns = table[:, :2].astype(np.float64)
        points[:, : columns.shape[1]] = columns - columns[fitted].mean(axis=0)
        return points, [None] * columns.shape[1]
    count = min(2, *normal.shape)
    if len(fitted) == 2:
        count = 1
    pca = PCA(count, random_state=0).fit(normal)
    rows = max(1, _BLOCK_VALUES // table.shape[1])
    for start in range(0, len(table), rows):
        block = table[start : start + rows].astype(normal.dtype)
        points[start : start + rows, :count] = pca.transform(block)
    return points, [float(share) for share in pca.explained_variance_ratio_]
