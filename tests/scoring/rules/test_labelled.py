from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import f1_score, roc_curve

from residua.errors import InputError, TooFewImages
from residua.scoring.rules.labelled import BestF1, LabelledRule, Youden
from residua.scoring.thresholds import LABELLED_RULES, Threshold, any_rule

RNG = np.random.default_rng(0)
NORMAL, ANOMALOUS = RNG.gamma(4, 1, 300), RNG.gamma(4, 1, 40) + 3
TIED = arrays(np.float64, st.integers(2, 40), elements=st.integers(0, 8).map(float))


def truth_and_scores(normal: np.ndarray, anomalous: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.repeat([False, True], [normal.size, anomalous.size]), np.r_[normal, anomalous]


def fitted(rule: LabelledRule, normal: np.ndarray, anomalous: np.ndarray) -> Threshold | None:
    try:
        return rule.fit(normal, anomalous)
    except InputError:
        return None


@given(TIED, TIED)
def test_no_other_limit_that_tells_apart_has_a_higher_f1(
    normal: np.ndarray, anomalous: np.ndarray
) -> None:
    limits = fitted(BestF1(), normal, anomalous)
    if limits is None:
        return
    truth, scores = truth_and_scores(normal, anomalous)
    fpr, tpr, limit = roc_curve(truth, scores, drop_intermediate=False)
    found = [f1_score(truth, scores >= at) for at in limit[tpr > fpr]]
    assert f1_score(truth, limits.is_anomalous(scores)) == pytest.approx(max(found))


def test_where_most_are_anomalous_a_limit_is_found_that_flags_not_all() -> None:
    rng = np.random.default_rng(0)
    normal, anomalous = rng.normal(size=10), rng.normal(1, size=200)
    limits = BestF1().fit(normal, anomalous)
    assert not limits.is_anomalous(normal).all()
    assert limits.is_anomalous(anomalous).mean() > limits.is_anomalous(normal).mean()


@given(TIED, TIED)
def test_no_other_limit_has_a_higher_youden_index(
    normal: np.ndarray, anomalous: np.ndarray
) -> None:
    truth, scores = truth_and_scores(normal, anomalous)
    fpr, tpr, _ = roc_curve(truth, scores)
    limits = fitted(Youden(), normal, anomalous)
    if limits is None:
        assert (tpr - fpr).max() == 0
        return
    gained = limits.is_anomalous(anomalous).mean() - limits.is_anomalous(normal).mean()
    assert gained == pytest.approx((tpr - fpr).max())


@pytest.mark.parametrize("name", LABELLED_RULES)
def test_the_limit_lies_between_two_kinds_that_are_apart(name: str) -> None:
    limits = any_rule(name).fit([1.0, 2.0], [4.0, 9.0])
    assert limits.upper == 3


@pytest.mark.parametrize("name", LABELLED_RULES)
def test_the_threshold_says_that_it_saw_anomalies(name: str) -> None:
    limits = any_rule(name).fit(NORMAL, ANOMALOUS)
    assert limits.rule == name
    assert (limits.n_normal, limits.n_anomalous) == (300, 40)
    assert Threshold.model_validate_json(limits.model_dump_json()) == limits


@pytest.mark.parametrize("name", LABELLED_RULES)
def test_anomalies_that_score_no_higher_are_refused(name: str) -> None:
    with pytest.raises(InputError, match="score no higher"):
        any_rule(name).fit([5.0, 6.0], [1.0, 2.0])


@pytest.mark.parametrize("name", LABELLED_RULES)
def test_identical_scores_are_refused(name: str) -> None:
    with pytest.raises(InputError, match="score no higher"):
        any_rule(name).fit([1.0] * 20, [1.0] * 5)


@pytest.mark.parametrize(("normal", "anomalous"), [([1.0], [2.0]), ([1.0, 2.0], [])])
def test_too_few_are_refused(normal: list[float], anomalous: list[float]) -> None:
    with pytest.raises(TooFewImages, match="at least 2 normal and 1 anomalous"):
        BestF1().fit(normal, anomalous)


def test_an_anomalous_score_that_is_not_finite_is_refused() -> None:
    with pytest.raises(InputError, match="an anomalous score is NaN"):
        Youden().fit([1.0, 2.0], [np.nan])


@pytest.mark.parametrize("low", [1.0, float(np.nextafter(1.0, 2.0))])
def test_neighbouring_floats_are_told_apart(low: float) -> None:
    high = float(np.nextafter(low, 2.0))
    assert Youden().fit([low, low], [high]).is_anomalous([low, high]).tolist() == [False, True]
