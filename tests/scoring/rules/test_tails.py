from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from residua.errors import IdenticalScores, TooFewImages
from residua.scoring.rules.tails import fit_pareto
from residua.scoring.thresholds import Conformal, Tail


@pytest.mark.parametrize("shape", [-0.4, 0.0, 0.3, 0.7])
def test_the_estimator_finds_shape_and_scale(shape: float) -> None:
    sample = np.sort(stats.genpareto(shape, scale=2).rvs(20_000, random_state=0))
    found = fit_pareto(sample)
    assert found == pytest.approx((shape, 2), abs=0.08)


def test_the_estimator_is_about_as_likely_as_scipys() -> None:
    sample = np.sort(stats.genpareto(0.2).rvs(100, random_state=1))
    shape, scale = fit_pareto(sample)
    best, _, best_scale = stats.genpareto.fit(sample, floc=0)
    own = stats.genpareto(shape, scale=scale).logpdf(sample).sum()
    assert own == pytest.approx(stats.genpareto(best, scale=best_scale).logpdf(sample).sum(), abs=1)


@pytest.mark.parametrize("law", [stats.norm(), stats.expon(), stats.gamma(4), stats.t(4)])
@pytest.mark.parametrize("rate", [1e-3, 1e-4])
def test_the_rate_beyond_the_highest_score_is_near_the_promise(
    law: stats.rv_continuous, rate: float
) -> None:
    rng = np.random.default_rng(0)
    true = [law.sf(Tail(rate).fit(law.rvs(1_000, random_state=rng)).upper) for _ in range(100)]
    assert 0.3 * rate < np.median(true) < 2.5 * rate


def test_rates_that_the_data_show_are_those_of_conformal() -> None:
    scores = np.random.default_rng(0).gamma(4, 1, 2_000)
    for rate in (0.5, 0.2, 0.101):
        assert Tail(rate).fit(scores).upper == Conformal(rate).fit(scores).upper
    for rate in (0.09, 0.05, 0.01):
        assert Tail(rate).fit(scores).upper == pytest.approx(
            np.quantile(scores, 1 - rate), rel=0.03
        )


@given(
    arrays(np.float64, st.integers(100, 300), elements=st.floats(0, 1e3)),
    st.lists(st.floats(1e-9, 0.9), min_size=2, max_size=5),
)
def test_a_rarer_rate_never_has_a_lower_limit(scores: np.ndarray, rates: list[float]) -> None:
    uppers = []
    for rate in sorted(rates, reverse=True):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                uppers.append(Tail(rate).fit(scores).upper)
        except IdenticalScores:
            return
    assert uppers == sorted(uppers)


def test_the_limit_follows_a_change_of_scale() -> None:
    scores = np.random.default_rng(0).gamma(4, 1, 300)
    upper = Tail(1e-4).fit(scores).upper
    assert Tail(1e-4).fit(scores * 1e-6 + 3e-6).upper == pytest.approx(upper * 1e-6 + 3e-6)


def test_fewer_than_a_hundred_scores_are_refused() -> None:
    with pytest.raises(TooFewImages, match=r"at least 100 .* has 99"):
        Tail().fit(np.arange(99))


def test_a_tail_of_ties_is_refused_by_name() -> None:
    scores = np.concatenate([np.random.default_rng(0).random(150), np.full(50, 2.0)])
    with pytest.raises(IdenticalScores, match="only 0 different"):
        Tail(1e-4).fit(scores)


def test_ties_below_the_tail_and_a_few_within_do_no_harm() -> None:
    smooth = np.random.default_rng(0).exponential(size=2_000)
    rounded = Tail(1e-4).fit(np.round(smooth, 2)).upper
    assert rounded == pytest.approx(Tail(1e-4).fit(smooth).upper, rel=0.05)


def test_a_rate_far_beyond_the_scores_is_said_to_rest_on_an_assumption() -> None:
    assert "more than 100 times rarer than 300" in str(Tail(1e-5).shortage(300))
    assert Tail(1e-4).shortage(300) is None
