from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from residua.errors import ConfigurationError, InputError, TooFewImages, UnknownName
from residua.scoring.thresholds import (
    LABELLED_RULES,
    MAD,
    Percentile,
    ZScore,
    any_rule,
    build_rule,
)

SCORES = arrays(np.float64, st.integers(2, 200), elements=st.floats(0, 1e3))
# What identical scores do is said in the contract of the rules.
pytestmark = pytest.mark.filterwarnings("ignore::residua.errors.NoSpread")


def test_zscore_limits_are_the_mean_and_k_standard_deviations() -> None:
    limits = ZScore(3, two_sided=True).fit([1.0, 2.0, 3.0])
    assert (limits.lower, limits.upper) == pytest.approx((2 - 3, 2 + 3))


def test_a_one_sided_zscore_has_no_lower_limit() -> None:
    limits = ZScore(3).fit([1.0, 2.0, 3.0])
    assert limits.lower is None
    assert not limits.is_anomalous([-1e9]).any()


def test_percentile_rule_flags_exactly_the_top_five_percent() -> None:
    scores = np.random.default_rng(0).permutation(np.arange(1000.0))
    assert Percentile(95).fit(scores).is_anomalous(scores).sum() == 50


def test_the_hundredth_percentile_flags_no_score_it_was_fitted_on() -> None:
    scores = np.arange(10.0)
    assert not Percentile(100).fit(scores).is_anomalous(scores).any()


def test_mad_is_not_moved_by_a_stray_score() -> None:
    scores = np.arange(100.0)
    strayed = np.append(scores[:-1], 1e9)
    assert MAD(3.5).fit(strayed).upper == pytest.approx(MAD(3.5).fit(scores).upper)


def test_mad_agrees_with_zscore_on_normally_distributed_scores() -> None:
    scores = np.random.default_rng(0).normal(10, 2, 200_000)
    assert MAD(3).fit(scores).upper == pytest.approx(ZScore(3).fit(scores).upper, rel=5e-3)


def test_a_score_on_the_limit_is_normal() -> None:
    limits = Percentile(100).fit([1.0, 2.0])
    assert limits.is_anomalous([2.0, np.nextafter(2.0, 3)]).tolist() == [False, True]


def test_a_verdict_on_nan_is_refused() -> None:
    with pytest.raises(InputError, match="NaN"):
        Percentile(99).fit([1.0, 2.0]).is_anomalous([np.nan])


@pytest.mark.parametrize("scores", [[], [1.0]])
def test_too_few_scores_are_refused_with_the_count_needed(scores: list[float]) -> None:
    with pytest.raises(TooFewImages, match="at least 2"):
        ZScore(3).fit(scores)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_score_that_is_not_finite_is_refused(bad: float) -> None:
    with pytest.raises(InputError, match="finite"):
        ZScore(3).fit([1.0, bad, 2.0])


@pytest.mark.parametrize(
    "text",
    [
        "zscore(0)",
        "zscore(-1)",
        "percentile(0)",
        "percentile(101)",
        "mad(0)",
        "mad('x')",
        "conformal(0)",
        "conformal(1)",
        "conformal('x')",
        "conformal(True)",
        "tail(0)",
        "tail(1.5)",
        "auto(0.01)",
        "best_f1(1)",
    ],
)
def test_parameters_out_of_range_are_refused(text: str) -> None:
    with pytest.raises(ConfigurationError):
        build_rule(text)


def test_an_unknown_rule_offers_the_nearest_name() -> None:
    with pytest.raises(UnknownName, match="did you mean 'percentile'"):
        build_rule("percentil(99)")


@pytest.mark.parametrize("text", ["zscore(", "zscore(3, bogus=1)", "__import__('os')", "a.b(3)"])
def test_text_that_is_no_rule_is_refused_without_running_it(text: str) -> None:
    with pytest.raises(ConfigurationError):
        build_rule(text)


@given(SCORES, st.floats(0.1, 10), st.floats(0.1, 10))
def test_a_larger_k_never_flags_more(scores: np.ndarray, a: float, b: float) -> None:
    small, large = sorted((a, b))
    for rule in (ZScore, MAD):
        few = rule(large).fit(scores).is_anomalous(scores)
        many = rule(small).fit(scores).is_anomalous(scores)
        assert not (few & ~many).any()


@given(SCORES, st.floats(1, 99.9))
def test_percentile_never_flags_more_than_it_promises(scores: np.ndarray, q: float) -> None:
    flagged = Percentile(q).fit(scores).is_anomalous(scores).sum()
    assert flagged <= np.ceil((100 - q) / 100 * (len(scores) - 1) + 1e-9)


@given(SCORES)
def test_the_margin_is_negative_exactly_where_a_score_is_flagged(scores: np.ndarray) -> None:
    for rule in (ZScore(1, two_sided=True), Percentile(80), MAD(1)):
        limits = rule.fit(scores)
        assert ((limits.margin(scores) < 0) == limits.is_anomalous(scores)).all()


@given(SCORES, st.floats(0.5, 4), st.floats(0.0, 100))
def test_rules_follow_a_change_of_scale(scores: np.ndarray, scale: float, shift: float) -> None:
    for rule in (ZScore(2), Percentile(90), MAD(2)):
        moved = rule.fit(scores * scale + shift).upper
        assert moved == pytest.approx(rule.fit(scores).upper * scale + shift, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize(("n", "q"), [(5, 99), (50, 99), (200, 95)])
def test_a_percentile_of_few_scores_flags_as_many_new_ones_as_it_says(n: int, q: float) -> None:
    rng = np.random.default_rng(0)
    rule = Percentile(q)
    flagged = [
        rule.fit(rng.uniform(size=n)).is_anomalous(rng.uniform(size=2_000)).mean()
        for _ in range(400)
    ]
    assert np.mean(flagged) == pytest.approx(rule.expected_rate(n), rel=0.1)


def test_a_side_that_is_no_truth_value_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="True or False"):
        build_rule("zscore(3, two_sided='no')")


@pytest.mark.parametrize("name", LABELLED_RULES)
def test_a_fit_refuses_a_labelled_rule_and_names_the_command_that_takes_it(name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"residua recalibrate .*--threshold {name}"):
        build_rule(name)
    with pytest.raises(ConfigurationError, match="labelled anomalies"):
        build_rule(any_rule(name))


def test_an_unknown_labelled_rule_offers_the_nearest_name() -> None:
    with pytest.raises(UnknownName, match="did you mean 'youden'"):
        build_rule("yuden")


@pytest.mark.parametrize("value", [0.1, 0.3, 0.7, 1.1, 1e-9])
def test_the_rounding_of_a_mean_flags_no_identical_score(value: float) -> None:
    for n in range(2, 60):
        same = np.full(n, value)
        assert not ZScore(1e-6, two_sided=True).fit(same).is_anomalous(same).any()
