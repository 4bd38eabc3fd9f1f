from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from residua import BundleScorer
from residua.bundle import Bundle, open_bundle
from residua.engines import choice as room
from residua.engines.apart import measure_apart
from residua.engines.choice import Choice, candidates, in_words, remember, remembered
from residua.engines.measuring import measure
from residua.engines.registry import DEFAULT, ENGINES
from residua.engines.with_torch import TorchEngine
from residua.errors import EngineFailed, EngineReplaced
from residua.scoring.verdicts import ScoredBatch


@pytest.fixture
def opened(bundle: Path) -> Bundle:
    return open_bundle(bundle)


@pytest.fixture
def measured(opened: Bundle, blobs: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch) -> Choice:
    monkeypatch.setattr("residua.engines.measuring._SECONDS_A_ROUND", 0.01)
    return measure(opened, blobs[:8, ..., None], 8, 2, "float32")


def slower(choice: Choice, engine: str) -> Choice:
    """Put one engine last."""
    ordered = sorted(choice.measured, key=lambda m: m.engine == engine)
    return choice.model_copy(update={"measured": ordered})


def test_every_installed_engine_is_measured_and_the_fastest_stands_first(measured: Choice) -> None:
    assert {m.engine for m in measured.measured} == {
        name for name, kind in ENGINES.items() if kind.installed
    }
    assert [m.failure for m in measured.measured] == [None] * len(measured.measured)
    speeds = [m.images_per_second or 0.0 for m in measured.measured]
    assert speeds == sorted(speeds, reverse=True)
    assert min(speeds) > 0
    assert max(m.deviation or 0.0 for m in measured.measured) <= 1e-5


