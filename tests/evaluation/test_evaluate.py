from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from sklearn.metrics import roc_auc_score

from residua import AutoencoderDetector, evaluate_model, load_dataset
from residua.errors import BadLabels, NoReadableImage, ResiduaWarning
from residua.evaluation.estimate import Estimate
from residua.evaluation.evaluate import Evaluation, evaluate
from residua.evaluation.rebuilding import structural_similarity
from residua.evaluation.scored import ScoredSet, fit_mask, name_of, score_source, view
from residua.evaluation.tables import as_html, headline, promise_kept, tables_of
from residua.images.preprocess import InputSpec
from residua.images.source import ArraySource, as_source


@pytest.fixture(scope="module")
def mixed(blobs: NDArray, stripes: NDArray) -> ArraySource:
    labels = ["blob"] * 40 + ["stripe"] * 20
    return ArraySource(np.concatenate([blobs[:40], stripes]), labels=labels)


@pytest.fixture(scope="module")
def found(detector: AutoencoderDetector, mixed: ArraySource) -> Evaluation:
    return evaluate_model(detector, mixed, normal=["blob"], n_resamples=200)


def test_the_figures_are_those_of_the_detectors_scores(
    found: Evaluation, detector: AutoencoderDetector, mixed: ArraySource
) -> None:
    truth = np.repeat([0, 1], [40, 20])
    scores = detector.anomaly_scores(mixed)
    assert found.ranking["auroc"].value == pytest.approx(roc_auc_score(truth, scores))
    flagged = detector.predict(mixed) == -1
    assert found.n_flagged == flagged.sum()
    assert found.confusion is not None
    assert found.confusion.true_positives == flagged[40:].sum()
    assert (found.n, found.n_normal, found.n_anomalous) == (60, 40, 20)


def test_a_bundle_is_measured_as_its_detector(
    found: Evaluation, bundle: Path, mixed: ArraySource
) -> None:
    other = evaluate_model(bundle, mixed, anomalous=["stripe"], n_resamples=200)
    assert other.confusion == found.confusion
    assert other.ranking["auroc"].value == pytest.approx(found.ranking["auroc"].value, abs=1e-9)


@pytest.mark.parametrize(
    ("promised", "said"),
    [
        (0.01, "not kept: more"),
        (0.04, "kept: within"),
        (0.09, "kept: fewer"),
    ],
)
def test_the_promised_rate_is_held_against_what_chance_allows(
    found: Evaluation, promised: float, said: str
) -> None:
    measured = Estimate(value=0.04, low=0.035, high=0.045)
    told = found.model_copy(
        update={
            "promised_rate": promised,
            "at_threshold": {"false_positive_rate": measured},
            "n_calibration": 2_000,
            "n_normal": 10_000,
        }
    )
    kept = promise_kept(told)
    assert kept is not None
    assert kept.startswith(said)
    assert kept in as_html(told)
    rows = list(zip(*(column.cells for column in tables_of(told)[0].columns), strict=True))
    fpr = next(at for at, row in enumerate(rows) if "FPR)" in str(row[0]))
    assert rows[fpr + 1] == ("    promised", f"{promised:.4f}", kept)


def test_a_limit_on_few_pictures_is_not_accused_of_what_chance_does(found: Evaluation) -> None:
    # 99 calibration scores: the share beyond the greatest is 3.7 % or more in 1 of 40 fits.
    measured = Estimate(value=0.03, low=0.027, high=0.034)
    few = found.model_copy(
        update={
            "promised_rate": 0.01,
            "at_threshold": {"false_positive_rate": measured},
            "n_calibration": 99,
            "n_normal": 10_000,
        }
    )
    assert str(promise_kept(few)).startswith("kept: within")
    many = few.model_copy(update={"n_calibration": 9_999})
    assert str(promise_kept(many)).startswith("not kept")


def test_without_a_promise_or_a_measured_rate_none_is_kept(found: Evaluation) -> None:
    assert promise_kept(found.model_copy(update={"promised_rate": None})) is None
    assert promise_kept(found.model_copy(update={"at_threshold": {}})) is None


