from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from residua import AutoencoderDetector
from residua.errors import ConfigurationError, UnknownName
from residua.features.backbone import DEFAULT_SIDE
from residua.features.network import FeatureAutoencoder
from residua.images.preprocess import InputSpec
from residua.images.source import ArraySource
from residua.material import Features, Pixels, material_of
from residua.settings import FitSettings

SPEC = InputSpec(height=64, width=64, channels=1)


def settings(backbone: Path | None = None, **changes: Any) -> FitSettings:
    if backbone is not None:
        own = changes.pop("model_options", {})
        changes |= {"model": "features", "model_options": {"backbone": str(backbone), **own}}
    detector = AutoencoderDetector(**changes)
    return detector.settings_for(ArraySource(np.zeros((1, 8, 8), np.uint8)))


def features(backbone: Path, spec: InputSpec = SPEC, **changes: Any) -> Features:
    material = material_of(settings(backbone, **changes))
    assert isinstance(material, Features)
    material.meet(spec)
    return material


@pytest.fixture(scope="module")
def pictures() -> NDArray[np.uint8]:
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (60, 8, 8, 1), dtype=np.uint8)
    return coarse.repeat(8, 1).repeat(8, 2)


def test_every_model_but_features_rebuilds_pixels(backbone: Path) -> None:
    material = material_of(settings())
    assert isinstance(material, Pixels)
    assert material.backbone is None
    assert isinstance(material_of(settings(backbone)), Features)


def test_pixels_are_what_the_network_takes(pictures: NDArray[np.uint8], tmp_path: Path) -> None:
    assert material_of(settings()).inputs(pictures, np.arange(9), tmp_path) is pictures


def test_pictures_are_brought_to_what_most_backbones_take(backbone: Path) -> None:
    assert material_of(settings(backbone)).image_size == DEFAULT_SIDE
    assert material_of(settings(backbone, image_size=64)).image_size == 64
    assert material_of(settings()).image_size is None


def test_a_map_of_features_is_reduced_by_its_worst_tenth_unless_told(backbone: Path) -> None:
    assert settings(backbone).reduction == "mean"
    assert settings(backbone, reduction="max(1)").reduction == "max(1)"
    assert settings().reduction == "mean"


def test_features_are_those_of_the_backbone_in_half_precision(
    backbone: Path, pictures: NDArray[np.uint8], tmp_path: Path
) -> None:
    material = features(backbone)
    rows = material.inputs(pictures, np.arange(40), tmp_path)
    assert rows.dtype == np.float16
    assert rows.shape == (60, 30 * 16 + 12)
    assert material.backbone is not None
    found = material.network.run(pictures[7:9], material.backbone.outputs)
    expected = material.assembly([torch.from_numpy(part) for part in found])
    np.testing.assert_allclose(rows[7:9], expected, rtol=1e-3, atol=1e-3)
    maps, _ = material.layout.split(torch.from_numpy(np.array(rows[:40])).float())
    torch.testing.assert_close(maps.mean((0, 2, 3)), torch.zeros(30), atol=1e-2, rtol=0)


def test_features_are_standardised_over_training_pictures_alone(
    backbone: Path, pictures: NDArray[np.uint8], tmp_path: Path
) -> None:
    training, changed = np.arange(40), pictures.copy()
    changed[40:] = 255 - changed[40:]
    one, other = features(backbone), features(backbone)
    rows = [m.inputs(p, training, tmp_path) for m, p in ((one, pictures), (other, changed))]
    assert np.array_equal(rows[0][:40], rows[1][:40])
    assert all(torch.equal(*pair) for pair in zip(one.directions, other.directions, strict=True))  # type: ignore[arg-type]


def test_the_network_begins_as_good_as_pca(
    backbone: Path, pictures: NDArray[np.uint8], tmp_path: Path
) -> None:
    material = features(backbone, latent_dim=4)
    rows = material.inputs(pictures, np.arange(60), tmp_path)
    model = material.build().eval()
    assert isinstance(model, FeatureAutoencoder)
    x = torch.from_numpy(np.array(rows)).float()
    with torch.inference_mode():
        found = model.training_losses(x)
    descriptors = material.layout.split(x)[1].double()
    values = torch.linalg.eigvalsh(descriptors.T @ descriptors / 60)
    assert float(found["descriptor"]) == pytest.approx(float(values[:-4].sum() / 12), rel=1e-3)


