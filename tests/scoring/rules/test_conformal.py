from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from residua.errors import TooFewImages
from residua.scoring.calibration import p_values
from residua.scoring.rules.conformal import rank_from_top
from residua.scoring.thresholds import Auto, Conformal, build_rule

pytestmark = pytest.mark.filterwarnings("ignore::residua.errors.NoSpread")
# Few different values, so that ties are the rule.
TIED = arrays(np.float64, st.integers(2, 60), elements=st.integers(0, 12).map(float))


@given(
    normal=TIED,
    scores=TIED,
    rate=st.one_of(
        st.floats(1e-3, 0.999),
        st.fractions(min_value=0, max_value=1, max_denominator=61).map(float),
        st.integers(1, 99).map(lambda percent: percent / 100),
        # Just below a rate: the product with n + 1 is rounded up to that of the rate itself.
        st.fractions(min_value=0, max_value=1, max_denominator=61).map(
            lambda share: float(np.nextafter(float(share), 0))
        ),
    ),
)
def test_a_score_is_flagged_exactly_where_its_p_value_is_at_most_the_rate(
    normal: np.ndarray, scores: np.ndarray, rate: float
) -> None:
    if not 0 < rate < 1 or Conformal(rate).min_scores > normal.size:
        return
    flagged = Conformal(rate).fit(normal).is_anomalous(scores)
    assert (flagged == (p_values(scores, normal) <= rate)).all()


@pytest.mark.parametrize("n", [99, 199, 999, 1999])
@pytest.mark.parametrize("percent", range(1, 100))
def test_the_limit_is_the_score_of_the_rank_that_exact_arithmetic_gives(
    n: int, percent: int
) -> None:
    scores = np.random.default_rng(0).permutation(np.arange(1.0, n + 1))
    k = -(-(n + 1) * (100 - percent) // 100)
    assert Conformal(percent / 100).fit(scores).upper == k


@pytest.mark.parametrize(
    ("rate", "needed"), [(0.01, 99), (0.001, 999), (0.3, 3), (1 / 3, 2), (0.049, 20)]
)
def test_too_few_scores_are_refused_with_the_number_needed(rate: float, needed: int) -> None:
    rule = Conformal(rate)
    rule.fit(np.arange(needed))
    assert Conformal(float(np.nextafter(rate, 0))).min_scores >= needed
    if needed == 2:
        return
    with pytest.raises(TooFewImages, match=f"at least {needed} .* has {needed - 1}"):
        rule.fit(np.arange(needed - 1))


@pytest.mark.parametrize(("n", "rate"), [(16, 0.0589), (99, 0.01), (120, 0.05)])
def test_new_normal_scores_are_flagged_as_often_as_promised(n: int, rate: float) -> None:
    rng = np.random.default_rng(0)
    flagged = [
        Conformal(rate).fit(rng.normal(size=n)).is_anomalous(rng.normal(size=500)).mean()
        for _ in range(2_000)
    ]
    expected = Conformal(rate).expected_rate(n)
    assert np.mean(flagged) == pytest.approx(expected, rel=0.05)
    assert expected <= rate


@given(st.integers(2, 5_000))
def test_auto_makes_the_strictest_promise_that_so_many_scores_allow(n: int) -> None:
    rule = Auto().for_count(n)
    assert isinstance(rule, Conformal)
    assert rule.min_scores <= n
    if n >= 99:
        assert rule.fpr == 0.01
    else:
        assert 1 / (n + 1) <= rule.fpr < 1.01 / (n + 1)
        assert rule.fit(np.arange(n)).upper == n - 1


def test_the_threshold_of_auto_names_the_rule_it_came_to() -> None:
    assert build_rule("auto").fit(np.arange(16)).rule == "conformal(0.0589)"
    assert build_rule("auto").fit(np.arange(99)).rule == "conformal(0.01)"


def test_auto_says_what_few_scores_promise_and_how_many_would_do() -> None:
    said = Auto().shortage(16)
    assert said is not None
    assert "1 in 17" in said
    assert "5.9%" in said
    assert "99 would give 1%" in said
    assert Auto().shortage(98) is not None
    assert Auto().shortage(99) is None


@pytest.mark.parametrize("n", range(1, 200))
def test_the_rank_is_the_greatest_whose_p_value_is_at_most_the_rate(n: int) -> None:
    # At each p-value and a rounding below it, where the product with n + 1 misleads.
    for m in range(1, n + 1):
        assert rank_from_top(m / (n + 1), n) == m
        assert rank_from_top(float(np.nextafter(m / (n + 1), 0)), n) == m - 1