def test_the_code_is_counted_against_the_picture(
    found: Evaluation, detector: AutoencoderDetector
) -> None:
    assert found.rebuilding is not None
    assert found.rebuilding.picture_size == 256
    assert found.rebuilding.code_size == detector.manifest_.model.latent_dim
    assert found.rebuilding.compression == 256 / found.rebuilding.code_size


def test_psnr_is_that_of_the_normal_pictures(
    found: Evaluation, detector: AutoencoderDetector, blobs: NDArray
) -> None:
    assert found.rebuilding is not None
    x, x_hat = blobs[:40, ..., None] / 255, detector.reconstruct(blobs[:40])
    psnr = -10 * np.log10(np.square(x - x_hat).mean((1, 2, 3)))
    assert found.rebuilding.psnr.value == pytest.approx(psnr.mean(), abs=1e-3)


def test_a_picture_is_perfectly_similar_to_itself_and_less_to_another() -> None:
    x = np.random.default_rng(0).random((2, 16, 16, 3))
    np.testing.assert_allclose(structural_similarity(x, x), 1)
    assert (structural_similarity(x, x[::-1]) < 0.5).all()


def test_similarity_agrees_with_the_error_map_of_training(blobs: NDArray) -> None:
    import torch

    from residua.scoring.errors import StructuralDissimilarity

    x = blobs[:4, ..., None] / 255
    y = np.clip(x + np.random.default_rng(0).normal(0, 0.1, x.shape), 0, 1)
    planes = [torch.from_numpy(part).permute(0, 3, 1, 2).float() for part in (x, y)]
    dissimilarity = StructuralDissimilarity()(*planes).mean((1, 2)).numpy()
    np.testing.assert_allclose(structural_similarity(x, y), 1 - 2 * dissimilarity, atol=1e-4)


def test_one_class_alone_gives_no_ranking_and_says_so(
    detector: AutoencoderDetector, blobs: NDArray
) -> None:
    source = ArraySource(blobs[:20], labels=["blob"] * 20)
    found = evaluate_model(detector, source, normal=["blob"], n_resamples=100)
    assert found.ranking == {}
    assert "all 20 pictures are normal" in found.unavailable["ranking"]
    assert "false_positive_rate" in found.at_threshold
    assert "recall" in found.unavailable
    assert "masks" in found.unavailable["pixel figures"]


def test_a_class_with_one_picture_is_measured(
    detector: AutoencoderDetector, blobs: NDArray, stripes: NDArray
) -> None:
    source = ArraySource(np.concatenate([blobs[:9], stripes[:1]]), labels=["blob"] * 9 + ["stripe"])
    found = evaluate_model(detector, source, anomalous=["stripe"], n_resamples=100)
    assert found.ranking["auroc"].value == 1.0
    assert found.n_anomalous == 1


@pytest.mark.parametrize(
    ("labels", "named", "said"),
    [
        (None, {"normal": ["blob"]}, "no classes"),
        (["blob"] * 5, {}, "name the normal or the anomalous"),
        (["blob"] * 5, {"normal": ["blop"]}, "did you mean 'blob'"),
    ],
)
def test_classes_that_are_missing_are_refused(
    detector: AutoencoderDetector, blobs: NDArray, labels: list | None, named: dict, said: str
) -> None:
    with pytest.raises(BadLabels, match=said):
        evaluate_model(detector, ArraySource(blobs[:5], labels=labels), **named)


def test_a_class_that_does_not_exist_is_refused_before_anything_is_scored(
    detector: AutoencoderDetector, mixed: ArraySource, monkeypatch: pytest.MonkeyPatch
) -> None:
    import residua.evaluation.evaluate as module

    monkeypatch.setattr(module, "score_source", lambda *_, **__: pytest.fail("scored"))
    with pytest.raises(BadLabels):
        evaluate_model(detector, mixed, normal=["blop"])


def test_names_are_printable_and_lists_are_counted() -> None:
    assert name_of("a/part\udcff.residua").isprintable()
    assert name_of(["a.png", "b.png"]) == "2 files"
    assert name_of("some/folder/") == "folder"


