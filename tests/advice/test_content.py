from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from residua.advice.content import score_against_content
from residua.advice.intervals import ranks
from residua.advice.simple_pictures import simple_pictures
from residua.features.record import BackboneRecord
from residua.images.simple import blurred, faded, simple_families


def gradient(level: Any) -> Any:
    return np.square(np.diff(level, axis=1)).mean((1, 2, 3)) + np.square(
        np.diff(level, axis=2)
    ).mean((1, 2, 3))


def unlike_noise(level: Any) -> Any:
    """A score that all pictures without noise exceed."""
    return 1 / (0.01 + gradient(level))


def calibration(images: Any, score: Any) -> Any:
    return score(images[..., None] / 255)


def line_family(noise: Any, seed: int) -> Any:
    families = simple_families(noise(2)[..., None], seed)
    return next(f.images for f in families if f.name == "light line on black")[..., 0]


def faint_to_strong(n: int, noise: Any) -> Any:
    """Noise of rising contrast."""
    strength = np.linspace(0.2, 1, n)[:, None, None]
    return np.rint(128 + strength * (noise(n) - 128.0)).astype(np.uint8)


def test_a_score_that_is_the_gradient_has_learned_nothing(study_of: Any, noise: Any) -> None:
    images = faint_to_strong(200, noise)
    truth = np.arange(200) >= 150
    found = score_against_content(study_of(images, score=gradient, anomalous=truth))
    assert found.severity == "warning"
    assert "alone ranks as well as the model" in found.title
    assert "mean gradient" in found.evidence
    assert found.numbers["correlation_gradient"] > 0.99


def test_a_score_that_follows_the_gradient_is_seen_without_labels(
    study_of: Any, noise: Any
) -> None:
    images = faint_to_strong(200, noise)
    found = score_against_content(study_of(images, score=gradient, rule="percentile(100)"))
    assert found.severity == "advice"
    assert found.pictures[0].note == "lowest score of the unflagged"


def test_a_score_of_its_own_is_fine(study_of: Any, noise: Any) -> None:
    truth = np.arange(200) >= 150
    scores = np.random.default_rng(1).random(200) + truth
    found = score_against_content(study_of(noise(200), scores=scores, anomalous=truth))
    assert found.severity == "fine"
    assert found.numbers["gain_low"] > 0


def test_a_score_that_ranks_the_wrong_way_is_a_warning(study_of: Any, noise: Any) -> None:
    truth = np.arange(200) >= 150
    scores = np.random.default_rng(1).random(200) - truth
    found = score_against_content(study_of(noise(200), scores=scores, anomalous=truth))
    assert found.severity == "warning"
    assert "wrong way" in found.title


def test_a_figure_that_the_score_ignores_is_no_trap(study_of: Any, noise: Any) -> None:
    truth = np.arange(200) >= 150
    images = noise(200)
    images[truth] //= 2
    scores = np.random.default_rng(1).random(200) + 0.8 * truth
    found = score_against_content(study_of(images, scores=scores, anomalous=truth))
    assert found.severity == "advice"
    assert "does not live on it" in found.action


def test_simple_pictures_fool_a_score_of_content(study_of: Any, noise: Any) -> None:
    images = noise(120)
    study = study_of(images, score=gradient, calibration=calibration(images, gradient))
    found = simple_pictures(study)
    assert found.severity == "warning"
    assert "constant pictures" in found.title
    assert found.numbers["share_low"] > 0.8
    assert {"squared, mean", "ssim, mean"} <= {str(row["score"]) for row in found.table}


def with_score(study: Any, score: str, *, backbone: Any = None) -> Any:
    """The same study of a model with another score in its record."""
    manifest = study.scorer.manifest
    settings = manifest.settings.model_copy(update={"score": score})
    model = manifest.model.model_copy(update={"backbone": backbone})
    manifest = manifest.model_copy(update={"settings": settings, "model": model})
    study.scorer.manifest = manifest
    return replace(study, scored=replace(study.scored, manifest=manifest))


