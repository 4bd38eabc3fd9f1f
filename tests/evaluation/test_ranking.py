from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score, roc_curve

from residua.errors import InputError
from residua.evaluation.estimate import resampled_counts
from residua.evaluation.ranking import (
    METRICS,
    _figures,
    _ranked,
    auroc_difference,
    best_f1_threshold,
    rank_metrics,
    roc_band,
)

TRUTH = np.array([0, 0, 0, 0, 1, 1], bool)
SCORES = np.array([0.1, 0.2, 0.3, 0.6, 0.5, 0.9])


@st.composite
def labelled_scores(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    n = draw(st.integers(2, 40))
    truth = np.array(draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    truth[:2] = [False, True]
    # Few distinct values, so that ties are common.
    scores = draw(st.lists(st.integers(-3, 3), min_size=n, max_size=n))
    return truth, np.array(scores, float)


def test_a_case_counted_by_hand() -> None:
    found = rank_metrics(TRUTH, SCORES)
    assert found["auroc"].value == pytest.approx(7 / 8)
    # 0.9 first of all: precision 1; 0.5 third: precision 2/3.
    assert found["average_precision"].value == pytest.approx((1 + 2 / 3) / 2)
    assert found["best_f1"].value == pytest.approx(2 * 2 / (3 + 2))
    assert found["fpr_at_95_tpr"].value == pytest.approx(1 / 4)


@given(labelled_scores())
@settings(max_examples=60, deadline=None)
def test_the_bootstraps_own_arithmetic_is_scikit_learns(
    data: tuple[np.ndarray, np.ndarray],
) -> None:
    truth, scores = data
    ranked = _ranked(truth, scores)
    own = dict(zip(METRICS, _figures(ranked, np.ones((1, len(truth))))[:, 0], strict=True))
    fpr, tpr, _ = roc_curve(truth, scores, drop_intermediate=False)
    assert own["auroc"] == pytest.approx(roc_auc_score(truth, scores))
    assert own["average_precision"] == pytest.approx(average_precision_score(truth, scores))
    assert own["best_f1"] == pytest.approx(
        max(f1_score(truth, scores >= limit) for limit in np.unique(scores))
    )
    assert own["fpr_at_95_tpr"] == pytest.approx(fpr[np.argmax(tpr >= 0.95)])


@given(labelled_scores())
@settings(max_examples=20, deadline=None)
def test_a_weight_of_two_is_a_picture_given_twice(data: tuple[np.ndarray, np.ndarray]) -> None:
    truth, scores = data
    weights = 1.0 + np.arange(len(truth)) % 2
    ranked = _ranked(truth, scores)
    twice = np.repeat(np.arange(len(truth)), weights.astype(int))
    again = _ranked(truth[twice], scores[twice])
    np.testing.assert_allclose(
        _figures(ranked, weights[None, ranked.order])[:, 0],
        _figures(again, np.ones((1, len(twice))))[:, 0],
    )


def test_every_resample_keeps_the_size_of_each_stratum() -> None:
    strata = np.array([0, 1, 1, 0, 0])
    counts = np.concatenate(list(resampled_counts(strata, 50, seed=3)))
    assert counts.shape == (50, 5)
    assert (counts[:, strata == 0].sum(1) == 3).all()
    assert (counts[:, strata == 1].sum(1) == 2).all()
    assert len(np.unique(counts, axis=0)) > 10


def test_the_interval_covers_the_true_auroc_about_nineteen_times_in_twenty() -> None:
    from math import erf

    truth = np.repeat([False, True], [60, 40])
    true_auroc = 0.5 * (1 + erf(1 / 2))  # of normal scores one standard deviation apart
    covered = 0
    for seed in range(200):
        scores = np.random.default_rng(seed).normal(size=100) + truth
        interval = rank_metrics(truth, scores, n_resamples=300, seed=seed)["auroc"]
        covered += interval.low <= true_auroc <= interval.high
    assert 0.88 <= covered / 200 <= 0.99


def test_one_seed_gives_one_interval() -> None:
    rng = np.random.default_rng(0)
    truth, scores = rng.random(90) < 0.5, rng.random(90)
    assert rank_metrics(truth, scores, seed=1) == rank_metrics(truth, scores, seed=1)
    assert rank_metrics(truth, scores, seed=1) != rank_metrics(truth, scores, seed=2)


def test_equal_scores_are_a_coin_toss() -> None:
    found = rank_metrics(TRUTH, np.ones(6))
    assert found["auroc"].value == found["auroc"].low == found["auroc"].high == 0.5


def test_the_difference_of_a_score_with_itself_is_nothing() -> None:
    found = auroc_difference(TRUTH, SCORES, SCORES)
    assert (found.low, found.value, found.high) == (0, 0, 0)


def test_the_difference_sees_which_score_is_better() -> None:
    rng = np.random.default_rng(0)
    truth = rng.random(400) < 0.5
    good, bad = rng.normal(size=400) + 2 * truth, rng.normal(size=400)
    found = auroc_difference(truth, good, bad)
    assert found.low > 0.2
    assert found.value == pytest.approx(roc_auc_score(truth, good) - roc_auc_score(truth, bad))


def test_the_best_threshold_gives_the_best_f1() -> None:
    best, threshold = best_f1_threshold(TRUTH, SCORES)
    assert threshold == 0.5
    assert f1_score(TRUTH, threshold <= SCORES) == pytest.approx(best)


def test_the_band_holds_the_curve() -> None:
    rng = np.random.default_rng(0)
    truth = rng.random(300) < 0.4
    scores = rng.normal(size=300) + truth
    band = roc_band(truth, scores)
    fpr, tpr, _ = roc_curve(truth, scores)
    curve = np.interp(band.fpr, fpr, tpr)
    assert (band.low <= curve + 0.02).all()
    assert (band.high >= curve - 0.02).all()
    assert (band.high - band.low)[50] > 0.01


@pytest.mark.parametrize(
    ("truth", "scores", "said"),
    [
        ([0, 0], [1, 2], "all 2 pictures are normal"),
        ([1, 1], [1, 2], "all 2 pictures are anomalous"),
        ([0, 1], [1, np.nan], "NaN or infinite"),
        ([0, 1, 1], [1, 2], "3 labels and 2 scores"),
    ],
)
def test_what_cannot_be_ranked_is_refused(truth: list, scores: list, said: str) -> None:
    with pytest.raises(InputError, match=said):
        rank_metrics(np.array(truth, bool), scores)
