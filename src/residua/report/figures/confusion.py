"""Verdicts against the truth: four counts and their shares."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from residua.errors import InputError
from residua.report.figures import style
from residua.report.figures.chart import Chart, heading
from residua.report.figures.inputs import checked_marks
from residua.report.figures.lettering import counted

_KINDS = ("normal", "anomalous")
_VERDICTS = ("passed", "flagged")


class ConfusionDisplay(Chart):
    """The confusion matrix: a row a truth, a column a verdict, shares of each row.

    Parameters
    ----------
    counts : ndarray of shape (2, 2), int
        ``[[normal passed, normal flagged], [anomalous passed, anomalous flagged]]``.

    Examples
    --------
    >>> from residua.report.figures import ConfusionDisplay
    >>> display = ConfusionDisplay.from_predictions([False, False, True], [False, True, True])
    >>> display.counts.tolist()
    [[1, 1], [0, 1]]
    """

    stem = "confusion"
    title = "Verdicts against the truth"

    def __init__(self, counts: NDArray[np.int64]) -> None:
        self.counts = counts
        totals = counts.sum(axis=1)
        if not totals.sum():
            raise InputError("there is no picture; a confusion matrix needs at least one")
        self.notes = (f"{counted(int(totals.sum()))}; percentages are shares of the row.",)
        for kind, total in zip(_KINDS, totals.tolist(), strict=True):
            if not total:
                self.notes = (*self.notes, f"There is no {kind} picture: that row is empty.")
        if not counts[:, 1].any():
            self.notes = (*self.notes, "Nothing is flagged.")

    @classmethod
    def from_predictions(cls, anomalous: ArrayLike, flagged: ArrayLike) -> Self:
        """Count.

        Parameters
        ----------
        anomalous : array-like of shape (N,), bool
            The truth.
        flagged : array-like of shape (N,), bool
            The verdicts.

        Raises
        ------
        InputError
            No picture, or arrays of different numbers.
        """
        truth = checked_marks(anomalous, np.size(anomalous))
        verdicts = checked_marks(flagged, len(truth), "flagged")
        cells = np.bincount(2 * truth.astype(np.int64) + verdicts, minlength=4)
        return cls(cells.reshape(2, 2))

    @classmethod
    def from_estimator(cls, detector: Any, X: Any, anomalous: ArrayLike) -> Self:
        """Judge X with a fitted detector."""
        return cls.from_predictions(anomalous, detector.predict(X) == -1)

    def data(self) -> dict[str, list[Any]]:
        """Return the four counts with their shares of the row; None in a row without pictures."""
        totals = self.counts.sum(axis=1).tolist()
        return {
            "truth": [kind for kind in _KINDS for _ in _VERDICTS],
            "verdict": list(_VERDICTS) * 2,
            "count": self.counts.ravel().tolist(),
            "share": [
                count / total if total else None
                for row, total in zip(self.counts.tolist(), totals, strict=True)
                for count in row
            ],
        }

    def _height(self) -> float:
        return 3.3

    def _draw(self, ax: Any) -> None:
        from matplotlib.colors import to_rgb
        from matplotlib.patches import Rectangle

        columns = self.data()
        for position, (count, share) in enumerate(
            zip(columns["count"], columns["share"], strict=True)
        ):
            row, column = divmod(position, 2)
            right = row == column
            look = style.NORMAL if right else style.ANOMALOUS
            depth = 0.12 + 0.88 * (share or 0)
            shade = tuple(1 - depth * (1 - level) for level in to_rgb(look.colour))
            ax.add_patch(
                Rectangle((column, row), 1, 1, facecolor=shade, edgecolor="white", linewidth=3)
            )
            words = "–" if share is None else f"{share:.1%}"
            ink = "white" if depth > 0.6 else style.INK
            middle = (column + 0.5, row + 0.5)
            for text, size, above, weight in (
                (f"{count:,}", 15, 9, "bold"),
                (f"{words}, {'right' if right else 'wrong'}", style.TEXT_SIZE, -12, "normal"),
            ):
                ax.annotate(
                    text,
                    middle,
                    (0, above),
                    textcoords="offset points",
                    ha="center",
                    va="center",
                    fontsize=size,
                    fontweight=weight,
                    color=ink,
                )
        ax.set_xlim(0, 2)
        ax.set_ylim(2, 0)
        ax.grid(False)
        ax.set_xticks([0.5, 1.5], _VERDICTS)
        totals = self.counts.sum(axis=1).tolist()
        rows = [f"{kind}\n(n = {total:,})" for kind, total in zip(_KINDS, totals, strict=True)]
        ax.set_yticks([0.5, 1.5], rows)
        ax.tick_params(length=0)
        for spine in ax.spines.values():
            spine.set_visible(False)
        ax.set_xlabel("verdict")
        ax.set_ylabel("truth")
        heading(ax, self.title, self.notes)
