from __future__ import annotations

import importlib.util
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from residua import BundleScorer
from residua.bundle import open_bundle
from residua.engines.base import Engine, Load, deviation
from residua.engines.opening import Replaceable, open_default, open_engine
from residua.engines.registry import DEFAULT, ENGINES
from residua.errors import (
    BundleAltered,
    ConfigurationError,
    EngineFailed,
    EngineReplaced,
    UnknownName,
)
from residua.scoring.verdicts import ScoredBatch

ONE = Load(threads=1, at_once=1)


@pytest.fixture
def probe(blobs: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return blobs[:5, ..., None]


class Wrapped(Engine):
    """ONNX Runtime's results, changed; or an error from some call on."""

    name = "torch"

    def __init__(
        self, bundle: Any, add: float = 0.0, calls: float = np.inf, precision: Any = "float32"
    ) -> None:
        self.inner, self.add, self.calls = open_default(bundle, ONE), add, calls
        self.precision = precision

    def __call__(self, images: NDArray[np.uint8]) -> ScoredBatch:
        if self.calls <= 0:
            raise RuntimeError("the\n  driver went away")
        self.calls -= 1
        scored = self.inner(images)
        return scored._replace(scores=scored.scores * (1 + self.add))


def opened_engine(name: str, precision: Any, bundle: Any, probe: NDArray[np.uint8]) -> Engine:
    return open_engine(name, precision, bundle, ONE, open_default(bundle, ONE), probe)


def replace_torch(monkeypatch: pytest.MonkeyPatch, opened: Any) -> None:
    kind = ENGINES["torch"]
    monkeypatch.setitem(
        ENGINES, "torch", type(kind)("torch", kind.title, "train", kind.precisions, opened)
    )


def test_an_engine_that_is_not_installed_is_replaced_and_the_extra_is_named(
    bundle: Path, probe: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(
        "residua.engines.registry.find_spec",
        lambda name: None if name == "openvino" else found(name),
    )
    with pytest.warns(EngineReplaced, match=r"OpenVINO.*pip install 'residua\[openvino\]'"):
        engine = opened_engine("openvino", "float32", open_bundle(bundle), probe)
    assert engine.name == DEFAULT


def test_an_engine_that_does_not_open_is_replaced(
    bundle: Path, probe: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> Engine:
        raise OSError("libcudart.so: no such file")

    replace_torch(monkeypatch, fail)
    with pytest.warns(EngineReplaced, match=r"torch cannot be used \(libcudart"):
        engine = opened_engine("torch", "float32", open_bundle(bundle), probe)
    assert engine.name == DEFAULT


@pytest.mark.parametrize(("precision", "add"), [("float32", 3e-4), ("bf16", 3e-3)])
def test_an_engine_with_other_scores_is_replaced(
    precision: Any,
    add: float,
    bundle: Path,
    probe: NDArray[np.uint8],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    replace_torch(monkeypatch, lambda b, _, p: Wrapped(b, add=add, precision=p))
    opened = open_bundle(bundle)
    with pytest.warns(EngineReplaced, match="does not agree with ONNX Runtime: its scores differ"):
        engine = opened_engine("torch", precision, opened, probe)
    assert engine.name == DEFAULT
    replace_torch(monkeypatch, lambda b, _, p: Wrapped(b, add=add / 10, precision=p))
    assert opened_engine("torch", precision, opened, probe).name == "torch"


@pytest.mark.parametrize("field", ["error_maps", "x_hat", "latent"])
def test_an_engine_with_other_maps_is_replaced(
    field: str, bundle: Path, probe: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Shifted(Wrapped):
        def __call__(self, images: NDArray[np.uint8]) -> ScoredBatch:
            scored = super().__call__(images)
            return scored._replace(**{field: getattr(scored, field) * 1.01})

    replace_torch(monkeypatch, lambda b, *_: Shifted(b))
    with pytest.warns(EngineReplaced, match=f"its {field} are others"):
        opened_engine("torch", "float32", open_bundle(bundle), probe)


def test_pictures_that_no_engine_takes_replace_none(bundle: Path, probe: NDArray[np.uint8]) -> None:
    opened = open_bundle(bundle)
    engine = Replaceable(Wrapped(opened), open_default(opened, ONE))
    with pytest.raises(EngineFailed):
        engine(probe[:, ::2])
    assert engine.name == "torch"


def test_an_engine_that_fails_later_is_replaced_once(
    bundle: Path, probe: NDArray[np.uint8]
) -> None:
    opened = open_bundle(bundle)
    default = open_default(opened, ONE)
    engine = Replaceable(Wrapped(opened, calls=1), default)
    assert engine(probe).scores.shape == (5,)
    assert engine.name == "torch"
    with pytest.warns(EngineReplaced, match=r"torch failed on a batch \(the driver went away\)"):
        after = engine(probe)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.array_equal(engine(probe).scores, after.scores)
    assert engine.name == DEFAULT


def test_no_other_engine_takes_the_place_of_the_default_one(
    bundle: Path, probe: NDArray[np.uint8]
) -> None:
    default = open_default(open_bundle(bundle), ONE)
    with pytest.raises(EngineFailed, match="5 pictures of 8 × 16"):
        Replaceable(default, default)(probe[:, ::2])


def test_a_graph_that_is_altered_after_it_was_verified_is_refused(
    bundle: Path, probe: NDArray[np.uint8], tmp_path: Path
) -> None:
    import shutil

    copy = shutil.copytree(bundle, tmp_path / "m.residua")
    scorer = BundleScorer(copy)
    with (copy / "model.onnx").open("ab") as file:
        file.write(b"\0")
    with pytest.raises(BundleAltered, match=r"model\.onnx"):
        scorer.score_batch(probe)
    with pytest.raises(BundleAltered, match=r"model\.onnx"):
        BundleScorer(copy)


def test_unknown_engines_and_precisions_are_refused(bundle: Path) -> None:
    with pytest.raises(UnknownName, match="did you mean 'openvino'"):
        BundleScorer(bundle, engine="openvin")
    with pytest.raises(ConfigurationError, match="'float32' or 'bf16'"):
        BundleScorer(bundle, precision="int8")  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="choose openvino or torch"):
        BundleScorer(bundle, engine=DEFAULT, precision="bf16")


def test_deviation_is_relative_to_the_score_or_near_zero_to_the_spread() -> None:
    scores, reference = np.array([1.1, 0.01]), np.array([1.0, 0.0])
    assert deviation(scores, reference, spread=0.5) == pytest.approx(0.1)
    assert deviation(scores, reference, spread=0.05) == pytest.approx(0.2)
    assert deviation(np.array([np.nan, 0]), reference, spread=1.0) == np.inf
    assert deviation(reference, np.array([np.nan, 0]), spread=1.0) == np.inf
    assert deviation(np.float64(1.0), reference, spread=1.0) == np.inf
    assert deviation(reference, reference, spread=0.0) == 0.0
