from __future__ import annotations

import hashlib
import os
import shutil
import warnings
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors.numpy import load_file, save_file
from sklearn.metrics import roc_auc_score

from residua import AutoencoderDetector, BundleScorer, load
from residua.bundle import CHECKSUMS, GRAPH, WEIGHTS
from residua.errors import BundleAltered
from residua.feature_graph import CodeView, FeatureGraph, fit_view
from residua.features.backbone import Backbone
from residua.scoring.names import SCORES
from residua.scoring.verdicts import ScoredBatch

Write = Callable[..., Path]
DATA = os.environ.get("RESIDUA_DATA")
MOBILENET = Path(DATA or ".") / "weights" / "mobilenet_v2.onnx"


def fitted(pictures: Any, backbone: Path, **changes: Any) -> AutoencoderDetector:
    options = {"epochs": 3, "image_size": 64, "on_failed_fit": "warn"} | changes
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return AutoencoderDetector(
            "features", model_options={"backbone": str(backbone)}, **options
        ).fit(pictures)


def assert_onnx_agrees(
    bundle: Path, detector: AutoencoderDetector, images: Any, atol: float = 1e-5
) -> None:
    by_onnx, by_torch = BundleScorer(bundle).score_batch(images), detector.score_batch(images)
    surprise = detector.get_params()["scoring"] == "surprise"
    np.testing.assert_allclose(
        by_onnx.scores, by_torch.scores, **({"atol": atol} if surprise else {"rtol": 1e-5})
    )
    for name in ("error_maps", "x_hat", "latent"):
        one, other = getattr(by_onnx, name), getattr(by_torch, name)
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4, err_msg=name)


