"""Precision and recall against hand-computed cases, simulation and the edges."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from residua.service.schemas import Quality
from residua.service.store.quality import Verdicts, quality_of_all, quality_of_random

few = st.integers(0, 30)
NOTHING = Verdicts()


def verdicts(tp: int = 0, fp: int = 0, tn: int = 0, fn: int = 0) -> Verdicts:
    return Verdicts(tp, fp, tn, fn)


def at_random(given: Verdicts, flagged: int, passed: int) -> Quality:
    return quality_of_random(given, flagged=flagged, passed=passed, otherwise=NOTHING)


def test_counts_are_read_by_verdict_and_whether_it_was_right() -> None:
    counts = {(True, True): 1, (True, False): 2, (False, True): 3, (False, False): 4}
    assert Verdicts.of(counts) == Verdicts(
        true_positives=1, false_positives=2, true_negatives=3, false_negatives=4
    )


def test_the_figures_are_those_computed_by_hand() -> None:
    # 8 of 10 flagged are anomalous, and 1 of 20 passed.
    found = at_random(verdicts(tp=8, fp=2, tn=19, fn=1), flagged=100, passed=1000)
    assert found.precision is not None
    assert found.recall is not None
    assert found.precision.value == 0.8
    assert found.recall.value == pytest.approx(100 * 0.8 / (100 * 0.8 + 1000 * 0.05))
    assert found.caveat is None
    # Beta(8.5, 2.5) at 2.5 and 97.5 %, from tables.
    assert found.precision.low == pytest.approx(0.502, abs=0.01)
    assert found.precision.high == pytest.approx(0.954, abs=0.01)


def test_on_all_the_recall_is_that_of_the_reviewed() -> None:
    found = quality_of_all(verdicts(tp=8, fp=2, tn=19, fn=2), passed=1000, uncertain=0)
    assert found.recall is not None
    assert found.recall.value == pytest.approx(8 / 10)


def test_weights_matter_only_where_the_strata_were_reviewed_unequally() -> None:
    counts = verdicts(tp=8, fp=2, tn=19, fn=1)
    as_they_are = quality_of_all(counts, passed=20, uncertain=0)
    assert at_random(counts, flagged=10, passed=20) == as_they_are
    assert at_random(counts, flagged=10, passed=200).recall != as_they_are.recall


@given(few, few, few, few, few, few)
def test_each_interval_lies_in_0_to_1_and_holds_its_figure(
    tp: int, fp: int, tn: int, fn: int, more_flagged: int, more_passed: int
) -> None:
    counts = verdicts(tp, fp, tn, fn)
    found = at_random(counts, counts.flagged + more_flagged, counts.passed + more_passed)
    assert (found.precision is None) == (counts.flagged == 0)
    # Whatever cannot be told has its reason.
    assert found.caveat or (found.precision and found.recall)
    for rate in (found.precision, found.recall):
        if rate is not None:
            assert 0 <= rate.low <= rate.value <= rate.high <= 1
            assert rate.low < rate.high


def test_none_of_twenty_is_no_certainty() -> None:
    found = at_random(verdicts(tp=20, tn=20), flagged=20, passed=20)
    assert found.precision is not None
    assert found.recall is not None
    assert (found.precision.value, found.recall.value) == (1.0, 1.0)
    assert found.precision.low < 0.95
    assert found.recall.low < 0.95


def test_the_same_counts_give_the_same_figures() -> None:
    counts = verdicts(5, 4, 3, 2)
    assert at_random(counts, 50, 60) == at_random(counts, 50, 60)


@pytest.mark.parametrize(
    ("counts", "flagged", "passed", "precision", "recall", "word"),
    [
        (NOTHING, 0, 0, False, False, "yet"),
        (NOTHING, 9, 9, False, False, "yet"),
        (verdicts(tn=3, fn=1), 9, 9, False, False, "No flagged picture"),
        (verdicts(tp=3, fp=1), 9, 9, True, False, "No passed picture has been"),
        (verdicts(tp=3, fp=1), 9, 0, True, False, "No passed picture is kept"),
        (verdicts(fp=3, tn=3), 9, 9, True, False, "is anomalous"),
        (verdicts(fp=3, fn=3), 9, 9, True, True, None),
    ],
)
def test_what_cannot_be_told_is_none_with_its_reason(
    counts: Verdicts, flagged: int, passed: int, precision: bool, recall: bool, word: str | None
) -> None:
    for found in (
        at_random(counts, flagged, passed),
        quality_of_all(counts, passed=passed, uncertain=0),
    ):
        assert (found.precision is not None, found.recall is not None) == (precision, recall)
        assert found.caveat is None if word is None else word in (found.caveat or "")


def test_a_biased_sample_is_called_one() -> None:
    counts = verdicts(5, 5, 5, 5)
    assert "uncertain" in (quality_of_all(counts, passed=10, uncertain=11).caveat or "")
    assert quality_of_all(counts, passed=10, uncertain=10).caveat is None


def test_pictures_that_could_not_come_up_at_random_are_mentioned() -> None:
    counts = verdicts(5, 5, 5, 5)
    some = quality_of_random(counts, flagged=100, passed=100, otherwise=verdicts(fp=6))
    hardly_any = quality_of_random(counts, flagged=100, passed=100, otherwise=verdicts(fp=5))
    assert "another order" in (some.caveat or "")
    assert hardly_any.caveat is None


def test_the_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    rng = np.random.default_rng(7)
    flagged = np.arange(2000) < 300
    anomalous = np.where(flagged, rng.random(2000) < 0.6, rng.random(2000) < 0.05)
    truth = (anomalous[flagged].mean(), flagged[anomalous].mean())
    held = np.zeros(2)
    for _ in range(200):
        of_flagged = rng.choice(anomalous[flagged], 60, replace=False)
        of_passed = rng.choice(anomalous[~flagged], 150, replace=False)
        found = at_random(
            verdicts(
                tp=int(of_flagged.sum()),
                fp=int((~of_flagged).sum()),
                tn=int((~of_passed).sum()),
                fn=int(of_passed.sum()),
            ),
            flagged=300,
            passed=1700,
        )
        assert found.precision is not None
        assert found.recall is not None
        rates = (found.precision, found.recall)
        held += [rate.low <= true <= rate.high for rate, true in zip(rates, truth, strict=True)]
    # Samples of a finite store vary less than the intervals allow for.
    assert (held >= 185).all()
