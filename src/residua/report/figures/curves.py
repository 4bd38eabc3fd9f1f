"""Curves of many points: thinned without visible change, and densities estimated robustly."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Curve = tuple[NDArray[np.float64], NDArray[np.float64]]

_MOST_SAMPLES = 5_000
_GRID = 300


def thinned(x: NDArray[np.float64], y: NDArray[np.float64], tolerance: float = 4e-4) -> Curve:
    """Leave out the points of a line that no eye would miss.

    No point left out is farther than ``tolerance`` times the extent of the data from the line that
    remains; corners stay.

    References
    ----------
    Douglas and Peucker, "Algorithms for the reduction of the number of points required to
    represent a digitized line or its caricature", Cartographica 1973.
    """
    points = np.column_stack([x, y]).astype(np.float64)
    extent = np.ptp(points, axis=0)
    scaled = (points - points.min(axis=0)) / np.where(extent > 0, extent, 1)
    kept = np.zeros(len(points), bool)
    kept[[0, -1]] = True
    waiting = [(0, len(points) - 1)]
    while waiting:
        first, last = waiting.pop()
        if last - first < 2:
            continue
        distances = _from_segment(scaled[first + 1 : last], scaled[first], scaled[last])
        farthest = int(distances.argmax())
        if distances[farthest] > tolerance:
            middle = first + 1 + farthest
            kept[middle] = True
            waiting += [(first, middle), (middle, last)]
    return points[kept, 0], points[kept, 1]


def _from_segment(
    points: NDArray[np.float64], start: NDArray[np.float64], end: NDArray[np.float64]
) -> NDArray[np.float64]:
    along = end - start
    length = float(along @ along)
    share = (
        np.clip((points - start) @ along / length, 0, 1) if length > 0 else np.zeros(len(points))
    )
    distances: NDArray[np.float64] = np.hypot(*(points - start - share[:, None] * along).T)
    return distances


def stairs(x: NDArray[np.float64], y: NDArray[np.float64]) -> Curve:
    """Return the corners of steps that hold each y up to the next x."""
    return np.repeat(x, 2)[1:], np.repeat(y, 2)[:-1]


def density(values: NDArray[np.float64], grid: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Estimate the density of values on a grid; None where all are equal, a density of no width.

    Above 5,000 values, as many evenly spaced quantiles stand for them. The bandwidth is
    0.9 min(s, IQR / 1.34) n^(-1/5), which a few far values do not widen.

    References
    ----------
    Silverman, "Density estimation for statistics and data analysis", 1986, equation 3.31.
    """
    from scipy.stats import gaussian_kde

    width = bandwidth(values)
    if width is None:
        return None
    if len(values) > _MOST_SAMPLES:
        levels = (np.arange(_MOST_SAMPLES) + 0.5) / _MOST_SAMPLES
        values = np.quantile(values, levels)
    # SciPy squares the factor's product with the deviation; tiny errors would underflow there.
    centre, scale = values.mean(), values.std(ddof=1)
    standard = (values - centre) / scale
    estimate = gaussian_kde(standard, bw_method=width / scale)
    found: NDArray[np.float64] = estimate((grid - centre) / scale) / scale
    return found


def bandwidth(values: NDArray[np.float64]) -> float | None:
    """Return the width of the kernel for values; None where they do not differ."""
    if len(values) < 2:
        return None
    deviation = float(values.std(ddof=1))
    if deviation <= 1e-9 * float(np.abs(values).max()):
        return None
    low, high = np.percentile(values, [25, 75])
    spread = float(high - low) / 1.34
    # Half of all values equal: the quartiles say nothing of the rest.
    narrow = min(deviation, spread) if spread > 1e-3 * deviation else deviation
    return float(0.9 * narrow * len(values) ** -0.2)


def density_grid(values: NDArray[np.float64], *marks: float) -> NDArray[np.float64]:
    """Return points from below the least to above the greatest of values and marks.

    Half of them are even over the range and half lie where the values do, so that a sharp peak in
    a long range keeps its form.
    """
    everything = np.concatenate([values, np.asarray(marks, np.float64)])
    width = bandwidth(values) or 0.05 * (np.ptp(everything) or abs(everything[0]) or 1.0)
    low, high = everything.min() - 3 * width, everything.max() + 3 * width
    even = np.linspace(low, high, _GRID // 2)
    dense = np.quantile(values, np.linspace(0, 1, _GRID // 2))
    return np.unique(np.concatenate([even, dense]))
