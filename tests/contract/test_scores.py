"""What every score must satisfy: one number from torch, ONNX Runtime and a loaded model."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from residua import AutoencoderDetector, BundleScorer, load
from residua.models import MODELS
from residua.scoring.names import SCORES, SURPRISE


def fitted(pictures: NDArray[np.uint8], **settings: Any) -> AutoencoderDetector:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return AutoencoderDetector(**{"on_failed_fit": "warn", "epochs": 4, **settings}).fit(
            pictures
        )


def assert_agree(score: str, found: Any, expected: Any) -> None:
    """Surprise counts in standard deviations, so that 0 is no small value; the others have none."""
    scale = {"atol": 1e-5, "rtol": 0} if score == SURPRISE else {"rtol": 1e-5}
    np.testing.assert_allclose(found, expected, **scale)


@pytest.fixture(scope="module")
def small(blobs: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return blobs[:40, 2:14, 2:14]


@pytest.fixture(scope="module")
def foreign(small: NDArray[np.uint8], stripes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Pictures seen in training, of another kind, and without content, one a channel."""
    plain = np.stack([np.full((12, 12), level, np.uint8) for level in (0, 128, 255)])
    return np.concatenate([small, stripes[:, 2:14, 2:14], plain])


@pytest.mark.parametrize("score", [*SCORES, "knn(7)"])
def test_torch_onnx_runtime_and_a_loaded_model_give_one_score(
    score: str, small: NDArray[np.uint8], foreign: NDArray[np.uint8], tmp_path: Path
) -> None:
    detector = fitted(small, scoring=score)
    by_torch = detector.anomaly_scores(foreign)
    assert np.isfinite(by_torch).all()
    path = detector.save(tmp_path / "m.residua")
    by_onnx = [verdict.score for verdict in BundleScorer(path).verdicts(foreign)]
    assert_agree(score, by_onnx, by_torch)
    loaded = load(path)
    assert np.array_equal(loaded.anomaly_scores(foreign), by_torch)
    again = load(loaded.save(tmp_path / "again.residua"))
    assert np.array_equal(again.anomaly_scores(foreign), by_torch)
    assert again.get_params()["scoring"] == score


@pytest.mark.parametrize("model", MODELS)
def test_the_default_score_agrees_for_every_network(
    model: str, small: NDArray[np.uint8], foreign: NDArray[np.uint8], tmp_path: Path
) -> None:
    # Long enough that codes differ: of nearly equal ones float32 has few digits of the difference.
    detector = fitted(small, model=model, epochs=8)
    scorer = BundleScorer(detector.save(tmp_path / "m.residua"))
    by_onnx = [verdict.score for verdict in scorer.verdicts(foreign)]
    assert_agree(SURPRISE, by_onnx, detector.anomaly_scores(foreign))


@pytest.mark.parametrize("score", SCORES)
def test_colour_and_sides_that_differ_are_scored(score: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (24, 5, 4, 3), dtype=np.uint8).repeat(3, 1).repeat(2, 2)
    detector = fitted(pictures, scoring=score, epochs=1)
    scorer = BundleScorer(detector.save(tmp_path / "m.residua"))
    by_onnx = [verdict.score for verdict in scorer.verdicts(pictures)]
    assert_agree(score, by_onnx, detector.anomaly_scores(pictures))
