from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from quality import measure as measure_module
from quality.measure import AHEAD, LIMITS, measure, rate_of
from quality.protocols import Pictures
from residua.scoring.thresholds import build_rule

from .conftest import SPEC, FakeDetector, make_pictures

NOWHERE = Path("no-backbone.onnx")


def test_ranks_and_default_verdicts_are_those_of_the_scores() -> None:
    pictures = make_pictures()
    detector = FakeDetector()
    found = measure(detector, pictures, backbone=NOWHERE, seed=0)
    (batch,) = pictures.test.batches(SPEC, len(pictures.test))
    scores, truth = detector.score_batch(batch.images).scores, pictures.anomalous
    flagged = scores > np.percentile(detector.calibration_scores_, 99)
    assert found.measured == {
        "auroc": pytest.approx(roc_auc_score(truth, scores)),
        "tpr": pytest.approx(flagged[truth].mean()),
        "fpr": pytest.approx(flagged[~truth].mean()),
    }
    assert found.threshold == "percentile(99)"
    strict = np.sort(detector.calibration_scores_)[-2]
    assert found.rates[0].flagged == (scores[~truth] > strict).sum()
    assert found.rates[0].n_normal == 60


def test_a_fit_that_was_interrupted_is_no_result() -> None:
    detector = FakeDetector()
    detector.interrupted_ = True
    with pytest.raises(KeyboardInterrupt):
        measure(detector, make_pictures(), backbone=NOWHERE, seed=0)


def test_masks_add_how_well_the_place_is_found() -> None:
    found = measure(FakeDetector(), make_pictures(masks=True), backbone=NOWHERE, seed=0)
    assert found.measured["pixel_auroc"] == pytest.approx(1, abs=0.01)


def test_limits_are_fitted_on_calibration_scores_and_counted_on_unseen_normal_ones() -> None:
    calibration = np.arange(1.0, 100.0)
    normal = np.array([5.0, 98.5, 99.0, 99.5, 200.0])
    strict, lax = (rate_of(f"conformal({fpr})", calibration, normal) for fpr in (0.01, 0.05))
    # Of 99 scores the greatest promises 1 %, and the fifth greatest 5 %.
    assert (strict.flagged, strict.n_normal, strict.n_calibration) == (2, 5, 99)
    assert (lax.flagged, lax.promised) == (4, 0.05)
    assert strict.refused is None


def test_a_limit_that_needs_more_scores_is_recorded_as_refused() -> None:
    found = rate_of("conformal(0.01)", np.arange(50.0), np.arange(10.0))
    assert found.refused is not None
    assert "99" in found.refused
    assert (found.flagged, found.promised) == (0, 0.01)


def test_the_detector_is_ahead_by_its_auroc_less_that_of_the_best_baseline() -> None:
    found = measure(
        FakeDetector(),
        make_pictures(),
        baselines=["gradient energy", "pca"],
        backbone=NOWHERE,
        seed=0,
    )
    assert set(found.baselines) == {"gradient energy", "pca"}
    best = max(found.baselines.values())
    assert found.measured[AHEAD] == pytest.approx(found.measured["auroc"] - best)
    # A light corner has an edge.
    assert found.baselines["gradient energy"] == 1


def test_no_weak_baseline_makes_the_detector_be_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        measure_module,
        "BASELINES",
        {
            "truth": lambda setting: setting.pictures.anomalous.astype(float),
            "nothing": lambda setting: np.zeros(len(setting.scored)),
        },
    )
    pictures = make_pictures()
    for order in (["truth", "nothing"], ["nothing", "truth"]):
        found = measure(FakeDetector(), pictures, baselines=order, backbone=NOWHERE, seed=0)
        assert found.baselines == {"truth": 1, "nothing": 0.5}
        assert found.measured[AHEAD] == pytest.approx(found.measured["auroc"] - 1)


def test_single_scores_are_ranked_beside_the_detectors_own() -> None:
    def darkness(detector: FakeDetector, pictures: Pictures) -> dict[str, NDArray[np.float64]]:
        (batch,) = pictures.test.batches(SPEC, len(pictures.test))
        return {"darkness": -batch.images.mean((1, 2, 3))}

    found = measure(FakeDetector(), make_pictures(), backbone=NOWHERE, seed=0, singles=darkness)
    assert found.other_scores["darkness"] < 0.1


def test_each_rule_of_the_table_states_the_rate_it_promises() -> None:
    assert [build_rule(limit).promised_rate for limit in LIMITS] == [0.01, 0.05]
