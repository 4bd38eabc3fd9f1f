from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

import residua.images.datasets as datasets
from residua.experiments.caltech import (
    BACKGROUND,
    EXPERIMENT,
    FPR,
    HELD_OUT,
    TPR,
    protocol,
)
from residua.images.preprocess import InputSpec
from residua.images.source import ArraySource

CLASSES = [BACKGROUND, *(f"class {number:02}" for number in range(11))]
EACH = 40


@pytest.fixture(autouse=True)
def small_data(monkeypatch: pytest.MonkeyPatch) -> ArraySource:
    """Twelve classes of 40 pictures; the background's are noise."""
    rng = np.random.default_rng(0)
    labels = np.repeat(CLASSES, EACH)
    level = rng.integers(60, 200, len(labels))[:, None, None, None]
    images = np.broadcast_to(level, (len(labels), 16, 16, 3)).astype(np.uint8).copy()
    images[:, 4:12, 4:12] //= 2
    images[:EACH] = rng.integers(0, 256, (EACH, 16, 16, 3))
    source = ArraySource(images, labels=labels, ids=[str(n) for n in range(len(labels))])
    monkeypatch.setattr(datasets, "load_dataset", lambda name: source)
    return source


def labels_of(source: object) -> Sequence[str]:
    labels = source.labels
    assert labels is not None
    return list(labels)


def test_the_background_is_in_the_test_part_alone_and_whole() -> None:
    parts = protocol(0)
    assert BACKGROUND not in labels_of(parts.trusted)
    assert labels_of(parts.test).count(BACKGROUND) == 30


def test_the_parts_have_the_reports_sizes() -> None:
    parts = protocol(0)
    others = 30 * (len(CLASSES) - 1)
    assert len(parts.trusted) + len(parts.test) == 30 * len(CLASSES)
    assert len(parts.trusted) == pytest.approx(0.85 * others, abs=10)
    # Of what is fitted on, 70 of 85 train.
    assert pytest.approx(0.70 / 0.85, abs=1e-3) == 1 - 2 * HELD_OUT


def test_no_picture_is_fitted_on_and_judged() -> None:
    parts = protocol(0)
    assert not set(parts.trusted.ids) & set(parts.test.ids)


def test_one_seed_chooses_the_same_pictures_and_another_chooses_others() -> None:
    assert list(protocol(1).test.ids) == list(protocol(1).test.ids)
    assert list(protocol(1).test.ids) != list(protocol(2).test.ids)


@pytest.mark.parametrize("recipe", EXPERIMENT.recipes)
def test_every_recipe_is_accepted_by_the_detector(recipe: str) -> None:
    from residua import AutoencoderDetector
    from residua.models import build_model

    settings = EXPERIMENT.recipes[recipe]
    detector = AutoencoderDetector(**settings)
    model = build_model(
        detector.model,
        (64, 64, 3),
        latent_dim=detector.latent_dim,
        loss=detector.loss,
        options=detector.model_options,
    )
    assert sum(parameter.numel() for parameter in model.parameters()) > 10_000


def test_the_report_could_have_an_auroc_of_0913_at_most() -> None:
    first = EXPERIMENT.contradictions()[0]
    assert "0.913" in first.arithmetic
    assert pytest.approx(0.913, abs=5e-4) == 1 - FPR * (1 - TPR)


def test_an_accuracy_of_006_is_that_of_calling_all_background() -> None:
    assert "29/484 = 0.060" in EXPERIMENT.contradictions()[1].arithmetic


def test_the_sweep_takes_its_limits_from_the_test_errors_themselves() -> None:
    from residua.evaluation.content import Content
    from residua.evaluation.scored import ScoredSet

    rng = np.random.default_rng(0)
    scores = np.concatenate([rng.uniform(0, 1, 90), np.full(10, 2.0)])
    pictures = rng.integers(0, 256, (100, 8, 8, 3), dtype=np.uint8)
    scored = ScoredSet.__new__(ScoredSet)
    for name, value in {
        "scores": scores,
        "anomalous": scores > 1,
        "content": Content.of(pictures),
    }.items():
        object.__setattr__(scored, name, value)
    threshold = type("Threshold", (), {"is_anomalous": staticmethod(lambda s: s > 1)})()
    manifest = type("Manifest", (), {"threshold": threshold})()
    object.__setattr__(scored, "manifest", manifest)
    measured = EXPERIMENT.measure(scored)
    assert measured["true_80"] == 10
    assert measured["false_80"] == 10
    assert measured["flagged_90"] == 10
    assert measured["auroc"] == measured["tpr_at_fpr"] == 1
    assert measured["accuracy_80"] == 0.9


def test_pictures_come_at_the_models_size() -> None:
    (batch,) = protocol(0).test.take([0, 1]).batches(InputSpec(height=8, width=8, channels=3), 2)
    assert batch.images.shape == (2, 8, 8, 3)
