from __future__ import annotations

from fractions import Fraction
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ks_2samp

from residua.errors import ConfigurationError, InputError
from residua.scoring.kolmogorov_smirnov import distance_between, p_value_of

SAMPLE = st.lists(st.integers(-5, 5), min_size=1, max_size=30)


def counted(steps: int, n: int, m: int) -> float:
    """Return the p-value by counting every path in whole numbers of any size."""
    inside = np.zeros((m + 1, n + 1), dtype=object)
    for x in range(m + 1):
        for y in range(n + 1):
            if abs(x * n - y * m) < steps:
                left = inside[x - 1, y] if x else 0
                below = inside[x, y - 1] if y else 0
                inside[x, y] = 1 if x == y == 0 else left + below
    return float(1 - Fraction(inside[m, n], comb(n + m, n)))


def apart(distance: float, n: int, m: int) -> tuple[list[float], list[float]]:
    """Return two samples whose distance is about so great: the second begins later."""
    shift = round(distance * n)
    return list(range(n)), [shift - 0.5 + (n - shift) * k / m for k in range(m)]


@pytest.mark.parametrize(("n", "m"), [(1, 1), (1, 40), (7, 7), (5, 60), (30, 48), (90, 61)])
@pytest.mark.parametrize("distance", [0.02, 0.1, 0.25, 0.5, 0.8, 1.0])
def test_the_p_value_is_the_count_of_paths_to_nine_digits(n: int, m: int, distance: float) -> None:
    steps = max(1, round(distance * n * m))
    assert p_value_of(steps, n, m) == pytest.approx(counted(steps, n, m), rel=1e-9)


@pytest.mark.parametrize(("n", "m"), [(20, 20), (50, 100), (120, 77), (500, 200), (500, 1000)])
@pytest.mark.parametrize("distance", [0.05, 0.1, 0.2, 0.4])
def test_the_p_value_is_that_of_scipy(n: int, m: int, distance: float) -> None:
    one, other = apart(distance, n, m)
    expected = ks_2samp(one, other, method="exact")
    found = distance_between(one, other)
    assert found.value == pytest.approx(expected.statistic, abs=1e-12)
    assert p_value_of(found.steps, n, m) == pytest.approx(expected.pvalue, rel=1e-8)


def test_a_p_value_of_1e_12_and_less_has_its_digits() -> None:
    # Two paths of all lead along the edges, and no others leave a band as wide as can be.
    assert p_value_of(30 * 40, 30, 40) == pytest.approx(2 / comb(70, 30), rel=1e-10)
    assert p_value_of(500 * 500, 500, 500) == pytest.approx(2 / comb(1000, 500), rel=1e-9)


def test_wide_rows_are_summed_without_overflow() -> None:
    found = [p_value_of(round(d * 500 * 10_000), 500, 10_000) for d in (0.1, 0.3, 0.5, 0.9, 1)]
    assert np.isfinite(found).all()
    assert found == sorted(found, reverse=True)
    # Below the smallest normal number stands that number, which is greater.
    assert found[-1] == np.finfo(np.float64).tiny
    # In many runs along a row, as in one.
    assert p_value_of(450_000, 1_500, 1_500) == pytest.approx(
        ks_2samp(*apart(0.2, 1_500, 1_500), method="exact").pvalue, rel=1e-8
    )


def test_a_distance_of_nothing_is_certain() -> None:
    assert distance_between([1, 2, 2], [2, 1, 2]) == (0, 0.0)
    assert p_value_of(0, 3, 3) == 1.0


@given(SAMPLE, SAMPLE)
@settings(deadline=None)
def test_the_samples_may_change_places_and_be_in_any_order(
    one: list[int], other: list[int]
) -> None:
    found = distance_between(one, other)
    assert found == distance_between(other[::-1], one)
    p = p_value_of(found.steps, len(one), len(other))
    assert p == p_value_of(found.steps, len(other), len(one))
    assert 0 < p <= 1
    shares = [[np.mean(np.array(s) <= v) for v in one + other] for s in (one, other)]
    assert found.value == pytest.approx(np.abs(np.subtract(*shares)).max(), abs=1e-12)


@given(st.integers(1, 25), st.integers(1, 25), st.data())
@settings(deadline=None)
def test_the_farther_the_rarer(n: int, m: int, data: st.DataObject) -> None:
    near = data.draw(st.integers(0, n * m))
    far = data.draw(st.integers(near, n * m))
    assert p_value_of(far, n, m) <= p_value_of(near, n, m) * (1 + 1e-12)


@pytest.mark.parametrize(("one", "other", "said"), [([], [1], "empty"), ([1, np.nan], [1], "NaN")])
def test_what_has_no_order_is_refused(one: list[float], other: list[float], said: str) -> None:
    with pytest.raises(InputError, match=said):
        distance_between(one, other)
    with pytest.raises(InputError, match=said):
        distance_between(other, one)


@pytest.mark.parametrize(("steps", "n", "m"), [(-1, 2, 2), (5, 2, 2), (0, 0, 2), (0, 2, 0)])
def test_what_is_no_distance_is_refused(steps: int, n: int, m: int) -> None:
    with pytest.raises(ConfigurationError, match="of two samples"):
        p_value_of(steps, n, m)
