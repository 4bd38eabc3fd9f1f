"""A fitted model as a card of HTML, as a notebook shows it."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from residua.summary import facts

if TYPE_CHECKING:
    from residua.manifest import Manifest

_WIDTH, _HEIGHT, _BARS = 420, 70, 42


def card(manifest: Manifest, calibration_scores: NDArray[np.float64]) -> str:
    """Return what a model is, over the scores of its held-out normal pictures.

    Parameters
    ----------
    manifest : Manifest
    calibration_scores : ndarray of shape (n,)
    """
    rows = "".join(
        f"<tr><th style='text-align:left;vertical-align:top;white-space:nowrap'>{escape(key)}</th>"
        f"<td style='text-align:left'>{escape(value)}</td></tr>"
        for key, value in facts(manifest).items()
    )
    return (
        f"<figure style='margin:0'>{_histogram(calibration_scores, manifest.threshold.upper)}"
        f"<figcaption style='font-size:smaller'>Scores of {len(calibration_scores):,} held-out "
        f"normal pictures; the line is the threshold {manifest.threshold.upper:.6g}."
        f"</figcaption></figure><table>{rows}</table>"
    )


def _histogram(scores: NDArray[np.float64], threshold: float) -> str:
    high = max(float(scores.max()), threshold) * 1.05 or 1.0
    low = min(float(scores.min()), threshold, high)
    counts, edges = np.histogram(scores, _BARS, (low, high) if high > low else None)

    def across(value: float) -> float:
        return _WIDTH * float((value - edges[0]) / (edges[-1] - edges[0]))

    tall = max(int(counts.max()), 1)
    bars = "".join(
        f"<rect x='{across(edge):.1f}' y='{_HEIGHT * (1 - n / tall):.1f}' "
        f"width='{_WIDTH / _BARS - 1:.1f}' height='{_HEIGHT * n / tall:.1f}'/>"
        for edge, n in zip(edges[:-1], counts, strict=True)
        if n
    )
    x = f"{across(threshold):.1f}"
    return (
        f"<svg width='{_WIDTH}' height='{_HEIGHT}' viewBox='0 0 {_WIDTH} {_HEIGHT}' role='img' "
        f"aria-label='Histogram of normal scores with the threshold'>"
        f"<g fill='#0072b2'>{bars}</g>"
        f"<line x1='{x}' x2='{x}' y1='0' y2='{_HEIGHT}' stroke='#d55e00' stroke-width='2'/></svg>"
    )
