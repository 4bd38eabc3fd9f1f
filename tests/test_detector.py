from __future__ import annotations

import warnings
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler
from sklearn.utils.estimator_checks import (
    check_methods_subset_invariance,
    parametrize_with_checks,
)

from residua import AutoencoderDetector
from residua.errors import (
    BadArray,
    CannotResume,
    ConfigurationError,
    DamagedImage,
    Discarded,
    IdenticalImages,
    ImageError,
    InputError,
    LearnedNothing,
    NoReadableImage,
    SkippedImages,
    TooFewForThreshold,
    TooFewImages,
    WorseThanPCA,
)
from residua.images.source import ArraySource


def quick(**changes: Any) -> AutoencoderDetector:
    return AutoencoderDetector(**{"epochs": 2, "on_failed_fit": "warn", **changes})


def quietly_fitted(X: Any, **changes: Any) -> AutoencoderDetector:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return quick(**changes).fit(X)


# scikit-learn's own contract. Its checks feed tables of any numbers, so the range comes from the
# data, and noise that no network can learn, so a failed fit is but a warning.
EXPECTED_FAILURES = {
    "check_methods_subset_invariance": "7 digits are asked for; of standard deviations that are "
    "the logarithms of errors in float32 between batches of several sizes, 5 agree",
}

# On another processor the digits may agree. Before scikit-learn 1.8 there was no such parameter.
STRICT = {"xfail_strict"} & signature(parametrize_with_checks).parameters.keys()


@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks(
    [quick(epochs=1, value_range="data")],
    expected_failed_checks=lambda _: EXPECTED_FAILURES,
    **dict.fromkeys(STRICT, False),
)
def test_scikit_learns_contract_holds(estimator: AutoencoderDetector, check: Any) -> None:
    check(estimator)


@pytest.mark.filterwarnings("ignore")
def test_raw_errors_are_the_same_in_every_batch_to_all_digits() -> None:
    raw = quick(epochs=1, value_range="data", scoring="error", threshold="zscore(2)")
    check_methods_subset_invariance("AutoencoderDetector", raw)


def test_standard_deviations_and_verdicts_are_the_same_in_every_batch(
    detector: AutoencoderDetector, blobs: NDArray[np.uint8], stripes: NDArray[np.uint8]
) -> None:
    pictures = np.concatenate([blobs[:20], stripes])
    together = detector.anomaly_scores(pictures)
    alone = np.concatenate([detector.anomaly_scores(one[None]) for one in pictures])
    np.testing.assert_allclose(alone, together, atol=1e-5, rtol=0)
    # A calibration picture may be the very limit.
    clear = np.abs(together - detector.threshold_.upper) > 1e-5
    verdicts = np.concatenate([detector.predict(one[None]) for one in pictures])
    assert (verdicts == detector.predict(pictures))[clear].all()


def test_it_tells_blobs_from_stripes(
    detector: AutoencoderDetector, blobs: NDArray[np.uint8], stripes: NDArray[np.uint8]
) -> None:
    scores = detector.anomaly_scores(np.concatenate([blobs, stripes]))
    assert roc_auc_score(np.repeat([0, 1], [160, 20]), scores) == 1
    assert (detector.predict(stripes) == -1).all()
    assert (detector.predict(blobs) == 1).mean() > 0.95


def test_signs_are_scikit_learns(detector: AutoencoderDetector, blobs: NDArray[np.uint8]) -> None:
    scores = detector.anomaly_scores(blobs)
    assert scores.dtype == np.float64
    assert np.array_equal(detector.score_samples(blobs), -scores)
    np.testing.assert_allclose(
        detector.decision_function(blobs), detector.score_samples(blobs) - detector.offset_
    )


def test_the_score_error_is_the_mean_of_the_squared_error(blobs: NDArray[np.uint8]) -> None:
    detector = quietly_fitted(blobs, scoring="error", error_map="squared")
    maps = detector.error_maps(blobs)
    scores = detector.anomaly_scores(blobs)
    np.testing.assert_allclose(scores, maps.astype(np.float64).mean((1, 2)), rtol=1e-12)
    expected = np.square(detector.reconstruct(blobs)[..., 0] - blobs / np.float32(255))
    np.testing.assert_allclose(maps, expected, atol=1e-6)