@pytest.fixture(scope="module")
def grey() -> NDArray[np.uint8]:
    """Smooth pictures (N, 64, 64, 1), which are easy to learn."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:64, :64] / 64
    a, b, c = rng.uniform(0.5, 2, (3, 60, 1, 1))
    waves = np.sin(a * 6 * rows + c) * np.cos(b * 6 * columns)
    return np.rint(127 + 120 * waves).astype(np.uint8)[..., None]


@pytest.fixture(scope="module")
def odd() -> NDArray[np.uint8]:
    rng = np.random.default_rng(1)
    return rng.integers(0, 256, (15, 64, 64, 1), dtype=np.uint8)


@pytest.fixture(scope="module")
def found(grey: NDArray[np.uint8], backbone: Path) -> AutoencoderDetector:
    return fitted(grey, backbone, epochs=8)


@pytest.fixture(scope="module")
def saved(found: AutoencoderDetector, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return found.save(tmp_path_factory.mktemp("features") / "m.residua")


def test_it_tells_noise_from_waves(
    found: AutoencoderDetector, grey: NDArray[np.uint8], odd: NDArray[np.uint8]
) -> None:
    scores = found.anomaly_scores(np.concatenate([grey, odd]))
    assert roc_auc_score(np.repeat([0, 1], [60, 15]), scores) == 1


def test_a_batch_has_scores_maps_views_and_codes_of_the_pictures_size(
    found: AutoencoderDetector, grey: NDArray[np.uint8]
) -> None:
    batch = found.score_batch(grey[:3])
    assert batch.scores.dtype == np.float64
    assert [part.shape for part in batch] == [(3,), (3, 64, 64), (3, 64, 64, 1), (3, 6)]
    assert (batch.error_maps >= 0).all()
    assert 0 <= batch.x_hat.min() <= batch.x_hat.max() <= 1


def test_the_manifest_says_which_backbone(found: AutoencoderDetector, backbone: Path) -> None:
    record = found.manifest_.model.backbone
    assert record is not None
    assert record.name == "small.onnx"
    assert record.sha256 == hashlib.sha256(backbone.read_bytes()).hexdigest()


def test_onnx_runtime_gives_all_that_torch_gives(
    found: AutoencoderDetector, saved: Path, grey: NDArray[np.uint8], odd: NDArray[np.uint8]
) -> None:
    images = np.concatenate(
        [grey[:9], odd[:3], np.zeros_like(grey[:1]), np.full_like(grey[:1], 255)]
    )
    assert_onnx_agrees(saved, found, images)
    assert_onnx_agrees(saved, found, images[:1])
    session = onnxruntime.InferenceSession(saved / "model.onnx", providers=["CPUExecutionProvider"])
    assert [output.name for output in session.get_outputs()] == list(ScoredBatch._fields)
    assert [given.name for given in session.get_inputs()] == ["images"]


@pytest.mark.parametrize("score", SCORES)
def test_every_score_agrees_and_survives_saving(
    score: str, grey: NDArray[np.uint8], backbone: Path, tmp_path: Path
) -> None:
    detector = fitted(grey, backbone, scoring=score, epochs=1)
    expected = detector.anomaly_scores(grey)
    assert np.isfinite(expected).all()
    path = detector.save(tmp_path / "m.residua")
    assert_onnx_agrees(path, detector, grey)
    assert np.array_equal(load(path).anomaly_scores(grey), expected)


@pytest.mark.parametrize(
    ("backbone_options", "shape"),
    [
        ({}, (64, 64, 3)),
        ({}, (72, 104, 3)),
        ({}, (40, 56, 1)),
        ({"vector": False}, (64, 64, 1)),
        ({"maps": (16,)}, (64, 64, 3)),
        ({"maps": (2, 4), "vector": False}, (64, 64, 1)),
        ({"opset": 11}, (64, 64, 1)),
        ({"opset": 13}, (72, 104, 3)),
        ({"opset": 20}, (72, 104, 3)),
    ],
)
def test_any_colour_size_and_kind_of_backbone_agrees_and_survives_saving(
    backbone_options: dict[str, Any],
    shape: tuple[int, int, int],
    write_backbone: Write,
    tmp_path: Path,
) -> None:
    path = write_backbone(tmp_path / "b.onnx", **backbone_options)
    height, width, channels = shape
    rng = np.random.default_rng(0)
    level, contrast = rng.uniform(60, 190, (24, 1, 1, 1)), rng.uniform(5, 60, (24, 1, 1, 1))
    coarse = level + contrast * rng.uniform(-1, 1, (24, height // 8, width // 8, channels))
    pictures = np.rint(coarse).astype(np.uint8).repeat(8, 1).repeat(8, 2)
    # A narrow code: where next to nothing is left of an error, float32 has few digits of it.
    detector = fitted(pictures, path, epochs=1, image_size=(height, width), latent_dim=1)
    saved = detector.save(tmp_path / "m.residua")
    # Random channels, some of which hardly vary: standardised, their last digits weigh more.
    assert_onnx_agrees(saved, detector, pictures, atol=5e-5)
    path.unlink()
    assert np.array_equal(load(saved).anomaly_scores(pictures), detector.anomaly_scores(pictures))


def test_once_saved_a_model_needs_no_backbone_file(
    backbone: Path, grey: NDArray[np.uint8], tmp_path: Path
) -> None:
    copy = Path(shutil.copy(backbone, tmp_path / "copy.onnx"))
    detector = fitted(grey, copy, epochs=1)
    copy.unlink()
    expected = detector.anomaly_scores(grey)
    first = load(detector.save(tmp_path / "first.residua"))
    assert np.array_equal(first.anomaly_scores(grey), expected)
    second_path = first.save(tmp_path / "second.residua")
    assert np.array_equal(load(second_path).anomaly_scores(grey), expected)
    assert_onnx_agrees(second_path, detector, grey)
    assert first.manifest_ == detector.manifest_


def test_files_are_fitted_and_an_interrupted_fit_goes_on(
    backbone: Path, odd: NDArray[np.uint8], tmp_path: Path
) -> None:
    (tmp_path / "pictures").mkdir()
    for number, image in enumerate(odd):
        Image.fromarray(image[..., 0]).save(tmp_path / "pictures" / f"{number:02}.png")
    checkpoints = {"checkpoint_dir": tmp_path / "state", "epochs": 2}
    first = fitted(tmp_path / "pictures", backbone, **checkpoints)
    assert np.array_equal(first.anomaly_scores(tmp_path / "pictures"), first.anomaly_scores(odd))
    again = fitted(tmp_path / "pictures", backbone, **checkpoints, resume=True)
    assert np.array_equal(again.anomaly_scores(odd), first.anomaly_scores(odd))
    left = [path.name for path in (tmp_path / "state").rglob("*.f16")]
    assert left == []


def test_a_copy_is_a_model_of_its_own(found: AutoencoderDetector, grey: NDArray[np.uint8]) -> None:
    graph = found.graph_
    assert isinstance(graph, FeatureGraph)
    images = torch.from_numpy(grey[:2])
    copied = deepcopy(graph)
    assert not copied.training
    with torch.inference_mode():
        expected = graph(images)[0]
        assert torch.equal(copied(images)[0], expected)
    with torch.no_grad():
        for parameter in copied.model.parameters():
            parameter.zero_()
    with torch.inference_mode():
        assert not torch.equal(copied(images)[0], expected)
        assert torch.equal(graph(images)[0], expected)


def test_the_same_network_under_another_score(
    found: AutoencoderDetector, grey: NDArray[np.uint8]
) -> None:
    graph = found.graph_
    other = deepcopy(graph.score)
    other.place += 1
    under = graph.under(other)
    images = torch.from_numpy(grey[:4])
    with torch.inference_mode():
        assert not torch.equal(under(images)[0], graph(images)[0])
        assert torch.equal(under(images)[3], graph(images)[3])


@pytest.mark.parametrize("name", [GRAPH, WEIGHTS])
def test_an_altered_file_is_refused(saved: Path, name: str, tmp_path: Path) -> None:
    path = Path(shutil.copytree(saved, tmp_path / "m.residua"))
    content = bytearray((path / name).read_bytes())
    content[len(content) // 2] ^= 1
    (path / name).write_bytes(content)
    with pytest.raises(BundleAltered, match=name):
        load(path)


def with_true_sums(path: Path) -> Path:
    """Make the checksums those of the files, as whoever alters a model on purpose would."""
    lines = (path / CHECKSUMS).read_text().splitlines()
    names = [line.partition("  ")[2] for line in lines]
    sums = [f"{hashlib.sha256((path / name).read_bytes()).hexdigest()}  {name}\n" for name in names]
    (path / CHECKSUMS).write_text("".join(sums))
    return path


def test_a_graph_without_the_backbone_is_refused_by_name(saved: Path, tmp_path: Path) -> None:
    path = Path(shutil.copytree(saved, tmp_path / "m.residua"))
    model = onnx.load(path / GRAPH)
    for node in model.graph.node:
        node.output[:] = [name.replace("backbone/", "other/") for name in node.output]
        node.input[:] = [name.replace("backbone/", "other/") for name in node.input]
    for weight in model.graph.initializer:
        weight.name = weight.name.replace("backbone/", "other/")
    onnx.save(model, path / GRAPH)
    with pytest.raises(BundleAltered, match=r"model\.onnx holds no backbone small\.onnx"):
        load(with_true_sums(path))


@pytest.mark.parametrize("name", ["assembly.mean", "view.weight", "to_code.weight", "score.place"])
def test_weights_that_lack_a_part_or_have_it_in_another_size_are_refused(
    name: str, saved: Path, tmp_path: Path
) -> None:
    weights = load_file(saved / WEIGHTS)
    shapes: list[dict[str, Any]] = [
        {key: value for key, value in weights.items() if key != name},
        {**weights, name: np.zeros((3, 5, 2, 2), weights[name].dtype)},
    ]
    for number, changed in enumerate(shapes):
        path = Path(shutil.copytree(saved, tmp_path / f"{number}.residua"))
        save_file(changed, path / WEIGHTS)
        with pytest.raises(BundleAltered, match="does not fit 'features'"):
            load(with_true_sums(path))


def test_a_view_shows_what_a_code_stands_for() -> None:
    rng = np.random.default_rng(0)
    codes = rng.normal(size=(80, 3)).astype(np.float32)
    basis = rng.normal(size=(3, 4, 4)) * 12
    pixels = np.rint(128 + np.tensordot(codes, basis, 1)).clip(0, 255).astype(np.uint8)
    pixels = pixels.repeat(3, 1).repeat(2, 2)[..., None]
    view = fit_view((12, 8, 1), codes[:60], pixels, np.arange(60))
    shown = view(torch.from_numpy(codes[60:])).numpy()
    assert shown.shape == (20, 12, 8, 1)
    wrong = np.square(shown - pixels[60:] / 255).mean()
    assert wrong < 0.2 * np.square(pixels[60:] / 255 - pixels.mean(0) / 255).mean()


def test_a_view_of_codes_that_are_all_the_same_is_the_mean_picture() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (20, 8, 8, 1), dtype=np.uint8)
    view = fit_view((8, 8, 1), np.ones((20, 3), np.float32), pixels, np.arange(20))
    shown = view(torch.ones(1, 3))
    np.testing.assert_allclose(shown[0], pixels.mean(0) / 255, atol=1e-5)


@pytest.mark.parametrize(
    ("shape", "small"), [((256, 128, 3), (32, 16)), ((8, 24, 1), (8, 24)), ((224, 8, 1), (32, 1))]
)
def test_a_view_has_32_pixels_to_the_longer_side_at_most(
    shape: tuple[int, int, int], small: tuple[int, int]
) -> None:
    view = CodeView(shape, 4)
    assert view.small == small
    assert view(torch.zeros(2, 4)).shape == (2, *shape)


@pytest.mark.skipif(
    not (DATA and MOBILENET.is_file()), reason="no weights/mobilenet_v2.onnx in RESIDUA_DATA"
)
def test_a_published_network_agrees_and_survives_saving(
    grey: NDArray[np.uint8], odd: NDArray[np.uint8], tmp_path: Path
) -> None:
    record = Backbone.open(MOBILENET).record(64, 64)
    assert len(record.maps) >= 2
    assert record.descriptor is not None
    detector = fitted(grey[:30], MOBILENET, epochs=1)
    path = detector.save(tmp_path / "m.residua")
    images = np.concatenate([grey[:3], odd[:3]])
    assert_onnx_agrees(path, detector, images)
    assert np.array_equal(load(path).anomaly_scores(images), detector.anomaly_scores(images))
