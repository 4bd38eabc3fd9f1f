from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from residua.advice.intervals import (
    auroc_interval,
    beta_quantile,
    order_statistic_interval,
    rank_correlation,
    rate_interval,
    two_sample,
)


@pytest.mark.parametrize(("p", "a", "b"), [(0.025, 3, 8), (0.975, 1, 500), (0.5, 400, 30)])
def test_beta_quantile_is_that_of_scipy(p: float, a: int, b: int) -> None:
    assert beta_quantile(p, a, b) == pytest.approx(stats.beta.ppf(p, a, b), rel=1e-6)


@pytest.mark.parametrize(("hits", "n"), [(0, 10), (3, 10), (10, 10), (17, 2000)])
def test_rate_interval_is_clopper_and_pearsons(hits: int, n: int) -> None:
    exact = stats.binomtest(hits, n).proportion_ci(method="exact")
    found = rate_interval(hits, n)
    assert (found.low, found.high) == pytest.approx((exact.low, exact.high), abs=1e-9)


def test_order_statistic_interval_holds_the_true_rate_as_often_as_it_says() -> None:
    found = order_statistic_interval(101, 95)
    rng = np.random.default_rng(0)
    limits = np.percentile(rng.random((4000, 101)), 95, axis=1)
    inside = ((1 - limits >= found.low) & (1 - limits <= found.high)).mean()
    assert inside == pytest.approx(0.95, abs=0.015)


def test_rank_correlation_is_spearmans_with_ties() -> None:
    rng = np.random.default_rng(0)
    a = rng.integers(0, 5, 200).astype(float)
    b = a + rng.normal(0, 2, 200)
    found = rank_correlation(a, b)
    assert found is not None
    assert found.value == pytest.approx(stats.spearmanr(a, b).statistic)
    assert found.low < found.value < found.high


def test_rank_correlation_with_a_constant_is_none() -> None:
    assert rank_correlation(np.ones(20), np.arange(20.0)) is None


def test_two_sample_test_is_near_scipys() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(0, 1, 300), rng.normal(0.25, 1, 200)
    found, wanted = two_sample(a, b), stats.ks_2samp(a, b)
    assert found.distance == pytest.approx(wanted.statistic)
    assert found.p_value == pytest.approx(wanted.pvalue, rel=0.2)
    assert two_sample(a, a).p_value == 1


def test_an_auroc_is_scikit_learns_and_its_interval_covers() -> None:
    rng = np.random.default_rng(0)
    truth = np.arange(60) >= 30
    covered = 0
    for _ in range(200):
        scores = np.round(rng.normal(size=60) + truth, 1)
        found = auroc_interval(truth, scores)
        assert found is not None
        assert found.value == pytest.approx(roc_auc_score(truth, scores))
        # P(N(1, 1) > N(0, 1)) = Φ(1 / √2).
        covered += found.low <= 0.7602 <= found.high
    assert 0.9 <= covered / 200 <= 0.99
    assert auroc_interval(np.ones(3, bool), np.arange(3.0)) is None