def test_the_score_is_surprise_unless_another_is_asked_for(detector: AutoencoderDetector) -> None:
    assert detector.manifest_.settings.score == "surprise"
    normal = detector.calibration_scores_
    assert -2 < normal.mean() < 2  # in standard deviations of normal pictures


def test_a_two_sided_rule_flags_scores_that_are_too_low(blobs: NDArray[np.uint8]) -> None:
    fitted = quietly_fitted(blobs, threshold="zscore(0.5, two_sided=True)")
    scores = fitted.anomaly_scores(blobs)
    assert fitted.threshold_.lower is not None
    low = scores < fitted.threshold_.lower
    assert low.any()
    assert (fitted.predict(blobs)[low] == -1).all()
    assert ((fitted.decision_function(blobs) < 0) == (fitted.predict(blobs) == -1)).all()


def test_equal_random_states_give_equal_scores(blobs: NDArray[np.uint8]) -> None:
    first, second, other = (quietly_fitted(blobs, random_state=seed) for seed in (3, 3, 4))
    assert np.array_equal(first.anomaly_scores(blobs), second.anomaly_scores(blobs))
    assert not np.array_equal(first.anomaly_scores(blobs), other.anomaly_scores(blobs))


def test_a_fit_leaves_the_callers_random_state_alone(blobs: NDArray[np.uint8]) -> None:
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    quietly_fitted(blobs)
    assert torch.equal(torch.rand(1), expected)


