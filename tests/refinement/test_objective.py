from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from residua import AutoencoderDetector
from residua.refinement.objective import SelectionSet, auroc, flagged, measure


def test_auroc_counts_pairs_in_the_right_order() -> None:
    assert auroc(np.array([1.0, 2]), np.array([3.0, 2])) == (2 + 1.5) / 4


@pytest.fixture(scope="module")
def selection(blobs: NDArray[np.uint8]) -> SelectionSet:
    return SelectionSet.of(blobs[:30, ..., None], seed=0)


def test_every_score_is_measured_on_the_same_reconstructions(
    detector: AutoencoderDetector, selection: SelectionSet
) -> None:
    scores = [("squared", "mean"), ("absolute", "max(2)")]
    found = measure(detector.model_, selection, scores)
    assert [evaluation.score for evaluation in found.evaluations] == scores
    first = found.evaluations[0]
    normal = detector.anomaly_scores(selection.normal)
    part = selection.anomalies[0]
    expected = auroc(normal, detector.anomaly_scores(part.images))
    assert first.per_kind[part.kind] == pytest.approx(expected, abs=1e-6)
    assert first.auroc == pytest.approx(np.mean(list(first.per_kind.values())))


def test_the_error_is_that_of_the_normal_pictures(
    detector: AutoencoderDetector, selection: SelectionSet
) -> None:
    found = measure(detector.model_, selection, [("squared", "mean")])
    assert found.normal_mse == pytest.approx(detector.anomaly_scores(selection.normal).mean())


def test_the_threshold_flags_what_the_detector_flags(
    detector: AutoencoderDetector, selection: SelectionSet
) -> None:
    found = flagged(detector.model_, selection, ("squared", "mean"), detector.threshold_)
    assert found.normal == (detector.predict(selection.normal) == -1).mean()
    assert found.balanced_accuracy == (found.anomalous + 1 - found.normal) / 2


def test_a_part_is_smaller_and_has_every_kind(selection: SelectionSet) -> None:
    part = selection.part(10)
    assert len(part.normal) == 10
    assert [p.kind for p in part.anomalies] == [p.kind for p in selection.anomalies]
    assert sum(len(p.images) for p in part.anomalies) < 25
