from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from residua.advice.calibration import drift, enough_for_threshold
from residua.advice.intervals import order_statistic_interval

RNG = np.random.default_rng(0)


def test_few_calibration_pictures_for_a_low_rate_are_reported(study_of: Any, noise: Any) -> None:
    study = study_of(noise(30), calibration=RNG.random(60), rule="percentile(99)")
    found = enough_for_threshold(study)
    assert found.severity == "advice"
    needed = int(found.numbers["needed"])
    assert order_statistic_interval(needed, 99).high <= 0.015
    assert order_statistic_interval(needed * 9 // 10, 99).high > 0.015


def test_enough_calibration_pictures_are_fine(study_of: Any, noise: Any) -> None:
    study = study_of(noise(30), calibration=RNG.random(5000), rule="percentile(95)")
    assert enough_for_threshold(study).severity == "fine"


def test_a_rate_far_above_the_promise_is_a_warning(study_of: Any, noise: Any) -> None:
    study = study_of(
        noise(200),
        calibration=RNG.random(2000),
        rule="percentile(95)",
        scores=np.where(np.arange(200) < 60, 2.0, 0.1),
        anomalous=np.zeros(200),
    )
    found = enough_for_threshold(study)
    assert found.severity == "warning"
    assert found.numbers["measured"] == 0.3


def test_skewed_scores_speak_against_the_z_score(study_of: Any, noise: Any) -> None:
    study = study_of(noise(30), calibration=RNG.exponential(1, 500), rule="zscore(3)")
    found = enough_for_threshold(study)
    assert found.severity == "advice"
    assert "conformal" in found.action


def test_a_conformal_promise_is_looked_at_as_a_percentile_is(study_of: Any, noise: Any) -> None:
    study = study_of(noise(30), calibration=RNG.random(99), rule="conformal(0.01)")
    found = enough_for_threshold(study)
    assert found.severity == "advice"
    assert found.numbers["promised"] == 0.01
    # The highest of 99 scores: a new one exceeds it once in a hundred times.
    assert found.numbers["expected"] == pytest.approx(0.01)
    assert "--threshold 'conformal(0.1)'" in found.action


def test_skewed_scores_do_not_speak_against_a_tail(study_of: Any, noise: Any) -> None:
    study = study_of(noise(30), calibration=RNG.exponential(1, 500), rule="tail(0.001)")
    found = enough_for_threshold(study)
    assert found.severity == "fine"
    assert "promises 0.1" in found.evidence


def test_normally_distributed_scores_suit_the_z_score(study_of: Any, noise: Any) -> None:
    study = study_of(noise(30), calibration=RNG.normal(5, 1, 2000), rule="zscore(3)")
    assert enough_for_threshold(study).severity == "fine"


def test_scores_that_moved_are_drift(study_of: Any, noise: Any) -> None:
    study = study_of(
        noise(200),
        calibration=RNG.random(1000),
        scores=RNG.random(200) * 0.6 + 0.4,
        anomalous=np.zeros(200),
    )
    found = drift(study)
    assert found.severity == "warning"
    assert "higher" in found.title


def test_negative_scores_that_rise_are_higher(study_of: Any, noise: Any) -> None:
    # Medians of -1 and -0.2: a quotient of them would say that the scores fell.
    study = study_of(
        noise(200),
        calibration=RNG.normal(-1, 0.5, 1000),
        scores=RNG.normal(-0.2, 0.5, 200),
        anomalous=np.zeros(200),
    )
    found = drift(study)
    assert "score higher" in found.title
    assert found.numbers["median_shift"] == pytest.approx(1.6, abs=0.3)


def test_scores_like_those_of_calibration_are_no_drift(study_of: Any, noise: Any) -> None:
    study = study_of(noise(300), calibration=RNG.random(1000), scores=RNG.random(300))
    assert drift(study).severity == "fine"


def test_most_pictures_flagged_without_truth_is_a_warning(study_of: Any, noise: Any) -> None:
    scores = np.where(np.arange(300) < 200, 3.0, RNG.random(300) * 0.9)
    found = drift(study_of(noise(300), calibration=RNG.random(1000), scores=scores))
    assert found.severity == "warning"


def test_too_few_scores_for_drift_are_said(study_of: Any, noise: Any) -> None:
    assert not drift(study_of(noise(8))).made
