from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import false_discovery_control

from residua.errors import ConfigurationError, InputError, TooFewForThreshold
from residua.scoring.calibration import (
    benjamini_hochberg,
    discoveries,
    fewest_discoveries,
    p_values,
    scores_for_discoveries,
)

TIED = arrays(np.float64, st.integers(1, 40), elements=st.integers(0, 9).map(float))


@given(TIED, TIED)
def test_a_p_value_counts_the_calibration_scores_as_high(
    scores: np.ndarray, normal: np.ndarray
) -> None:
    counted = [(1 + sum(c >= s for c in normal)) / (1 + normal.size) for s in scores]
    assert p_values(scores, normal).tolist() == counted


def test_p_values_keep_the_shape_and_take_infinity() -> None:
    assert p_values([[1.0, np.inf], [-np.inf, 2.5]], [2.0, 1.0, 3.0]).tolist() == [
        [1.0, 0.25],
        [1.0, 0.5],
    ]
    assert p_values(2.0, [1.0]).shape == ()


@pytest.mark.parametrize(("scores", "normal"), [([np.nan], [1.0]), ([1.0], [np.nan]), ([1.0], [])])
def test_nan_and_no_calibration_are_refused(scores: list[float], normal: list[float]) -> None:
    with pytest.raises(InputError):
        p_values(scores, normal)


def test_p_values_of_exchangeable_scores_are_uniform_on_their_grid() -> None:
    rng = np.random.default_rng(0)
    drawn = rng.normal(size=(20_000, 20))
    p = np.array([p_values(row[0], row[1:]) for row in drawn])
    levels = np.arange(1, 21) / 20
    below = (p[:, None] <= levels + 1e-12).mean(axis=0)
    np.testing.assert_allclose(below, levels, atol=0.015)


def test_p_values_of_tied_scores_are_never_too_small() -> None:
    rng = np.random.default_rng(0)
    drawn = rng.integers(0, 5, (20_000, 20))
    p = np.array([p_values(row[0], row[1:]) for row in drawn])
    levels = np.arange(1, 21) / 20
    assert ((p[:, None] <= levels).mean(axis=0) <= levels + 0.01).all()


@given(
    arrays(np.float64, st.integers(1, 60), elements=st.floats(1e-6, 1)),
    st.floats(0.01, 0.5),
)
def test_discoveries_agree_with_scipy(p: np.ndarray, fdr: float) -> None:
    adjusted = false_discovery_control(p)
    sure = np.abs(adjusted - fdr) > 1e-9
    assert (benjamini_hochberg(p, fdr) == (adjusted <= fdr))[sure].all()


def test_the_false_discovery_rate_is_kept_on_conformal_p_values() -> None:
    rng = np.random.default_rng(0)
    false, found = [], []
    for _ in range(600):
        normal, here = rng.normal(size=500), rng.normal(size=200)
        here[:40] += 3.5
        discovered = benjamini_hochberg(p_values(here, normal), 0.2)
        false.append(discovered[40:].sum() / max(discovered.sum(), 1))
        found.append(discovered[:40].mean())
    assert np.mean(false) <= 0.2 * 160 / 200 + 0.015
    assert np.mean(found) > 0.8


def test_discoveries_keep_the_shape_and_nothing_gives_nothing() -> None:
    found = benjamini_hochberg([[0.001, 0.9], [0.8, 0.002]], 0.1)
    assert found.tolist() == [[True, False], [False, True]]
    assert benjamini_hochberg([], 0.1).shape == (0,)
    assert not benjamini_hochberg([0.5, 0.6], 0.1).any()


@pytest.mark.parametrize("fdr", [0, 1, -0.1, float("nan")])
def test_a_rate_that_is_none_is_refused(fdr: float) -> None:
    with pytest.raises(ConfigurationError, match="between 0 and 1"):
        benjamini_hochberg([0.5], fdr)


@pytest.mark.parametrize("p", [[1.5], [-0.1], [np.nan]])
def test_what_is_no_p_value_is_refused(p: list[float]) -> None:
    with pytest.raises(InputError, match=r"\[0, 1\]"):
        benjamini_hochberg(p, 0.1)


@given(st.integers(1, 60), st.integers(1, 200), st.sampled_from([0.05, 0.1, 0.2, 0.25]))
def test_so_many_pictures_must_stand_out_together(m: int, n: int, fdr: float) -> None:
    fewest = fewest_discoveries(m, n, fdr)
    least = 1 / (n + 1)
    if fewest <= m:
        assert benjamini_hochberg([least] * fewest + [1.0] * (m - fewest), fdr).sum() == fewest
    if fewest > 1:
        few = min(fewest - 1, m)
        assert not benjamini_hochberg([least] * few + [1.0] * (m - few), fdr).any()
    enough = scores_for_discoveries(m, fdr)
    assert fewest_discoveries(m, enough, fdr) == 1
    assert enough == 0 or fewest_discoveries(m, enough - 1, fdr) > 1


def test_too_few_calibration_scores_for_any_discovery_are_a_warning() -> None:
    normal = np.arange(16)
    with pytest.warns(TooFewForThreshold, match=r"none can ever be\. 399 would"):
        assert not discoveries(np.full(20, 99.0), normal, 0.05).any()
    with pytest.warns(TooFewForThreshold, match="fewer than 12 cannot be"):
        assert not discoveries([*[99.0] * 11, *[0.0] * 9], normal, 0.1).any()
    # As errors, warnings would end this test.
    assert discoveries([*[99.0] * 12, *[0.0] * 8], normal, 0.1).sum() == 12
    assert not discoveries([0.0, 1.0], np.arange(1_000), 0.1).any()
    assert discoveries([], normal, 0.05).shape == (0,)
