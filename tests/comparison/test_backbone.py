from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from residua.comparison.backbone import (
    BackboneNeighbours,
    BackboneReconstruction,
    backbone_methods,
    descriptors,
)
from residua.comparison.compare import compare
from residua.comparison.methods import Circumstances, features_method
from residua.errors import ConfigurationError
from residua.features.backbone import Backbone
from residua.images.preprocess import InputSpec
from residua.images.source import ArraySource

torch = pytest.importorskip("torch")


@pytest.fixture(scope="module")
def vectors(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network of random weights from pictures to 24 features."""
    torch.manual_seed(0)
    network = torch.nn.Sequential(
        torch.nn.Conv2d(3, 24, 8, stride=8),
        torch.nn.ReLU(),
        torch.nn.AdaptiveAvgPool2d(1),
        torch.nn.Flatten(),
    )
    return exported(network, tmp_path_factory.mktemp("backbone") / "vectors.onnx")


def exported(network: torch.nn.Module, path: Path) -> Path:
    torch.onnx.export(
        network,
        (torch.zeros(1, 3, 32, 32),),
        path,
        input_names=["image"],
        output_names=["features"],
        dynamic_axes={"image": {0: "batch", 2: "h", 3: "w"}, "features": {0: "batch"}},
        dynamo=False,
    )
    return path


@pytest.fixture(autouse=True)
def quiet(recwarn: pytest.WarningsRecorder) -> None:
    """The exporter warns of its own age."""


pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def test_each_picture_has_its_features_whatever_its_size_and_colour(
    vectors: Path, blobs: NDArray
) -> None:
    found = Backbone.open(vectors)
    grey = blobs[:20, ..., None]
    features = descriptors(found, grey)
    assert features.shape == (20, 24)
    np.testing.assert_allclose(features, descriptors(found, np.repeat(grey, 3, axis=3)), rtol=1e-5)
    alone = descriptors(found, grey[3:4])[0]
    np.testing.assert_allclose(features[3], alone, rtol=1e-4, atol=1e-5)
    layers = np.concatenate([grey, np.zeros((*grey.shape[:3], 3), np.uint8)], axis=3)
    np.testing.assert_allclose(features, descriptors(found, layers), rtol=1e-5)


def test_maps_are_averaged(tmp_path: Path, blobs: NDArray) -> None:
    network = torch.nn.Conv2d(3, 5, 8, stride=8)
    found = Backbone.open(exported(network, tmp_path / "maps.onnx"))
    assert descriptors(found, blobs[:2, ..., None]).shape == (2, 5)


@pytest.mark.parametrize("kind", [BackboneReconstruction, BackboneNeighbours])
def test_foreign_pictures_score_as_more_abnormal(
    kind: type, vectors: Path, blobs: NDArray, stripes: NDArray
) -> None:
    detector = kind(vectors).fit(blobs[:100, ..., None])
    normal = detector.score_samples(blobs[100:120, ..., None])
    foreign = detector.score_samples(stripes[:, ..., None])
    assert foreign.max() < normal.min()


def test_a_backbone_adds_its_methods_to_a_comparison(
    backbone: Path, blobs: NDArray, stripes: NDArray
) -> None:
    test = ArraySource(
        np.concatenate([blobs[120:], stripes]), labels=["blob"] * 40 + ["stripe"] * 20
    )
    found = compare(
        blobs[:120],
        test,
        methods=["pca"],
        backbone=backbone,
        anomalous=["stripe"],
        epochs=1,
    )
    names = {row.method for row in found.rows}
    assert names == {"pca", "features-pca", "features-knn", "features"}
    assert not found.left_out
    assert all(row.auroc.value > 0.9 for row in found.rows)


def test_a_backbone_without_maps_is_refused_by_the_network(vectors: Path, blobs: NDArray) -> None:
    circumstances = Circumstances(60, 256, InputSpec(height=16, width=16, channels=1), 0, 1)
    with pytest.raises(ConfigurationError, match="has no feature maps"):
        features_method(vectors).build(circumstances).fit(blobs[:60])


def test_what_is_no_backbone_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        backbone_methods(tmp_path / "missing.onnx")
    (tmp_path / "text.onnx").write_text("not a network")
    with pytest.raises(ConfigurationError, match="ONNX Runtime cannot use"):
        backbone_methods(tmp_path / "text.onnx")
