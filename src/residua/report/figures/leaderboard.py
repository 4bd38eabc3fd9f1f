"""A leaderboard: a point a method, with its interval."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple, Self

import numpy as np

from residua.errors import InputError
from residua.report.figures import style
from residua.report.figures.chart import Chart, heading, value_axis, value_limits
from residua.report.figures.lettering import counted, plain_number, shortened

_NAME_INCHES = 1.9


class LeaderboardRow(NamedTuple):
    """One method's result; None where it has none."""

    name: str
    value: float | None
    low: float | None
    high: float | None


class LeaderboardDisplay(Chart):
    """Methods from best to worst.

    Parameters
    ----------
    rows : list of LeaderboardRow
        In their order, the best first.
    metric : str
        What the values are, for the axis.

    Examples
    --------
    >>> from residua.report.figures import LeaderboardDisplay
    >>> rows = [("PCA", 0.81, 0.78, 0.84), ("Residua", 0.93, 0.91, 0.95)]
    >>> LeaderboardDisplay.from_results(rows).data()["name"]
    ['Residua', 'PCA']
    """

    stem = "leaderboard"

    def __init__(self, rows: list[LeaderboardRow], metric: str = "AUROC") -> None:
        self.rows = rows
        self.metric = metric
        self.title = f"{counted(len(rows), 'method')}, the best first"
        if len(rows) == 1:
            self.title = "One method"
        missing = sum(row.value is None for row in rows)
        if missing:
            self.notes = (f"{counted(missing, 'method')} without a value.",)

    @classmethod
    def from_results(
        cls,
        rows: Iterable[tuple[str, float | None, float | None, float | None]],
        *,
        metric: str = "AUROC",
        ascending: bool = False,
    ) -> Self:
        """Sort results.

        Parameters
        ----------
        rows : iterable of (name, value, low, high)
            None or NaN: not measured, or no interval.
        metric : str, default="AUROC"
        ascending : bool, default=False
            Whether the least value is the best.

        Raises
        ------
        InputError
            There is none.
        """
        checked = [LeaderboardRow(str(name), *map(_number, rest)) for name, *rest in rows]
        if not checked:
            raise InputError("no method was given; a leaderboard needs at least one")
        sign = 1 if ascending else -1
        checked.sort(
            key=lambda row: (row.value is None, 0.0 if row.value is None else sign * row.value)
        )
        return cls(checked, metric)

    def data(self) -> dict[str, list[Any]]:
        """Return the rows as columns, the best first."""
        columns = ("name", "value", "low", "high")
        return {name: [getattr(row, name) for row in self.rows] for name in columns}

    def _height(self) -> float:
        return 1.15 + 0.16 * len(self.notes) + 0.26 * max(len(self.rows), 2)

    def _draw(self, ax: Any) -> None:
        numbers = [n for row in self.rows for n in row[1:] if n is not None]
        values = np.asarray(numbers or [0.0, 1.0])
        for position, row in enumerate(self.rows):
            if row.value is None:
                continue
            best = position == 0
            if row.low is not None and row.high is not None:
                ends = (row.low, row.high)
                ax.plot(
                    ends, (position, position), color=style.NORMAL.colour, linewidth=2, marker="|"
                )
            ax.plot(
                row.value,
                position,
                marker="D" if best else "o",
                markersize=7 if best else 6,
                color=style.NORMAL.colour,
                linestyle="none",
            )
        low, high = value_limits(values, log=False)
        value_axis(ax.xaxis, (low, high), log=False)
        ax.set_ylim(len(self.rows) - 0.4, -0.6)
        names = [shortened(row.name, _NAME_INCHES) for row in self.rows]
        ax.set_yticks(range(len(names)), names)
        for label in ax.get_yticklabels():
            label.set_parse_math(False)
        # The numbers stand in a column of their own, right of the points.
        for position, row in enumerate(self.rows):
            ax.annotate(
                _words(row),
                (1, position),
                (6, 0),
                xycoords=("axes fraction", "data"),
                textcoords="offset points",
                va="center",
                ha="left",
                fontsize=style.SMALL_SIZE,
                annotation_clip=False,
            )
        interval = any(row.low is not None for row in self.rows)
        ax.set_xlabel(f"{self.metric} (line: interval)" if interval else self.metric)
        heading(ax, self.title, self.notes, width=4.0)


def _number(value: float | None) -> float | None:
    return None if value is None or not np.isfinite(value) else float(value)


def _words(row: LeaderboardRow) -> str:
    if row.value is None:
        return "not measured"
    if row.low is None or row.high is None:
        return _short(row.value)
    return f"{_short(row.value)} [{_short(row.low)}, {_short(row.high)}]"


def _short(value: float) -> str:
    return f"{value:.3f}".replace("-", "−") if 0.001 <= abs(value) < 100 else plain_number(value)
