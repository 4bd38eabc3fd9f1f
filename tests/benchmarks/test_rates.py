from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import betabinom, binom

from quality.kept import Rate
from quality.rates import _coverage, expected_interval, pool
from residua.scoring.thresholds import build_rule

from .test_kept import make_result


def make_rate(n: int = 600, m: int = 10_000, fpr: float = 0.01, flagged: int = 100) -> Rate:
    return Rate(rule="limit", n_calibration=n, n_normal=m, flagged=flagged, promised=fpr)


@pytest.mark.parametrize(("n", "m", "fpr"), [(6_000, 10_000, 0.01), (99, 286, 0.05)])
def test_of_one_fit_the_interval_is_that_of_the_beta_binomial(n: int, m: int, fpr: float) -> None:
    beyond = int(fpr * (n + 1) + 1e-9)
    wanted = betabinom(m, beyond, n + 1 - beyond).interval(0.95)
    assert expected_interval([("all", make_rate(n, m, fpr))]) == pytest.approx(wanted, abs=2)


def test_the_interval_is_wider_than_one_that_takes_the_limit_for_given() -> None:
    low, high = expected_interval([("all", make_rate())])
    by_test_alone = binom(10_000, 0.01).interval(0.95)
    assert low < by_test_alone[0]
    assert high > by_test_alone[1]


def width(entries: list[tuple[str, Rate]]) -> float:
    low, high = expected_interval(entries)
    return (high - low) / sum(rate.n_normal for _, rate in entries)


def test_seeds_that_share_test_pictures_narrow_the_interval_less_than_classes_do() -> None:
    rate = make_rate()
    one, seeds = width([("x", rate)]), width([("x", rate)] * 3)
    classes = width([("x", rate), ("y", rate), ("z", rate)])
    assert classes == pytest.approx(one / np.sqrt(3), rel=0.1)
    assert classes < 0.97 * seeds
    assert seeds < one


def test_seeds_of_one_limit_that_flag_the_same_pictures_are_counted_each() -> None:
    # With so many calibration scores the limit is all but known: the shared pictures remain.
    rate = make_rate(n=10_000_000, m=1_000)
    wanted = 3 * np.array(binom(1_000, 0.01).interval(0.95))
    assert expected_interval([("x", rate)] * 3) == pytest.approx(wanted, abs=3)


@given(n=st.integers(20, 20_000))
def test_the_share_beyond_a_limit_is_that_of_the_rule(n: int) -> None:
    rate = make_rate(n=n, fpr=0.05)
    rank = build_rule("conformal(0.05)").rank(n)  # type: ignore[attr-defined]
    assert _coverage(rate) == (n + 1 - rank, rank)


def test_counts_are_pooled_over_the_fits_of_a_row() -> None:
    results = [make_result(str(s), seed=s, rates=[make_rate(flagged=100 + s)]) for s in range(3)]
    (found,) = pool(results)
    assert (found.flagged, found.n_normal, found.fits) == (303, 30_000, 3)
    assert found.low < found.rate < found.high
    assert found.verdict == "within"


@pytest.mark.parametrize(("flagged", "verdict"), [(20, "below"), (400, "above")])
def test_a_rate_outside_its_interval_is_called_so(flagged: int, verdict: str) -> None:
    (found,) = pool([make_result(rates=[make_rate(flagged=flagged)])])
    assert found.verdict == verdict


def test_refused_fits_are_counted_apart() -> None:
    refused = make_rate(n=50, flagged=0).model_copy(update={"refused": "needs 99"})
    (found,) = pool([make_result("a", rates=[make_rate()]), make_result("b", rates=[refused])])
    assert (found.refused, found.fits, found.n_normal, found.why) == (1, 2, 10_000, "needs 99")
    assert found.n_calibration == (600, 600)
    (found,) = pool([make_result("b", rates=[refused])])
    assert (found.refused, found.fits, found.n_normal) == (1, 1, 0)