def test_in_bf16_each_engine_is_measured_in_all_it_can(
    opened: Bundle, blobs: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("residua.engines.measuring._SECONDS_A_ROUND", 0.01)
    found = measure(opened, blobs[:8, ..., None], 8, 1, "bf16").measured
    assert {(m.engine, m.precision) for m in found} >= {(DEFAULT, "float32"), ("torch", "bf16")}


def test_an_engine_that_fails_is_never_chosen(
    opened: Bundle, blobs: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> Any:
        raise RuntimeError("no such instruction")

    kind = ENGINES["torch"]
    monkeypatch.setitem(
        ENGINES, "torch", type(kind)("torch", kind.title, "train", kind.precisions, fail)
    )
    monkeypatch.setattr("residua.engines.measuring._SECONDS_A_ROUND", 0.01)
    last = measure(opened, blobs[:8, ..., None], 8, 1, "float32").measured[-1]
    assert (last.engine, last.failure) == ("torch", "no such instruction")


def test_an_engine_that_fails_under_load_is_never_chosen(
    opened: Bundle, blobs: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Tired(TorchEngine):
        calls = 0

        def __call__(self, images: NDArray[np.uint8]) -> ScoredBatch:
            self.calls += 1
            if self.calls > 1:
                raise MemoryError("too many at once")
            return super().__call__(images)

    kind = ENGINES["torch"]
    monkeypatch.setitem(
        ENGINES, "torch", type(kind)("torch", kind.title, "train", kind.precisions, Tired)
    )
    monkeypatch.setattr("residua.engines.measuring._SECONDS_A_ROUND", 0.01)
    last = measure(opened, blobs[:8, ..., None], 8, 2, "float32").measured[-1]
    assert (last.engine, last.failure) == ("torch", "too many at once")
    assert last.images_per_second is None


def test_a_choice_is_remembered_until_something_changes(
    opened: Bundle, measured: Choice, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert remembered(opened, 2, "float32") is None
    remember(measured, opened)
    assert remembered(opened, 2, "float32") == measured
    assert remembered(opened, 1, "float32") is None
    assert remembered(opened, 2, "bf16") is None
    monkeypatch.setattr("residua.engines.registry.version", lambda _: "0.0")
    assert remembered(opened, 2, "float32") is None


@pytest.mark.parametrize("content", ["", "{}", "[1]", "\0"])
def test_a_file_that_says_nothing_is_as_good_as_none(
    opened: Bundle, measured: Choice, content: str
) -> None:
    remember(measured, opened)
    room._path(opened, 2, "float32").write_text(content)
    assert remembered(opened, 2, "float32") is None


def test_a_cache_that_cannot_be_written_is_no_error(
    opened: Bundle, measured: Choice, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr(room, "_path", lambda *_: tmp_path / "file" / "choice.json")
    remember(measured, opened)
    assert remembered(opened, 2, "float32") is None


def test_the_scorer_takes_what_is_remembered(
    opened: Bundle, measured: Choice, blobs: NDArray[np.uint8]
) -> None:
    scorer = BundleScorer(opened.path, threads=2)
    scorer.score_batch(blobs[:3, ..., None])
    assert scorer.engine.name == DEFAULT
    remember(slower(slower(measured, "openvino"), DEFAULT), opened)
    scorer = BundleScorer(opened.path, threads=2)
    scorer.score_batch(blobs[:3, ..., None])
    assert scorer.engine.name == "torch"


def test_an_engine_that_starts_late_is_not_worth_it_for_few_pictures(
    opened: Bundle, measured: Choice, blobs: NDArray[np.uint8]
) -> None:
    speeds = {DEFAULT: (1_000.0, 0.1), "torch": (2_000.0, 4.0)}
    made = [
        m.model_copy(update=dict(zip(("images_per_second", "start_seconds"), pair, strict=True)))
        for m in measured.measured
        if (pair := speeds.get(m.engine))
    ]
    made.sort(key=lambda m: m.engine == DEFAULT)
    choice = measured.model_copy(update={"measured": made})
    assert choice.best_for(None).engine == "torch"
    assert choice.best_for(7_000).engine == DEFAULT
    assert choice.best_for(9_000).engine == "torch"
    assert "ONNX Runtime for few pictures" in choice.why()
    remember(choice, opened)
    scorer = BundleScorer(opened.path, threads=2)
    scorer.anomaly_scores(blobs[:3])
    assert scorer.engine is not None
    assert scorer.engine.name == DEFAULT
    scorer.score_batch(blobs[:3, ..., None])  # there may be more to come
    assert scorer.engine.name == "torch"


def test_bf16_is_measured_at_first_use(
    opened: Bundle, blobs: NDArray[np.uint8], measured: Choice, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def apart(*arguments: Any) -> Choice:
        asked.append(arguments[-1])
        return measured

    monkeypatch.setattr("residua.runtime.measure_apart", apart)
    BundleScorer(opened.path, threads=2).anomaly_scores(blobs[:3])
    assert asked == []
    scorer = BundleScorer(opened.path, threads=2, precision="bf16")
    scorer.anomaly_scores(blobs[:3])
    scorer.anomaly_scores(blobs[:3])
    assert asked == ["bf16"]


def test_a_scorer_goes_over_to_what_suits_more_pictures(
    opened: Bundle, blobs: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch, measured: Choice
) -> None:
    last = slower(slower(measured, "openvino"), DEFAULT)
    monkeypatch.setattr("residua.runtime.measure_apart", lambda *_: last)
    monkeypatch.setattr("residua.runtime.WORTH_MEASURING", 0.0)
    scorer = BundleScorer(opened.path, threads=2)
    scorer.anomaly_scores(blobs[:3])
    assert scorer.engine is not None
    assert scorer.engine.name == DEFAULT
    scorer.anomaly_scores(np.tile(blobs, (8, 1, 1)))
    assert remembered(opened, 2, "float32") == last
    scorer.score_batch(blobs[:3, ..., None])
    assert scorer.engine.name == "torch"


def test_only_a_source_that_takes_long_is_worth_measuring(
    opened: Bundle, blobs: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("residua.engines.measuring._SECONDS_A_ROUND", 0.01)
    many = np.tile(blobs, (8, 1, 1))
    BundleScorer(opened.path, threads=2).anomaly_scores(many)
    assert remembered(opened, 2, "float32") is None
    monkeypatch.setattr("residua.runtime.WORTH_MEASURING", 0.0)
    BundleScorer(opened.path, threads=2).anomaly_scores(many[:100])
    assert remembered(opened, 2, "float32") is None
    scorer = BundleScorer(opened.path, threads=2)
    scorer.anomaly_scores(many)
    choice = remembered(opened, 2, "float32")
    assert choice is not None
    assert scorer.engine is not None
    assert scorer.engine.name == choice.best_for(len(many)).engine


def test_what_is_tried_leaves_nothing_behind(
    opened: Bundle, blobs: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    apart = measure_apart(opened, blobs[:8, ..., None], 8, 2, "float32")
    assert {m.engine for m in apart.measured} == {
        name for name, kind in ENGINES.items() if kind.installed
    }
    monkeypatch.setattr("residua.engines.apart._PROGRAM", "import os; os.abort()")
    with pytest.raises(EngineFailed, match="ended with code -6"):
        measure_apart(opened, blobs[:8, ..., None], 8, 2, "float32")
    monkeypatch.setattr("residua.runtime.WORTH_MEASURING", 0.0)
    scorer = BundleScorer(opened.path, threads=2)
    with pytest.warns(EngineReplaced, match="ONNX Runtime computes"):
        scorer.anomaly_scores(np.tile(blobs, (8, 1, 1)))
    assert scorer.engine is not None
    assert scorer.engine.name == DEFAULT


def test_a_network_of_another_package_is_not_imported_unasked(
    opened: Bundle, measured: Choice, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = opened.manifest.model.model_copy(update={"package": "evil 1.0"})
    manifest = opened.manifest.model_copy(update={"model": model})
    named = opened.model_copy(update={"manifest": manifest})
    assert "torch" in {kind.name for kind, _ in candidates(opened, "bf16")}
    assert "torch" not in {kind.name for kind, _ in candidates(named, "bf16")}
    # Nor because another bundle with the same graph was measured with it.
    remember(measured, opened)
    assert remembered(opened, 2, "float32") == measured
    assert remembered(named, 2, "float32") is None
    here = (DEFAULT, "torch")
    monkeypatch.setattr("residua.engines.registry.find_spec", lambda name: name in here or None)
    assert "would import evil 1.0" in in_words(named, 2)


def test_it_says_which_engine_and_why(
    opened: Bundle, measured: Choice, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "until others are measured: residua engines" in in_words(opened, 2)
    remember(measured, opened)
    said = in_words(opened, 2)
    assert said.startswith(ENGINES[measured.best.engine].title)
    assert "images/s" in said
    monkeypatch.setattr("residua.engines.registry.find_spec", lambda name: name == DEFAULT or None)
    assert in_words(opened, 2).endswith("the only one that is installed")