def test_without_truth_only_what_needs_none_is_measured(
    detector: AutoencoderDetector, mixed: ArraySource
) -> None:
    found = evaluate(score_source(detector, mixed), n_resamples=100)
    assert found.confusion is None
    assert found.n_anomalous is None
    assert found.sweep
    assert "not known" in found.unavailable["ranking"]
    assert headline(found).endswith("are flagged")


def test_tables_and_html_say_what_is_missing(found: Evaluation) -> None:
    assert len(tables_of(found)) == 4
    assert "AUROC" in as_html(found)
    assert "not computed" in found._repr_html_()


def test_an_evaluation_survives_json(found: Evaluation) -> None:
    assert Evaluation.model_validate_json(found.model_dump_json()) == found
    assert json.loads(found.model_dump_json())["n"] == 60


@pytest.fixture(scope="module")
def surfaces_scored() -> ScoredSet:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResiduaWarning)
        detector = AutoencoderDetector(epochs=2, on_failed_fit="warn").fit(
            load_dataset("surfaces", "train", n=60, size=(32, 32))
        )
    test = load_dataset("surfaces", "test", n=40, size=(32, 32))
    return score_source(detector, test)


def test_masks_give_pixel_figures(surfaces_scored: ScoredSet) -> None:
    truth = np.array([label != "good" for label in surfaces_scored.labels or ()])
    found = evaluate(surfaces_scored.with_truth(truth), n_resamples=100)
    assert set(found.pixels) == {"pixel_auroc", "aupro", "pixel_best_f1"}
    assert "pixel figures" not in found.unavailable


def test_an_anomalous_picture_without_a_mask_is_not_counted_as_sound(
    surfaces_scored: ScoredSet,
) -> None:
    truth = np.array([label != "good" for label in surfaces_scored.labels or ()])
    first_sound = int(np.flatnonzero(~truth)[0])
    truth[first_sound] = True
    named = surfaces_scored.with_truth(truth)
    assert named.pixels is not None
    assert len(named.pixels) == len(truth) - 1
    assert [failure.index for failure in named.unusable_masks] == [first_sound]


def test_the_rows_follow_the_source_past_unreadable_files(
    bundle: Path, blobs: NDArray, tmp_path: Path
) -> None:
    for number, image in enumerate(blobs[:4]):
        Image.fromarray(image).save(tmp_path / f"{number}.png")
    (tmp_path / "1.png").write_bytes(b"no picture")
    scored = score_source(bundle, as_source(tmp_path))
    assert scored.ids == ["0.png", "2.png", "3.png"]
    assert scored.index.tolist() == [0, 2, 3]
    assert [failure.id for failure in scored.failures] == ["1.png"]
    assert evaluate(scored).n_unreadable == 1


def test_not_one_readable_picture_is_refused(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "1.png").write_bytes(b"no picture")
    with pytest.raises(NoReadableImage, match=r"not one of 1 pictures.*1\.png"):
        score_source(bundle, as_source(tmp_path))


def test_a_view_shows_the_pictures_that_are_asked_for(bundle: Path, mixed: ArraySource) -> None:
    views = view(bundle, mixed, [50, 3])
    assert views.images.shape == views.x_hat.shape == (2, 16, 16, 1)
    assert views.images[1].std() < views.images[0].std()
    assert view(bundle, mixed, []).error_maps.shape == (0, 16, 16)


def test_a_mask_goes_the_way_of_its_picture() -> None:
    mask = np.zeros((20, 40), bool)
    mask[:, :8] = True
    padded = fit_mask(mask, InputSpec(height=16, width=16, channels=3, resize="pad"))
    assert padded[:4].sum() == 0
    assert padded[8, :3].all()
    cropped = fit_mask(mask, InputSpec(height=16, width=16, channels=1, resize="crop"))
    assert not cropped.any()


def test_a_defect_thinner_than_a_pixel_stays() -> None:
    mask = np.zeros((256, 256), bool)
    mask[100, 100:103] = True
    assert fit_mask(mask, InputSpec(height=16, width=16, channels=1)).any()
