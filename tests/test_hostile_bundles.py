"""What comes of a bundle that someone made with bad intent, whose checksums fit."""

from __future__ import annotations

import json
import shutil
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file
from typer.testing import CliRunner

from fuzz.bundle import one, seeds, steps
from reliability.hostile_bundles import CASES, KEPT, SECRET, Case, make, sign
from residua import BundleScorer, load
from residua.bundle import CALIBRATION, GRAPH, MANIFEST, WEIGHTS, open_bundle
from residua.cli import app
from residua.engines.base import Load
from residua.engines.opening import open_default
from residua.engines.with_torch import TorchEngine
from residua.errors import BundleAltered, BundleError, BundleRefused, EngineFailed
from residua.recalibration import recalibrate
from residua.service.models import ServedModels
from residua.watching.model import LiveModel
from residua.watching.notices import Notices

SCORES_THEN = (9.87357, 1.07696)
"""Of two pictures, by the version that wrote the kept bundles."""
BY_NAME = {case.name: case for case in CASES}


class Watch:
    """Notes every file that Python opens while it is on; a hook cannot be taken off again."""

    def __init__(self) -> None:
        self.on = False
        self.opened: list[str] = []
        sys.addaudithook(self.note)

    def note(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.on and event == "open" and isinstance(arguments[0], str):
            self.opened.append(arguments[0])


@pytest.fixture(scope="session")
def watch() -> Watch:
    return Watch()


@pytest.fixture
def watch_opening(watch: Watch) -> Iterator[list[str]]:
    watch.opened.clear()
    watch.on = True
    yield watch.opened
    watch.on = False


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_it_is_refused_by_name_and_nothing_outside_is_opened(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, watch_opening: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = make(case, tmp_path / "in" / "hostile.residua")
    before = set(tmp_path.rglob("*"))
    watch_opening.clear()
    said, reached = "", ""
    try:
        for reached in steps(folder):  # noqa: B007 (it is told where that ended)
            pass
        reached = "never"
    except (BundleError, EngineFailed) as error:
        said = str(error)
    assert reached == case.refused
    assert said.isprintable()
    assert len(said) < 1_000
    outside = (SECRET, "/etc/passwd", "/dev/zero")
    assert not [path for path in watch_opening if path.endswith(outside)]
    assert set(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("command", ["info", "score", "recalibrate"])
@pytest.mark.parametrize("name", ["model.onnx is a link to a file outside", "an endless loop"])
def test_a_command_refuses_it_in_one_line(command: str, name: str, tmp_path: Path) -> None:
    folder = make(BY_NAME[name], tmp_path / "hostile.residua")
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    arguments = [command, str(folder)] + [str(pictures)] * (command != "info")
    result = CliRunner().invoke(app, arguments)
    assert isinstance(result.exception, BundleRefused)
    assert result.stdout == ""


def test_codes_that_steer_a_terminal_are_shown_as_their_escapes(tmp_path: Path) -> None:
    folder = make(BY_NAME["codes that steer a terminal"], tmp_path / "hostile.residua")
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["versions"] = {"numpy\x1b[2J": "\u202e1.0\x07"}
    (folder / MANIFEST).write_text(json.dumps(manifest))
    sign(folder)
    result = CliRunner().invoke(app, ["info", str(folder)])
    assert result.exit_code == 0
    assert not set("\x1b\x07\u202e") & set(result.stdout)
    assert "\\x1b[2J" in result.stdout


def test_a_hidden_name_in_an_error_cannot_steer_a_terminal_either(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(KEPT, tmp_path / "m.residua"))
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["\x1b[2J"] = 1
    (folder / MANIFEST).write_text(json.dumps(manifest))
    sign(folder)
    with pytest.raises(BundleError, match=r"\\x1b") as caught:
        open_bundle(folder)
    assert str(caught.value).isprintable()


@pytest.fixture
def own(tmp_path: Path) -> Path:
    return Path(shutil.copytree(KEPT, tmp_path / "part.residua"))


@pytest.fixture
def served(own: Path) -> Iterator[ServedModels]:
    def scored(model: Any) -> None:
        model.compute(np.zeros((1, 8, 8, 1), np.uint8), at_once=1)

    models = ServedModels({"part": own}, every=1000.0, threads=1, prepare=scored)
    yield models
    models.close()


HARMFUL = [
    "an endless loop",
    "100 GB of zeros",
    "scores that are NaN",
    "a format of version 99",
    "model.onnx is a link to a file outside",
    "SHA256SUMS is a pipe",
    "calibration scores of 134 MB in 130 kB",
]


@pytest.mark.parametrize("name", HARMFUL)
def test_a_hostile_replacement_leaves_the_old_model_serving(
    name: str, own: Path, served: ServedModels, tmp_path: Path
) -> None:
    before = served["part"]
    hostile = make(BY_NAME[name], tmp_path / "new" / "part.residua")
    own.rename(tmp_path / "old")
    hostile.rename(own)
    for _ in range(6):  # a bundle that cannot be read may be on its way
        served.refresh("part")
    assert served["part"] is before
    assert served.failure("part")


@pytest.mark.parametrize("name", HARMFUL)
def test_a_hostile_replacement_leaves_the_old_model_watching(
    name: str, own: Path, tmp_path: Path
) -> None:
    said: list[str] = []
    live = LiveModel(own, Notices(said.append), threads=1, engine="onnxruntime")
    images = np.full((1, 8, 8, 1), 9, np.uint8)
    expected, revision = live.score(images).scores, live.revision
    hostile = make(BY_NAME[name], tmp_path / "new" / "part.residua")
    own.rename(tmp_path / "old")
    hostile.rename(own)
    for now in (10.0, 20.0, 30.0):
        live.refresh(now)
    assert live.revision == revision
    assert live.score(images).scores == pytest.approx(expected)
    assert any("goes on" in text for text in said)


def test_a_hostile_bundle_is_not_recalibrated(tmp_path: Path) -> None:
    folder = make(
        BY_NAME["weights.safetensors is a link to a file outside"], tmp_path / "m.residua"
    )
    with pytest.raises(BundleRefused, match="is a link"):
        recalibrate(folder, np.zeros((40, 8, 8), np.uint8), output=tmp_path / "new.residua")
    assert not (tmp_path / "new.residua").exists()


def test_a_second_name_of_a_file_keeps_its_content_when_the_bundle_is_replaced(
    tmp_path: Path,
) -> None:
    folder = make(BY_NAME["a file has a second name outside"], tmp_path / "m.residua")
    before = (tmp_path / "other").read_bytes()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        recalibrate(folder, np.random.default_rng(0).integers(0, 256, (40, 8, 8), np.uint8))
    assert (tmp_path / "other").read_bytes() == before
    assert (folder / CALIBRATION).read_bytes() != before


@pytest.mark.parametrize("name", [GRAPH, WEIGHTS])
def test_a_file_swapped_after_it_was_verified_is_not_used(name: str, own: Path) -> None:
    opened = open_bundle(own)
    (own / name).write_bytes((own / name).read_bytes() + b"\0")
    with pytest.raises(BundleAltered, match="altered while it was in use"):
        opened.read_graph() if name == GRAPH else opened.read_weights()


def test_a_model_that_needs_more_memory_than_is_free_is_not_begun(
    own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needed = open_bundle(own).working_memory
    where = "residua.engines.with_onnx_runtime.free_memory"
    images = np.zeros((1, 8, 8, 1), np.uint8)
    monkeypatch.setattr(where, lambda: needed - 1)
    with pytest.raises(EngineFailed, match="of memory are free"):
        BundleScorer(own, engine="onnxruntime").score_batch(images)
    monkeypatch.setattr(where, lambda: needed)
    assert BundleScorer(own, engine="onnxruntime").score_batch(images).scores.shape == (1,)


def test_what_is_free_is_shared_out_among_batches_at_a_time(
    own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = open_bundle(own)
    where = "residua.engines.with_onnx_runtime.free_memory"
    monkeypatch.setattr(where, lambda: 3 * opened.working_memory)
    open_default(opened, Load(threads=4, at_once=3))
    with pytest.raises(EngineFailed, match="of memory are free"):
        open_default(opened, Load(threads=4, at_once=4))


def change_weight(folder: Path, name: str, change: Callable[[Any], Any]) -> None:
    weights = load_file(folder / WEIGHTS)
    weights[name] = change(weights[name])
    save_file(weights, folder / WEIGHTS)
    sign(folder)


def test_finite_weights_that_overflow_give_no_verdict(own: Path) -> None:
    change_weight(own, "to_code.weight", lambda w: np.full_like(w, 3e38))
    images = np.full((2, 8, 8), 200, np.uint8)
    with pytest.raises(EngineFailed, match="NaN or infinite"):
        load(own).predict(images)
    engine = TorchEngine(open_bundle(own), Load(threads=1, at_once=1), "float32")
    with pytest.raises(EngineFailed, match="NaN or infinite"):
        engine(images[..., None])


def test_a_score_whose_numbers_do_not_go_together_is_refused_when_it_is_loaded(own: Path) -> None:
    change_weight(own, "score.parts.3.references", lambda w: np.repeat(w, 2, axis=1))
    with pytest.raises(BundleAltered, match="does not fit"):
        load(own)


def test_what_is_not_trained_may_be_infinite_but_not_nan(own: Path) -> None:
    name = "encoder.1.running_var"
    change_weight(own, name, lambda w: np.full_like(w, np.inf))
    load(own)
    change_weight(own, name, lambda w: np.full_like(w, np.nan))
    with pytest.raises(BundleAltered, match="NaN or infinite"):
        load(own)


def test_a_grid_larger_than_any_picture_is_no_manifest(own: Path) -> None:
    manifest = json.loads((own / MANIFEST).read_text())
    manifest["model"]["backbone"] = {
        "name": "b", "sha256": "0", "maps": ["m"], "descriptor": None, "channels": [1],
        "grid": [10**9, 1], "width": 1,
    }  # fmt: skip
    (own / MANIFEST).write_text(json.dumps(manifest))
    sign(own)
    with pytest.raises(BundleError, match=r"grid\.0"):
        open_bundle(own)


@pytest.mark.parametrize("schema", [1, 2])
def test_a_bundle_of_an_earlier_day_gives_the_scores_that_it_gave(schema: int) -> None:
    path = KEPT.parent / f"schema_{schema}"
    images = np.stack([np.full((8, 8), 40), np.eye(8) * 255]).astype(np.uint8)
    manifest = json.loads((path / MANIFEST).read_text())
    assert manifest["schema_version"] == schema
    by_torch = load(path).anomaly_scores(images)
    by_onnx = BundleScorer(path, engine="onnxruntime").anomaly_scores(images)
    np.testing.assert_allclose(by_torch, SCORES_THEN, atol=1e-5)
    np.testing.assert_allclose(by_onnx, SCORES_THEN, atol=1e-5)


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A file of a sound bundle with some bytes put in, taken out or repeated."""
    content = bytearray(draw(st.sampled_from(list(seeds()))))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(1, len(content)))
        much = draw(st.integers(0, 40))
        new = draw(st.one_of(st.binary(max_size=12), st.just(bytes(content[1 : 1 + much]))))
        content[at : at + draw(st.integers(0, 12))] = new
    return bytes(content)


@given(mutated())
@settings(
    max_examples=200,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
def test_a_bundle_with_a_mutated_file_works_or_is_refused(data: bytes) -> None:
    one(data)
