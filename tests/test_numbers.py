"""Numbers that hold: the same again, finite whatever the picture, and scikit-learn's where it has
them."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from residua import AutoencoderDetector, BundleScorer
from residua.errors import BadArray, IdenticalImages
from residua.images.preprocess import InputSpec, prepare_array
from residua.models import MODELS
from residua.scoring.errors import ERROR_MAPS, REDUCTIONS
from residua.scoring.names import SCORES


def fitted(pictures: NDArray[Any], **settings: Any) -> AutoencoderDetector:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return AutoencoderDetector(**{"on_failed_fit": "warn", "epochs": 1, **settings}).fit(
            pictures
        )


def extremes(height: int, width: int, channels: int = 1) -> NDArray[np.uint8]:
    """Black, white, grey, one pixel that differs, a checkerboard, noise of the two ends."""
    shape = (height, width, channels)
    plain = [np.full(shape, level, np.uint8) for level in (0, 1, 128, 254, 255)]
    lone = [np.zeros(shape, np.uint8), np.full(shape, 255, np.uint8)]
    lone[0][height // 2, width // 2], lone[1][0, 0] = 255, 0
    rows, columns = np.mgrid[:height, :width]
    board = np.repeat(((rows + columns) % 2 * 255)[..., None], channels, 2).astype(np.uint8)
    noise = np.random.default_rng(0).integers(0, 2, shape).astype(np.uint8) * 255
    return np.stack([*plain, *lone, board, noise])


def assert_all_finite(detector: AutoencoderDetector, pictures: NDArray[Any], path: Path) -> None:
    by_torch = detector.anomaly_scores(pictures)
    assert by_torch.shape == (len(pictures),)
    assert np.isfinite(by_torch).all()
    scorer = BundleScorer(detector.save(path), engine="onnxruntime")
    for scored in (scorer.score_batch(pictures), scorer.score_batch(pictures[:1])):
        for name, part in zip(scored._fields, scored, strict=True):
            assert np.isfinite(part).all(), name
    for verdict in scorer.verdicts(pictures):
        assert verdict.p is not None
        assert 0 < verdict.p <= 1


@pytest.fixture(scope="module")
def small(blobs: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return blobs[:40, 4:12, 4:12]


@pytest.mark.parametrize("model", MODELS)
def test_no_picture_makes_any_network_give_what_is_no_number(
    model: str, small: NDArray[np.uint8], tmp_path: Path
) -> None:
    assert_all_finite(fitted(small, model=model), extremes(8, 8), tmp_path / "m.residua")


@pytest.mark.parametrize("score", SCORES)
def test_no_picture_makes_any_score_give_what_is_no_number(
    score: str, small: NDArray[np.uint8], tmp_path: Path
) -> None:
    assert_all_finite(fitted(small, scoring=score), extremes(8, 8), tmp_path / "m.residua")


@pytest.mark.parametrize("error_map", ERROR_MAPS)
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_no_picture_makes_any_error_give_what_is_no_number(
    error_map: str, reduction: str, small: NDArray[np.uint8], tmp_path: Path
) -> None:
    detector = fitted(small, error_map=error_map, reduction=reduction, scoring="error")
    assert_all_finite(detector, extremes(8, 8), tmp_path / "m.residua")


@pytest.mark.parametrize("shape", [(8, 8, 1), (8, 120, 3), (200, 9, 1), (31, 17, 3)])
def test_the_least_and_the_most_uneven_sides_give_numbers(
    shape: tuple[int, int, int], tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (16, *shape), dtype=np.uint8)
    assert_all_finite(fitted(pictures), extremes(*shape), tmp_path / "m.residua")


def test_a_fit_that_saw_two_levels_only_scores_all_others(tmp_path: Path) -> None:
    pictures = np.repeat(np.array([0, 255], np.uint8), 20)[:, None, None] * np.ones(
        (8, 8), np.uint8
    )
    assert_all_finite(fitted(pictures.astype(np.uint8)), extremes(8, 8), tmp_path / "m.residua")


@pytest.mark.parametrize("level", [0, 97, 255])
def test_a_fit_on_equal_pictures_is_refused_by_name(level: int) -> None:
    with pytest.raises(IdenticalImages):
        AutoencoderDetector(epochs=1).fit(np.full((40, 8, 8), level, np.uint8))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_an_array_with_what_is_no_number_is_refused(bad: float, small: NDArray[np.uint8]) -> None:
    detector = fitted(small)
    pictures = np.full((2, 8, 8), 0.5)
    pictures[1, 3, 3] = bad
    with pytest.raises(BadArray):
        detector.anomaly_scores(pictures)


@pytest.mark.parametrize("dtype", [np.uint16, np.int32, np.float32, np.float64])
def test_the_ends_of_deeper_numbers_become_black_and_white(dtype: type[Any]) -> None:
    whole = np.issubdtype(dtype, np.integer)
    low, high = (np.iinfo(dtype).min, np.iinfo(dtype).max) if whole else (-3e38, 3e38)
    # A range whose length is no float any more is refused; half of it is not.
    spec = InputSpec(height=8, width=8, channels=1, value_range=(float(low) / 2, float(high) / 2))
    pictures = np.stack([np.full((8, 8), level, dtype) for level in (low, high)])
    found = prepare_array(pictures, spec)
    assert (found[0] == 0).all()
    assert (found[1] == 255).all()


_FIT = """
import hashlib, sys, warnings
import numpy as np
from residua import AutoencoderDetector
warnings.simplefilter("ignore")
pictures = np.load(sys.argv[1])
model = AutoencoderDetector(epochs=2, on_failed_fit="warn", random_state=3).fit(pictures)
state = model.model_.state_dict()
print(hashlib.sha256(b"".join(v.numpy().tobytes() for v in state.values())).hexdigest())
print(model.anomaly_scores(pictures).tobytes().hex())
"""


def test_a_seed_gives_the_same_weights_and_scores_in_every_process(
    small: NDArray[np.uint8], tmp_path: Path
) -> None:
    np.save(tmp_path / "pictures.npy", small)
    running = [
        subprocess.Popen(
            [sys.executable, "-c", _FIT, str(tmp_path / "pictures.npy")],
            env={**os.environ, "PYTHONHASHSEED": seed, "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            text=True,
        )
        for seed in ("0", "1")
    ]
    said = [process.communicate()[0] for process in running]
    assert said[0] == said[1]
    assert len(said[0].splitlines()) == 2


def test_threads_and_company_do_not_change_a_score(
    bundle: Path, blobs: NDArray[np.uint8], stripes: NDArray[np.uint8]
) -> None:
    pictures = np.concatenate([blobs, stripes, extremes(16, 16)[..., 0]])
    one, three = (BundleScorer(bundle, threads=n, engine="onnxruntime") for n in (1, 3))
    scores = one.anomaly_scores(pictures)
    assert np.array_equal(scores, three.anomaly_scores(pictures))
    assert np.array_equal(scores, one.anomaly_scores(pictures))
    spread = float(np.std(one.calibration_scores))
    for size in (1, 2, 7):
        batches = np.split(pictures[..., None], range(size, len(pictures), size))
        found = np.concatenate([one.score_batch(batch).scores for batch in batches])
        assert np.abs(found - scores).max() <= 1e-5 * spread