def test_labels_of_anomalies_have_no_part_in_a_fit(blobs: NDArray[np.uint8]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        labelled = quick().fit(blobs, np.arange(160) % 2)
    unlabelled = quietly_fitted(blobs)
    assert np.array_equal(labelled.anomaly_scores(blobs), unlabelled.anomaly_scores(blobs))


def test_the_threshold_is_fitted_on_pictures_that_training_never_saw(
    detector: AutoencoderDetector,
) -> None:
    data = detector.manifest_.data
    assert (data.training, data.validation, data.calibration) == (128, 16, 16)
    assert len(detector.calibration_scores_) == data.calibration


def test_a_fit_notes_with_how_many_threads_it_was_made(blobs: NDArray[np.uint8]) -> None:
    before = torch.get_num_threads()
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            assert quietly_fitted(blobs).manifest_.threads == threads
    finally:
        torch.set_num_threads(before)


def test_the_same_pictures_score_the_same_from_every_kind_of_source(
    detector: AutoencoderDetector, blobs: NDArray[np.uint8], tmp_path: Path
) -> None:
    for number, image in enumerate(blobs[:4]):
        Image.fromarray(image).save(tmp_path / f"{number}.png")
    expected = detector.anomaly_scores(blobs[:4])
    sources: list[Any] = [
        tmp_path,
        sorted(tmp_path.iterdir()),
        [Image.fromarray(image) for image in blobs[:4]],
        list(blobs[:4]),
        blobs[:4, ..., None],
        blobs[:4].astype(np.float64) / 255,
        ArraySource(blobs[:4]),
    ]
    for source in sources:
        assert np.array_equal(detector.anomaly_scores(source), expected)


def test_a_table_of_flattened_square_pictures_is_the_pictures(blobs: NDArray[np.uint8]) -> None:
    table = quietly_fitted(blobs.reshape(160, -1))
    pictures = quietly_fitted(blobs)
    assert table.n_features_in_ == 256
    assert np.array_equal(
        table.anomaly_scores(blobs.reshape(160, -1)), pictures.anomaly_scores(blobs)
    )


def test_it_works_in_a_pipeline_and_a_clone(blobs: NDArray[np.uint8]) -> None:
    table = blobs.reshape(160, -1).astype(float)
    pipeline = make_pipeline(MinMaxScaler(clip=True), quick())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert clone(pipeline).fit(table).predict(table).shape == (160,)


def test_grid_search_chooses_among_parameters(
    blobs: NDArray[np.uint8], stripes: NDArray[np.uint8]
) -> None:
    X = np.concatenate([blobs[:60], stripes]).reshape(80, -1)
    y = np.repeat([1, -1], [60, 20])
    search = GridSearchCV(quick(), {"latent_dim": [2, 8]}, scoring="roc_auc", cv=2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        search.fit(X, y)
    assert set(search.best_params_) == {"latent_dim"}


def test_floats_beyond_zero_and_one_are_refused_with_the_way_out() -> None:
    with pytest.raises(BadArray, match="value_range"):
        quick().fit(np.full((20, 16, 16), 3.0))


def test_a_stated_value_range_takes_other_units() -> None:
    rng = np.random.default_rng(0)
    celsius = rng.uniform(20, 90, (40, 16, 16))
    fitted = quietly_fitted(celsius, value_range=(20, 90))
    assert fitted.input_spec_.value_range == (20, 90)
    assert fitted.anomaly_scores(celsius).shape == (40,)


@pytest.mark.parametrize(
    ("X", "error"),
    [
        (np.zeros((0, 16, 16), np.uint8), InputError),
        (np.zeros((1, 16, 16), np.uint8), TooFewImages),
        (np.zeros((5, 16, 16), np.uint8), TooFewImages),
        (np.full((20, 16, 16), 7, np.uint8), IdenticalImages),
        (np.full((20, 16, 16), np.nan), BadArray),
        (np.zeros((20, 16, 16, 1, 1), np.uint8), BadArray),
        (object(), InputError),
    ],
)
def test_pictures_that_cannot_be_fitted_are_refused(X: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        quick().fit(X)


def test_constant_pictures_of_different_greys_can_be_fitted() -> None:
    greys = np.repeat(np.arange(40, 200, 2, dtype=np.uint8), 256).reshape(-1, 16, 16)
    fitted = quietly_fitted(greys)
    assert np.isfinite(fitted.anomaly_scores(greys)).all()


def test_a_folder_with_bad_files_is_fitted_without_them(
    blobs: NDArray[np.uint8], tmp_path: Path
) -> None:
    for number, image in enumerate(blobs[:20]):
        Image.fromarray(image).save(tmp_path / f"{number:02}.png")
    (tmp_path / "bad.png").write_bytes(b"\x89PNG\r\n")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LearnedNothing)
        warnings.simplefilter("ignore", TooFewForThreshold)
        with pytest.warns(SkippedImages, match=r"1 unreadable.*bad\.png"):
            fitted = quick().fit(tmp_path)
    assert fitted.manifest_.data.skipped == 1


def test_a_folder_without_a_readable_file_is_an_error(tmp_path: Path) -> None:
    for number in range(8):
        (tmp_path / f"{number}.png").write_bytes(b"")
    with pytest.raises(NoReadableImage):
        quick().fit(tmp_path)


def test_scores_of_a_source_with_a_bad_file_raise_its_error(
    detector: AutoencoderDetector, blobs: NDArray[np.uint8], tmp_path: Path
) -> None:
    Image.fromarray(blobs[0]).save(tmp_path / "a.png")
    content = (tmp_path / "a.png").read_bytes()
    (tmp_path / "b.png").write_bytes(content[: len(content) // 2])
    with pytest.raises(DamagedImage, match=r"b\.png"):
        detector.anomaly_scores(tmp_path)
    rows = list(detector.verdicts(tmp_path))
    assert [row.error is None for row in rows] == [True, False]
    assert issubclass(DamagedImage, ImageError)


def test_mixed_sizes_and_modes_are_brought_to_one(blobs: NDArray[np.uint8], tmp_path: Path) -> None:
    for number, image in enumerate(blobs[:24]):
        picture = Image.fromarray(image).convert(("L", "RGB", "RGBA", "P")[number % 4])
        side = (16, 24, 40)[number % 3]
        picture.resize((side, side)).save(tmp_path / f"{number:02}.png")
    fitted = quietly_fitted(tmp_path)
    assert fitted.input_spec_.channels == 3
    assert fitted.anomaly_scores(tmp_path).shape == (24,)


@pytest.mark.parametrize(
    "wrong",
    [
        {"epochs": 0},
        {"learning_rate": -1},
        {"validation_fraction": 0},
        {"validation_fraction": 0.6, "calibration_fraction": 0.5},
        {"model": "con"},
        {"loss": "hinge"},
        {"error_map": "cubed"},
        {"reduction": "sum"},
        {"scoring": "suprise"},
        {"scoring": "knn(0)"},
        {"threshold": "sigma(3)"},
        {"precision": "fp8"},
        {"device": "tpu"},
        {"image_size": 4},
        {"image_size": 5000},
        {"resize": "squeeze"},
        {"latent_dim": 0},
        {"on_failed_fit": "ignore"},
    ],
)
def test_a_wrong_parameter_is_refused_at_fit_by_its_name(
    wrong: dict[str, Any], blobs: NDArray[np.uint8]
) -> None:
    with pytest.raises(ConfigurationError):
        quick(**wrong).fit(blobs)


def test_an_unfitted_detector_says_so(blobs: NDArray[np.uint8], tmp_path: Path) -> None:
    for call in (lambda d: d.predict(blobs), lambda d: d.save(tmp_path / "x.residua")):
        with pytest.raises(NotFittedError):
            call(quick())


def test_a_checkpoint_of_another_fit_is_refused_with_what_differs(
    blobs: NDArray[np.uint8], tmp_path: Path
) -> None:
    quietly_fitted(blobs, checkpoint_dir=tmp_path)
    with pytest.raises(CannotResume, match="epochs was 2 and is 3"):
        quietly_fitted(blobs, checkpoint_dir=tmp_path, resume=True, epochs=3)
    with pytest.raises(CannotResume, match="pictures differ"):
        quietly_fitted(blobs[:100], checkpoint_dir=tmp_path, resume=True)


def test_without_resume_an_old_checkpoint_is_not_used(
    blobs: NDArray[np.uint8], tmp_path: Path
) -> None:
    quietly_fitted(blobs, checkpoint_dir=tmp_path, epochs=1)
    assert len(quietly_fitted(blobs, checkpoint_dir=tmp_path, epochs=2).history_) == 2


def test_a_percentile_on_few_pictures_warns_of_the_rate_to_expect(
    blobs: NDArray[np.uint8],
) -> None:
    with warnings.catch_warnings():
        for other in (LearnedNothing, WorseThanPCA):
            warnings.simplefilter("ignore", other)
        with pytest.warns(TooFewForThreshold, match=r"1\.00%.*16 held-out.*6\.8%"):
            quick(threshold="percentile(99)").fit(blobs)


def test_the_default_on_few_pictures_warns_of_the_rate_it_can_promise(
    blobs: NDArray[np.uint8],
) -> None:
    with warnings.catch_warnings():
        for other in (LearnedNothing, WorseThanPCA):
            warnings.simplefilter("ignore", other)
        with pytest.warns(TooFewForThreshold, match=r"below 1 in 17.*5\.9%.*99 would give 1%"):
            fitted = quick().fit(blobs)
    assert fitted.threshold_.rule == "conformal(0.0589)"
    assert fitted.threshold_.upper == fitted.calibration_scores_.max()


def test_a_promise_that_so_few_pictures_cannot_keep_is_refused_before_training(
    blobs: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("residua.fitting.train", lambda *_, **__: pytest.fail("it was trained"))
    with pytest.raises(TooFewImages, match=r"conformal\(0\.001\) needs .* 999 .* has 16"):
        quick(threshold="conformal(0.001)").fit(blobs)


def test_a_fit_refuses_a_labelled_rule(blobs: NDArray[np.uint8]) -> None:
    with pytest.raises(ConfigurationError, match="residua recalibrate"):
        quick(threshold="best_f1").fit(blobs)


def test_p_values_are_those_of_the_verdicts_and_rare_for_the_odd(
    detector: AutoencoderDetector, blobs: NDArray[np.uint8], stripes: NDArray[np.uint8]
) -> None:
    p = detector.p_values(np.concatenate([blobs[:20], stripes]))
    verdicts = list(detector.verdicts(np.concatenate([blobs[:20], stripes])))
    assert [verdict.p for verdict in verdicts] == p.tolist()
    assert (p[20:] == 1 / (len(detector.calibration_scores_) + 1)).all()
    flagged = [verdict.p <= 0.0589 for verdict in verdicts]
    assert [verdict.anomalous for verdict in verdicts] == flagged


def test_discoveries_are_the_odd_among_many(
    detector: AutoencoderDetector, blobs: NDArray[np.uint8], stripes: NDArray[np.uint8]
) -> None:
    found = detector.discoveries(np.concatenate([blobs[:10], stripes]), fdr=0.1)
    assert found[10:].all()
    assert found[:10].sum() <= 2


def test_an_interrupted_fit_is_not_discarded_without_a_word(
    blobs: NDArray[np.uint8], tmp_path: Path
) -> None:
    quietly_fitted(blobs, checkpoint_dir=tmp_path)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        quick(checkpoint_dir=tmp_path).fit(blobs)
    assert any(issubclass(warning.category, Discarded) for warning in caught)
