"""How all figures look: colours, marks, lines, fonts and sizes; nothing else decides these.

Normal is blue, round and solid; anomalous is vermillion, triangular, dashed and hatched: two of
the colours of Okabe and Ito, which the colour-blind tell apart, and marks that grey print keeps.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from functools import cache
from types import MappingProxyType
from typing import Any, NamedTuple

WIDTH = 6.4
"""Width of every figure, in inches."""
HEIGHT = 3.5
"""Height of a chart, in inches, where nothing asks for more."""
DPI = 150
"""Pixels an inch of what is rasterised."""
MANY_POINTS = 2_000
"""Scatters of more points are rasterised in SVG."""

TITLE_SIZE = 10.5
TEXT_SIZE = 9.0
SMALL_SIZE = 8.0
LINE_INCHES = 0.165
"""Height of a line of small text, in inches."""

INK = "#222222"
MUTED = "#5A5A5A"
GRID = "#D9D9D9"


class Look(NamedTuple):
    """How one group of pictures is drawn everywhere."""

    colour: str
    marker: str
    line: str
    hatch: str


NORMAL = Look("#0072B2", "o", "-", "")
ANOMALOUS = Look("#D55E00", "^", "--", "////")
SECOND = Look("#009E73", "s", "--", "////")
"""Beside `NORMAL` where two things are compared that are not normal and anomalous pictures."""
ALL = Look("#222222", "s", ":", "....")

# Reference lines: thresholds, limits.
_LINE_COLOURS = ("#222222", "#009E73", "#AA4499", "#E69F00", "#56B4E9")
_LINE_DASHES = ("-", "--", "-.", ":")
_POINT_MARKERS = ("D", "s", "^", "v", "P", "X", "*", "<", ">", "h")

# Families that have the scripts DejaVu Sans lacks; those that are installed are used.
_OTHER_SCRIPTS = (
    "Noto Sans CJK SC",
    "Noto Sans CJK JP",
    "WenQuanYi Zen Hei",
    "Microsoft YaHei",
    "Hiragino Sans",
    "PingFang SC",
    "Malgun Gothic",
    "Arial Unicode MS",
    "Noto Sans Devanagari",
    "Noto Sans Thai",
)

_RC: MappingProxyType[str, Any] = MappingProxyType(
    {
        "axes.axisbelow": True,
        "axes.edgecolor": MUTED,
        "axes.facecolor": "white",
        "axes.grid": True,
        "axes.grid.axis": "both",
        "axes.labelcolor": INK,
        "axes.labelsize": TEXT_SIZE,
        "axes.linewidth": 0.8,
        "axes.spines.right": False,
        "axes.spines.top": False,
        "axes.titlecolor": INK,
        "axes.titlesize": TITLE_SIZE,
        "axes.titleweight": "bold",
        "axes.unicode_minus": True,
        "figure.dpi": 100,
        "figure.facecolor": "white",
        "font.size": TEXT_SIZE,
        "grid.color": GRID,
        "grid.linewidth": 0.6,
        "hatch.linewidth": 0.6,
        "image.composite_image": False,
        "legend.fontsize": SMALL_SIZE,
        "legend.frameon": False,
        "lines.linewidth": 1.6,
        "lines.markersize": 5,
        "mathtext.default": "regular",
        "savefig.dpi": DPI,
        "savefig.facecolor": "white",
        # Outlines: the page looks the same whatever fonts its reader has.
        "svg.fonttype": "path",
        "svg.hashsalt": "residua",
        # A class may be called "$5_bill$"; names are never formulas.
        "text.parse_math": False,
        "text.color": INK,
        "text.usetex": False,
        "xtick.color": MUTED,
        "xtick.labelcolor": INK,
        "xtick.labelsize": SMALL_SIZE,
        "ytick.color": MUTED,
        "ytick.labelcolor": INK,
        "ytick.labelsize": SMALL_SIZE,
    }
)
_OWN_GROUPS = ("axes.", "figure.", "font.", "grid.", "hatch.", "image.", "legend.", "lines.")
_OWN_TOO = ("patch.", "path.", "savefig.", "scatter.", "svg.", "text.", "xtick.", "ytick.")


@contextlib.contextmanager
def drawing() -> Iterator[None]:
    """Draw in Residua's style, whatever the caller's settings; these are back afterwards."""
    import matplotlib

    settings: Any = {
        name: value
        for name, value in matplotlib.rcParamsDefault.items()
        if name.startswith((*_OWN_GROUPS, *_OWN_TOO))
    }
    settings |= _RC
    settings["font.family"] = list(families())
    with matplotlib.rc_context(settings):
        yield


@cache
def families() -> tuple[str, ...]:
    """Return the font families in use, each for the letters that those before it lack."""
    from matplotlib.font_manager import fontManager

    installed = {font.name for font in fontManager.ttflist}
    return ("DejaVu Sans", *(family for family in _OTHER_SCRIPTS if family in installed))


def new_figure(width: float, height: float, *, layout: str | None) -> Any:
    """Make a figure of a size in inches, outside pyplot."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout=layout)  # type: ignore[arg-type]
    FigureCanvasAgg(figure)
    return figure


def reference_line(index: int) -> dict[str, Any]:
    """Return the colour and the dashes of the ``index``-th threshold or limit."""
    return {
        "color": _LINE_COLOURS[index % len(_LINE_COLOURS)],
        "linestyle": _LINE_DASHES[index % len(_LINE_DASHES)],
        "linewidth": 1.3,
    }


def point_mark(index: int) -> dict[str, Any]:
    """Return the colour and the marker of the ``index``-th operating point."""
    return {
        "color": _LINE_COLOURS[index % len(_LINE_COLOURS)],
        "marker": _POINT_MARKERS[index % len(_POINT_MARKERS)],
        "markeredgecolor": "white",
        "markersize": 8,
        "linestyle": "none",
    }
