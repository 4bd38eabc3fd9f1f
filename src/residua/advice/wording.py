"""Numbers and names in the text of a finding."""

from __future__ import annotations

from collections.abc import Sequence

from residua.advice.intervals import Interval

_NAMES_SHOWN = 3


def percent(share: float) -> str:
    """Return a share as text: three digits at most, and never 0% or 100% of a part."""
    value = 100 * share
    if 0 < value < 0.01:
        return "under 0.01%"
    if 99.95 < value < 100:
        return "over 99.9%"
    text = f"{value:.1f}" if value >= 1 else f"{value:.2g}"
    return f"{text.removesuffix('.0')}%"


def percent_span(interval: Interval) -> str:
    """Return an interval of a share as text."""
    return f"{percent(interval.low)} to {percent(interval.high)}"


def counted(n: int, noun: str = "picture") -> str:
    """Return a number with its noun."""
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


def are(n: int) -> str:
    """Return the verb that goes with ``n`` pictures."""
    return "is" if n == 1 else "are"


def listed(names: Sequence[str], shown: int = _NAMES_SHOWN) -> str:
    """Return names joined by commas, the rest of them counted."""
    more = len(names) - shown
    text = ", ".join(repr(name) for name in names[:shown])
    return f"{text} and {more:,} more" if more > 0 else text


def area(auroc: float) -> str:
    """Return an AUROC as text: four digits where it is near 1, and 1 for a perfect one alone."""
    if auroc == 1:
        return "1"
    return f"{min(auroc, 0.9999):.4f}" if auroc > 0.99 else f"{auroc:.3f}"


def area_span(low: float, high: float) -> str:
    """Return an interval of an AUROC as text."""
    return f"{area(low)} to {area(high)}"