def test_features_are_trained_for_so_many_steps_from_5_to_30_epochs(backbone: Path) -> None:
    epochs = material_of(settings(backbone)).epochs
    assert (epochs(1, 8), epochs(10**6, 8)) == (30, 5)
    assert 5 < epochs(800, 32) < 30
    assert epochs(800, 32) == epochs(1_600, 64)
    assert epochs(800, 32) == pytest.approx(2 * epochs(1_600, 32), abs=1)


def test_another_score_is_had_of_the_same_material(backbone: Path) -> None:
    material = features(backbone)
    other = material.under("knn(3)")
    assert other.settings.score == "knn(3)"
    assert material.settings.score == "surprise"
    assert other.score(other.build()).needs_code
    assert [type(part).__name__ for part in other.score(other.build()).parts] == [
        "NearestNeighbours"
    ]


@pytest.mark.parametrize(
    ("score", "parts"),
    [
        ("surprise", ["RawError", "DescriptorError", "NearestNeighbours"]),
        ("error", ["RawError"]),
        ("relative", ["RawError"]),
        ("normalised_relative", ["NormalisedError"]),
        ("mahalanobis", ["Mahalanobis"]),
    ],
)
def test_scores_of_features_are_relative_from_the_start(
    score: str, parts: list[str], backbone: Path
) -> None:
    material = features(backbone, scoring=score)
    built = material.score(material.build())
    assert [type(part).__name__ for part in built.parts] == parts
    assert built.name == score


@pytest.mark.parametrize("options", [None, {}, {"map_channels": 3}])
def test_without_a_backbone_the_way_to_give_one_is_named(options: dict[str, int] | None) -> None:
    with pytest.raises(ConfigurationError, match="--backbone FILE or model_options"):
        material_of(settings(model="features", model_options=options))


@pytest.mark.parametrize(
    ("changes", "spec", "said"),
    [
        ({"loss": "bce"}, SPEC, "loss is 'bce'; the model 'features' has only 'mse'"),
        ({"latent_dim": 12}, SPEC, "latent_dim is 12; .* from 1 to 11"),
        ({"model_options": {"map_channels": 30}}, SPEC, "map_channels is 30; .* from 1 to 29"),
        ({"model_options": {"depth": 3}}, SPEC, "model 'features' does not take .*depth"),
        ({}, SPEC.model_copy(update={"channels": 4}), "have 4 channels; a backbone sees 1 or 3"),
        ({}, SPEC.model_copy(update={"height": 8, "width": 8}), "or larger pictures"),
    ],
)
def test_what_a_backbone_cannot_do_is_refused(
    changes: dict[str, Any], spec: InputSpec, said: str, backbone: Path
) -> None:
    with pytest.raises(ConfigurationError, match=said):
        features(backbone, spec, **changes).build()


def test_an_unknown_score_of_features_offers_the_nearest(backbone: Path) -> None:
    material = features(backbone, scoring="surprize")
    with pytest.raises(UnknownName, match="did you mean 'surprise'"):
        material.score(material.build())


@pytest.mark.parametrize("reduction", ["sum", "topk(2)"])
def test_an_unknown_reduction_of_features_is_refused(reduction: str, backbone: Path) -> None:
    material = features(backbone, reduction=reduction)
    with pytest.raises(ConfigurationError):
        material.score(material.build())


def test_a_refused_fit_decodes_no_picture(
    write_backbone: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("residua.fitting.decode_all", lambda *_, **__: pytest.fail("decoded"))
    vectors = write_backbone(tmp_path / "v.onnx", maps=())
    for path in (vectors, tmp_path / "absent.onnx"):
        detector = AutoencoderDetector("features", model_options={"backbone": path}, image_size=64)
        with pytest.raises(ConfigurationError, match=path.stem):
            detector.fit(np.zeros((20, 64, 64), np.uint8))
