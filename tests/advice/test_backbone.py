from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from residua.advice.backbone import FEW, pretrained_backbone
from residua.features.record import BackboneRecord


def manifest_with(study_of: Any, noise: Any, **checks: float) -> dict[str, Any]:
    """Parts of a manifest whose network is better than PCA, unless told otherwise."""
    saved = study_of(noise(4)).scored.manifest
    sound = {"network_mse": 0.01, "pca_mse": 0.02, **checks}
    return {"checks": saved.checks.model_copy(update=sound)}


def test_scores_that_are_known_to_rank_badly_ask_for_a_backbone(study_of: Any, noise: Any) -> None:
    truth = np.arange(200) >= 100
    scores = np.random.default_rng(0).random(200) + 0.3 * truth
    sound = manifest_with(study_of, noise)
    study = study_of(noise(200), scores=scores, anomalous=truth, manifest=sound)
    found = pretrained_backbone(study)
    assert found.severity == "advice"
    assert found.numbers["auroc_high"] < 0.9
    assert "residua fit" in found.action
    assert "--backbone FILE" in found.action
    assert "0.90" in found.evidence


def test_an_auroc_that_may_be_high_asks_for_nothing(study_of: Any, noise: Any) -> None:
    truth = np.arange(20) >= 10
    scores = np.random.default_rng(0).random(20) + 0.5 * truth
    sound = manifest_with(study_of, noise)
    found = pretrained_backbone(study_of(noise(20), scores=scores, anomalous=truth, manifest=sound))
    assert found.numbers["auroc"] < 0.9 < found.numbers["auroc_high"]
    assert found.severity == "fine"


@pytest.mark.parametrize(("network", "severity"), [(0.02, "advice"), (0.019, "fine")])
def test_a_network_no_better_than_pca_asks_for_one(
    study_of: Any, noise: Any, network: float, severity: str
) -> None:
    manifest = manifest_with(study_of, noise, network_mse=network)
    assert pretrained_backbone(study_of(noise(20), manifest=manifest)).severity == severity


@pytest.mark.parametrize(
    ("side", "channels", "training", "severity"),
    [
        (72, 3, FEW - 1, "advice"),
        (72, 3, FEW, "fine"),
        (64, 3, FEW - 1, "fine"),
        (72, 1, FEW - 1, "fine"),
    ],
)
def test_few_large_colour_pictures_ask_for_one(
    study_of: Any, noise: Any, side: int, channels: int, training: int, severity: str
) -> None:
    manifest = manifest_with(study_of, noise)
    saved = study_of(noise(4)).scored.manifest
    manifest["data"] = saved.data.model_copy(update={"training": training})
    images = noise(4, side, channels=channels)
    spec = {"height": side, "width": side, "channels": channels}
    found = pretrained_backbone(study_of(images, manifest=manifest, spec=spec))
    assert found.severity == severity
    assert bool(found.action) == (severity == "advice")


def test_a_model_that_has_a_backbone_is_not_told_to_take_one(study_of: Any, noise: Any) -> None:
    manifest = manifest_with(study_of, noise, network_mse=1.0)
    record = BackboneRecord(
        name="net.onnx",
        sha256="",
        maps=("a",),
        descriptor=None,
        channels=(4,),
        grid=(2, 2),
        width=4,
    )
    saved = study_of(noise(4)).scored.manifest
    manifest["model"] = saved.model.model_copy(update={"backbone": record})
    found = pretrained_backbone(study_of(noise(20), manifest=manifest))
    assert found.severity == "fine"
    assert "net.onnx" in found.evidence
