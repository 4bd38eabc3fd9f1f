"""What figures with an x and a y axis share: headings, legends beside the data, scales."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua.report.figures import style
from residua.report.figures.base import Display
from residua.report.figures.lettering import plain_number, wrapped
from residua.scoring.names import SURPRISE, unit_of

_LEGEND_INCHES = 1.6
_FEW_ENTRIES = 6
MOST_ENTRIES = 24
"""Lines of a legend; more are counted."""
_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_STEPS = (1, 2, 2.5, 5, 10)


class Chart(Display):
    """A figure of one pair of axes."""

    notes: Sequence[str] = ()
    """What the figure cannot show, and why; printed below its title."""

    def _plot(self, ax: Any) -> list[Any]:
        if ax is None:
            figure = style.new_figure(style.WIDTH, self._height(), layout="constrained")
            ax = figure.add_subplot()
        self._draw(ax)
        return [ax]

    def _height(self) -> float:
        return style.HEIGHT

    @abstractmethod
    def _draw(self, ax: Any) -> None:
        """Draw on the axes."""


def legend_height(entries: int) -> float:
    """Return the height of a chart, in inches, whose legend has so many entries."""
    shown = min(entries, MOST_ENTRIES + 1)
    return max(style.HEIGHT, 1.2 + shown * 2.3 * style.LINE_INCHES)


def heading(ax: Any, title: str, notes: Sequence[str] = (), *, width: float = 5.4) -> None:
    """Set a title above the axes and the notes between the two, in lines of ``width`` inches."""
    own = ax.get_figure().get_layout_engine() is not None
    if not own:
        width = ax.get_window_extent().width / ax.get_figure().dpi
    lines = [line for note in notes for line in wrapped(note, width)]
    above = 6 + len(lines) * 72 * style.LINE_INCHES
    head = wrapped(title, width, style.TITLE_SIZE, "bold")
    ax.set_title("\n".join(head), loc="left", pad=above, fontsize=style.TITLE_SIZE)
    if lines:
        ax.annotate(
            "\n".join(lines),
            (0, 1),
            (0, 5),
            xycoords="axes fraction",
            textcoords="offset points",
            va="bottom",
            ha="left",
            fontsize=style.SMALL_SIZE,
            color=style.MUTED,
            linespacing=1.15,
            annotation_clip=False,
        ).set_in_layout(False)


def legend_beside(ax: Any) -> None:
    """Put the legend right of the axes, where it covers no data."""
    handles, labels = ax.get_legend_handles_labels()
    if not handles:
        return
    lines = 3 if len(labels) <= _FEW_ENTRIES else 2
    left_out = len(labels) - MOST_ENTRIES
    if left_out > 0:
        handles, labels = handles[:MOST_ENTRIES], labels[:MOST_ENTRIES]
    broken = ["\n".join(wrapped(label, _LEGEND_INCHES, lines=lines)) for label in labels]
    if left_out > 0:
        from matplotlib.lines import Line2D

        handles.append(Line2D([], [], linestyle="none"))
        broken.append(f"and {left_out:,} more")
    ax.legend(
        handles,
        broken,
        loc="upper left",
        bbox_to_anchor=(1.01, 1.02),
        borderaxespad=0,
        handlelength=2.2,
        labelspacing=0.7,
    )


def score_label(score: str | None) -> str:
    """Return the label of an axis of scores of this name; None: the name is not known."""
    return "anomaly score" if score is None else f"anomaly score ({unit_of(score)})"


def wants_log(*groups: NDArray[np.float64] | Sequence[float], score: str | None = None) -> bool:
    """Say whether values span more than two decades, all of them above 0.

    Not so where they are of the score "surprise", which is a logarithm already.
    """
    if score == SURPRISE:
        return False
    values = np.concatenate([np.asarray(group, np.float64).ravel() for group in groups])
    return bool(values.size and values.min() > 0 and values.max() > 100 * values.min())


def value_limits(
    values: NDArray[np.float64], *, log: bool, margin: float = 0.05
) -> tuple[float, float]:
    """Return the ends of an axis that shows all values with a margin, however alike they are."""
    low, high = float(np.min(values)), float(np.max(values))
    if log:
        reach = margin * np.log10(high / low)
        return float(low * 10**-reach), float(high * 10**reach)
    size = max(abs(low), abs(high))
    if high - low <= 1e-6 * size or high == low:
        reach = 0.1 * size or 1.0
        return low - reach, high + reach
    reach = margin * (high - low)
    return low - reach, high + reach


def value_axis(axis: Any, limits: tuple[float, float], *, log: bool) -> None:
    """Set limits, scale and plainly written ticks of one axis of ``ax``."""
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

    name = axis.axis_name
    ax = axis.axes
    getattr(ax, f"set_{name}scale")("log" if log else "linear")
    getattr(ax, f"set_{name}lim")(*limits)
    if log:
        axis.set_major_locator(LogLocator(numticks=7))
        axis.set_major_formatter(FuncFormatter(_power))
        axis.set_minor_formatter(NullFormatter())
    else:
        axis.set_major_locator(MaxNLocator(nbins=6, steps=_STEPS))
        axis.set_major_formatter(FuncFormatter(lambda value, _: plain_number(value)))


def count_axis(axis: Any) -> None:
    """Write whole numbers with thousands' separators on an axis of counts."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axis.set_major_locator(MaxNLocator(nbins=6, integer=True, steps=_STEPS))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))


def rate_axes(ax: Any) -> None:
    """Give both axes the range from 0 to 1 and the same length."""
    ax.set_xlim(-0.02, 1.02)
    ax.set_ylim(-0.02, 1.02)
    ax.set_aspect("equal", adjustable="box", anchor="W")


def _power(value: float, _: int | None = None) -> str:
    exponent = round(np.log10(value))
    return (
        plain_number(value)
        if -3 <= exponent <= 3
        else "10" + str(exponent).translate(_SUPERSCRIPTS)
    )
