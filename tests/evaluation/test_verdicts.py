from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, f1_score, precision_score, recall_score

from residua.evaluation.verdicts import Confusion, class_rows, sweep, verdict_metrics


def metrics(tp: int, fn: int, fp: int, tn: int) -> tuple[dict, dict]:
    confusion = Confusion(
        true_positives=tp, false_negatives=fn, false_positives=fp, true_negatives=tn
    )
    return verdict_metrics(confusion, n_resamples=2_000, seed=0)


def test_the_figures_are_scikit_learns() -> None:
    rng = np.random.default_rng(0)
    truth, flagged = rng.random(200) < 0.3, rng.random(200) < 0.4
    confusion = Confusion.of(truth, flagged)
    found, missing = verdict_metrics(confusion, n_resamples=200, seed=0)
    assert not missing
    for name, score in {
        "precision": precision_score,
        "recall": recall_score,
        "f1": f1_score,
        "balanced_accuracy": balanced_accuracy_score,
    }.items():
        assert found[name].value == pytest.approx(score(truth, flagged)), name
    assert found["accuracy"].value == pytest.approx((truth == flagged).mean())
    assert found["false_positive_rate"].value == pytest.approx(flagged[~truth].mean())


def test_the_second_source_reports_matrix() -> None:
    found, _ = metrics(15, 14, 82, 373)
    assert found["recall"].value == pytest.approx(0.517, abs=5e-4)
    assert found["false_positive_rate"].value == pytest.approx(0.180, abs=5e-4)
    # 29 pictures say little: the interval of the recall is a third wide.
    assert found["recall"].high - found["recall"].low == pytest.approx(0.35, abs=0.03)


def test_none_flagged_of_twenty_is_not_certainty() -> None:
    found, _ = metrics(5, 0, 0, 20)
    assert found["false_positive_rate"].value == 0
    assert 0.08 < found["false_positive_rate"].high < 0.2
    assert found["recall"].low < 0.8


@pytest.mark.parametrize(
    ("counts", "missing"),
    [
        ((0, 0, 3, 7), {"precision", "recall", "f1", "accuracy", "balanced_accuracy"}),
        (
            (3, 7, 0, 0),
            {"precision", "f1", "accuracy", "balanced_accuracy", "false_positive_rate"},
        ),
        ((0, 4, 0, 6), {"precision"}),
    ],
)
def test_figures_that_the_counts_do_not_give_say_why(counts: tuple, missing: set) -> None:
    found, why = metrics(*counts)
    assert set(why) == missing
    assert not missing & set(found)
    assert all(why.values())


def test_the_sweep_counts_what_lies_above_each_limit() -> None:
    normal = np.arange(101, dtype=float)
    scores, truth = np.array([10.0, 76, 91, 99.5]), np.array([0, 0, 1, 1], bool)
    rows = {row.rule: row for row in sweep(normal, scores, truth)}
    row = rows["percentile(90)"]
    assert row.threshold == 90
    assert (row.flagged, row.true_positives, row.false_positives) == (2, 2, 0)
    assert (row.tpr, row.fpr, row.f1) == (1.0, 0.0, 1.0)
    assert rows["percentile(75)"].fpr == 0.5
    k = rows["zscore(1, two_sided=False)"]
    assert k.threshold == pytest.approx(normal.mean() + normal.std(ddof=1))


def test_the_sweep_without_truth_counts_only_the_flagged() -> None:
    rows = sweep(np.arange(10.0), np.arange(10.0), None)
    assert all(row.true_positives is None and row.tpr is None for row in rows)
    assert any(row.flagged for row in rows)


def test_classes_come_with_the_most_flagged_first() -> None:
    rows = class_rows(
        ["a", "b", "a", "c"],
        np.array([1.0, 5, 3, 2]),
        np.array([0, 1, 1, 0], bool),
        np.array([0, 1, 0, 0], bool),
    )
    assert [row.label for row in rows] == ["b", "a", "c"]
    assert rows[1].mean_score == 2
    assert rows[1].share_flagged == 0.5
    assert [row.anomalous for row in rows] == [True, False, False]
