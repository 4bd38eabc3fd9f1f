from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from residua import AutoencoderDetector
from residua.refinement.objective import SelectionSet, auroc, judge, measure


def test_auroc_counts_pairs_in_the_right_order() -> None:
    assert auroc(np.array([1.0, 2]), np.array([3.0, 2])) == (2 + 1.5) / 4


@pytest.fixture(scope="module")
def selection(blobs: NDArray[np.uint8]) -> SelectionSet:
    return SelectionSet.of(blobs[:30, ..., None], seed=0)


def raw_errors(detector: AutoencoderDetector, images: NDArray[np.uint8]) -> NDArray[np.float64]:
    return np.square(images / 255 - detector.reconstruct(images)).mean((1, 2, 3))


def test_every_pair_is_measured_on_the_same_reconstructions(
    detector: AutoencoderDetector, selection: SelectionSet
) -> None:
    pairs = [("squared", "mean"), ("absolute", "max(2)")]
    found = measure(detector.model_, selection, pairs)
    assert [evaluation.pair for evaluation in found.evaluations] == pairs
    first = found.evaluations[0]
    part = selection.anomalies[0]
    expected = auroc(raw_errors(detector, selection.normal), raw_errors(detector, part.images))
    assert first.per_kind[part.kind] == pytest.approx(expected, abs=1e-6)
    assert first.auroc == pytest.approx(np.mean(list(first.per_kind.values())))


def test_the_error_is_that_of_the_normal_pictures(
    detector: AutoencoderDetector, selection: SelectionSet
) -> None:
    found = measure(detector.model_, selection, [("squared", "mean")])
    assert found.normal_mse == pytest.approx(raw_errors(detector, selection.normal).mean())


def test_a_score_is_judged_as_the_detector_scores_and_flags(
    detector: AutoencoderDetector, selection: SelectionSet
) -> None:
    assert detector.scoring == "surprise"
    (found,) = judge(detector.model_, selection, [(detector.graph_.score, detector.threshold_)])
    normal = detector.anomaly_scores(selection.normal)
    parts = {part.kind: detector.anomaly_scores(part.images) for part in selection.anomalies}
    for kind, scores in parts.items():
        assert found.per_kind[kind] == pytest.approx(auroc(normal, scores), abs=1e-6)
    assert found.normal == (normal > detector.threshold_.upper).mean()
    shares = [(scores > detector.threshold_.upper).mean() for scores in parts.values()]
    assert found.anomalous == pytest.approx(np.mean(shares))
    assert found.auroc == pytest.approx(np.mean(list(found.per_kind.values())))


def test_a_part_is_smaller_and_has_every_kind(selection: SelectionSet) -> None:
    part = selection.part(10)
    assert len(part.normal) == 10
    assert [p.kind for p in part.anomalies] == [p.kind for p in selection.anomalies]
    assert sum(len(p.images) for p in part.anomalies) < 25