@pytest.mark.parametrize("score", ["surprise", "error", "relative", "knn(3)"])
def test_what_is_tried_beside_a_score_is_named_as_fit_takes_it(
    study_of: Any, noise: Any, score: str
) -> None:
    images = noise(120)
    study = study_of(images, score=gradient, calibration=calibration(images, gradient))
    study = with_score(study, score)
    found = simple_pictures(study)
    pair = f"{study.scored.manifest.settings.error_map}, mean"
    own = pair if score == "error" else score
    names = [str(row["score"]) for row in found.table]
    assert names[0] == own
    assert len(names) == len(set(names)) == 15 - (score in ("error", "relative"))
    assert {"relative", "worst", "squared, mean"} <= set(names)
    # The fake rebuilds the mean of each picture, so that all errors are of content.
    assert f"with {own}" in found.action
    assert "--score " in found.action


def test_a_relative_error_is_recommended_where_it_helps(study_of: Any, noise: Any) -> None:
    images = noise(120)
    study = with_score(
        study_of(images, score=gradient, calibration=calibration(images, gradient)), "error"
    )
    found = simple_pictures(study)
    rows = {str(row["score"]): row for row in found.table}
    raw = f"{study.scored.manifest.settings.error_map}, mean"
    assert rows["relative"]["correlation"] < rows[raw]["correlation"]
    assert "--score worst" in found.action or "--score relative" in found.action


def test_where_features_are_rebuilt_no_other_error_is_made_of_the_view(
    study_of: Any, noise: Any
) -> None:
    images = noise(120)
    study = study_of(images, score=gradient, calibration=calibration(images, gradient))
    record = BackboneRecord(
        name="net.onnx",
        sha256="",
        maps=("a",),
        descriptor=None,
        channels=(4,),
        grid=(2, 2),
        width=4,
    )
    found = simple_pictures(with_score(study, "surprise", backbone=record))
    assert [row["score"] for row in found.table] == ["surprise"]
    assert "features are rebuilt" in found.action.lower()


def test_simple_pictures_do_not_fool_a_score_of_strangeness(study_of: Any, noise: Any) -> None:
    images = noise(120)
    study = study_of(images, score=unlike_noise, calibration=calibration(images, unlike_noise))
    found = simple_pictures(study)
    assert found.severity == "fine"
    assert found.numbers["share_low"] == 0


def test_lines_are_not_held_against_a_model_of_lines(study_of: Any, noise: Any) -> None:
    lines = np.concatenate([line_family(noise, seed) for seed in range(1, 15)])

    def dark(level: Any) -> Any:
        return level.mean((1, 2, 3))

    found = simple_pictures(study_of(lines, score=dark, calibration=calibration(lines, dark)))
    tried = {str(key) for key in found.table[0]}
    assert "rank of constant" in tried
    assert "rank of light line on black" not in tried


def test_too_few_pictures_for_the_simple_test_are_said(study_of: Any, noise: Any) -> None:
    assert not simple_pictures(study_of(noise(5))).made


def test_blur_keeps_the_mean_and_takes_the_detail(noise: Any) -> None:
    images = noise(5)[..., None]
    smooth = blurred(images, 4.0)
    assert smooth.std() < 0.2 * images.std()
    assert smooth.mean() == pytest.approx(images.mean(), rel=0.05)


def test_fading_keeps_the_mean_and_scales_the_contrast(noise: Any) -> None:
    images = noise(5)[..., None]
    faint = faded(images, 0.25)
    assert faint.std(axis=(1, 2)) == pytest.approx(0.25 * images.std(axis=(1, 2)), rel=0.02)


def test_equal_values_share_their_mean_rank() -> None:
    assert ranks(np.array([3.0, 1.0, 3.0, 2.0])).tolist() == [3.5, 1.0, 3.5, 2.0]
