"""What every engine must satisfy: the scores of ONNX Runtime, for every network and score."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from residua import AutoencoderDetector, BundleScorer
from residua.bundle import open_bundle
from residua.engines.base import Load, Precision, deviation
from residua.engines.opening import open_default, spread_of
from residua.engines.registry import DEFAULT, ENGINES
from residua.models import MODELS
from residua.scoring.names import SCORES

ONE = Load(threads=1, at_once=1)
OTHERS = [name for name in ENGINES if name != DEFAULT]


def saved(pictures: NDArray[np.uint8], path: Path, model: str, **settings: Any) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        detector = AutoencoderDetector(model, epochs=2, on_failed_fit="warn", **settings)
        return detector.fit(pictures).save(path)


@pytest.fixture(scope="module")
def small(blobs: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return blobs[:40, 2:14, 2:14]


@pytest.fixture(scope="module")
def mixed(small: NDArray[np.uint8], stripes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.concatenate([small, stripes[:, 2:14, 2:14]])


def assert_engines_agree(
    bundle: Path, pictures: NDArray[np.uint8], precision: Precision, tolerance: float
) -> None:
    reference = BundleScorer(bundle, engine=DEFAULT)
    expected = reference.anomaly_scores(pictures)
    spread = float(reference.calibration_scores.std())
    for engine in OTHERS:
        scorer = BundleScorer(bundle, engine=engine, precision=precision)
        found = scorer.anomaly_scores(pictures)
        assert deviation(found, expected, spread) <= tolerance, engine


# A replaced engine gives a warning, which is an error here.
@pytest.mark.parametrize("model", MODELS)
def test_every_network_scores_the_same_in_float32(
    model: str, small: NDArray[np.uint8], mixed: NDArray[np.uint8], tmp_path: Path
) -> None:
    bundle = saved(small, tmp_path / "m.residua", model, scoring="error")
    assert_engines_agree(bundle, mixed, "float32", 1e-5)


@pytest.mark.parametrize("score", SCORES)
def test_every_score_is_the_same_in_float32(
    score: str, small: NDArray[np.uint8], mixed: NDArray[np.uint8], tmp_path: Path
) -> None:
    bundle = saved(small, tmp_path / "m.residua", "conv", scoring=score)
    assert_engines_agree(bundle, mixed, "float32", 1e-5)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("engine", OTHERS)
def test_errors_in_bf16_are_near_those_in_float32(
    engine: str, model: str, small: NDArray[np.uint8], mixed: NDArray[np.uint8], tmp_path: Path
) -> None:
    bundle = open_bundle(saved(small, tmp_path / "m.residua", model, scoring="error"))
    images = mixed[..., None]
    scored = ENGINES[engine].open(bundle, ONE, "bf16")(images)
    expected = open_default(bundle, ONE)(images)
    # What is further away than TOLERANCE allows is not used; what is this far is no rounding.
    assert deviation(scored.scores, expected.scores, spread_of(bundle)) < 0.05


@pytest.mark.parametrize("engine", OTHERS)
def test_maps_reconstructions_and_codes_agree_too(
    engine: str, bundle: Path, blobs: NDArray[np.uint8]
) -> None:
    images = blobs[:7, ..., None]
    expected = BundleScorer(bundle, engine=DEFAULT).score_batch(images)
    found = BundleScorer(bundle, engine=engine).score_batch(images)
    for name, one, other in zip(found._fields, found, expected, strict=True):
        assert one.dtype == other.dtype, name
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-4, err_msg=name)
