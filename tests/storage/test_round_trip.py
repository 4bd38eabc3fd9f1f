"""Everything in an object store: models, pictures and results give what they give on a disk."""

from __future__ import annotations

import csv
import io
import json
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from unittest.mock import Mock
from uuid import uuid4

import numpy as np
import pytest
from PIL import Image

from residua import AutoencoderDetector, load, storage
from residua.bundle import CHECKSUMS, GRAPH, MANIFEST, open_bundle
from residua.cli import main
from residua.errors import (
    BundleAltered,
    BundleIncomplete,
    BundleNotFound,
    ConfigurationError,
    NotABundle,
    OutputError,
    StorageDenied,
    StorageError,
    StorageUnreachable,
    TooFewForThreshold,
)
from residua.recalibration import plan_recalibration, recalibrate
from residua.results import verdict_file
from residua.runtime import BundleScorer
from residua.service.models import ServedModels
from residua.watching.model import LiveModel
from residua.watching.notices import Notices
from residua.watching.watch import default_ledger, watch

Command = Callable[..., tuple[int, str]]


@pytest.fixture
def residua(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> Command:
    """Run a command in this process; returns its exit code and what it said."""
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "200")

    def run(*words: object) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["residua", *map(str, words)])
        capsys.readouterr()
        try:
            main()
        except SystemExit as end:
            code = 0 if end.code is None else int(end.code)
        else:
            code = 0
        said = capsys.readouterr()
        return code, said.out + said.err

    return run


@pytest.fixture(scope="module")
def folder(blobs, stripes, tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("incoming")
    for name, images in (("good", blobs[:30]), ("bad", stripes[:6])):
        (root / name).mkdir()
        for number, image in enumerate(images):
            Image.fromarray(image).save(root / name / f"{number:02}.png")
    return root


@pytest.fixture
def pictures(bucket: str, folder: Path) -> str:
    storage.store_at(f"{bucket}/line 3/ü", folder)
    return f"{bucket}/line 3/ü"


@pytest.fixture
def model(bucket: str, bundle: Path) -> str:
    storage.store_at(f"{bucket}/models/part.residua", bundle)
    return f"{bucket}/models/part.residua"


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def stored_text(url: str) -> str:
    return storage.read_bytes(url).decode()


def test_a_model_fitted_in_a_store_is_that_fitted_on_a_disk(
    residua, pictures, folder, bucket, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    options = ("--epochs", 60, "--precision", "float32", "--channels", 1)
    code, said = residua("fit", f"{pictures}/good", "-o", f"{bucket}/new.residua", *options)
    assert code == 0, said
    assert f"residua score {bucket}/new.residua FOLDER" in said
    assert list(tmp_path.iterdir()) == []  # nothing is left of what --resume would need
    assert residua("fit", folder / "good", "-o", tmp_path / "new.residua", *options)[0] == 0
    there, here = open_bundle(f"{bucket}/new.residua"), open_bundle(tmp_path / "new.residua")
    assert there.weights.read_bytes() == here.weights.read_bytes()
    assert there.manifest.threshold == here.manifest.threshold
    code, said = residua("fit", f"{pictures}/good", "-o", f"{bucket}/new.residua")
    assert code == 1
    assert f"{bucket}/new.residua exists" in said


def test_scores_in_a_store_are_those_on_a_disk(residua, model, pictures, bundle, folder, bucket):
    for suffix in ("csv", "jsonl"):
        out = f"{bucket}/out/scores.{suffix}"
        code, said = residua("score", model, pictures, "--out", out)
        assert (code, f"scores: {out}" in said) == (0, True), said
        with verdict_file(folder.parent / f"here.{suffix}") as write:
            for verdict in BundleScorer(bundle).verdicts(folder):
                write(verdict)
        assert stored_text(out) == (folder.parent / f"here.{suffix}").read_text()


def test_scores_as_parquet_and_heat_maps_go_to_a_store(residua, model, pictures, folder, bucket):
    pq = pytest.importorskip("pyarrow.parquet")
    out, maps = f"{bucket}/out/scores.parquet", f"{bucket}/out/maps"
    code, said = residua("score", model, pictures, "--out", out, "--maps", maps)
    assert code == 0, said
    table = pq.read_table(io.BytesIO(storage.read_bytes(out)))
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.png"))
    assert table.column("id").to_pylist() == names
    assert storage.list_files(maps) == [f"{name}.png" for name in names]
    assert storage.read_bytes(f"{maps}/{names[0]}.png").startswith(b"\x89PNG")


def test_an_object_that_is_missing_or_bad_is_a_row(residua, model, pictures, bucket):
    missing, bad = f"{pictures}/none.png", f"{pictures}/bad/broken.png"
    storage.write_bytes(bad, b"")
    out = f"{bucket}/scores.csv"
    code, _ = residua("score", model, f"{pictures}/good/00.png", missing, bad, "--out", out)
    assert code == 1
    found = rows(stored_text(out))
    assert [row["id"] for row in found] == [f"{pictures}/good/00.png", missing, bad]
    assert [bool(row["error"]) for row in found] == [False, True, True]
    assert missing in found[1]["error"]


def test_evaluation_and_report_go_to_a_store(residua, model, pictures, bucket, bundle, folder):
    out = f"{bucket}/out/evaluation.json"
    code, said = residua("evaluate", model, pictures, "--resamples", 100, "--out", out, "--json")
    assert code == 0, said
    code, said = residua("evaluate", bundle, folder, "--resamples", 100, "--json")
    here, there = json.loads(said), json.loads(stored_text(out))
    differing = {name for name in here if here[name] != there[name]}
    assert differing <= {"seconds", "model", "data", "created"}, differing
    page = f"{bucket}/out/report.html"
    code, said = residua("report", model, pictures, "-o", page, "--no-advice", "--max-gallery", 2)
    assert code == 0, said
    assert f"report: {page} (" in said
    assert f"numbers and figures: {bucket}/out/report/" in said
    assert stored_text(page).lower().startswith("<!doctype html")
    names = storage.list_files(f"{bucket}/out")
    assert any(name.startswith("report/") and name.endswith(".csv") for name in names)


def test_info_and_advice_are_given_of_models_in_a_store(residua, model, pictures, bucket):
    code, said = residua("info", model)
    assert (code, "part.residua" in said) == (0, True)
    code, said = residua("advise", model, pictures, "--out", f"{bucket}/advice")
    assert code == 0, said
    assert "findings.json" in storage.list_files(f"{bucket}/advice")


def test_a_recalibrated_model_takes_the_place_of_the_one_in_the_store(
    residua, model, pictures, bucket
):
    before = open_bundle(model)
    other = f"{bucket}/models/line-3.residua"
    code, said = residua("recalibrate", model, f"{pictures}/good", "-o", other)
    assert code == 0, said
    assert f"written: {other}" in said
    with pytest.warns(TooFewForThreshold, match="30 held-out"):
        found = recalibrate(model, f"{pictures}/good")
    assert found.path == model
    after = open_bundle(model)
    assert after.manifest.recalibrated is not None
    assert after.manifest.recalibrated.source == f"{pictures}/good"
    assert after.manifest.threshold == open_bundle(other).manifest.threshold
    assert after.graph.read_bytes() == before.graph.read_bytes()


def test_a_recalibration_is_not_written_over_a_model_that_was_replaced(model, pictures, bundle):
    plan = plan_recalibration(model, f"{pictures}/good")
    recalibrate_other = open_bundle(bundle).manifest.model_dump_json() + "\n"
    storage.write_bytes(f"{model}/{CHECKSUMS}", recalibrate_other.encode())
    with pytest.raises(BundleAltered, match=model):
        plan.write()


def test_a_detector_is_saved_to_a_store_and_loaded_from_it(detector, bucket, blobs):
    url = f"{bucket}/deep/er/blobs.residua"
    assert detector.save(url) == url
    assert load(url).anomaly_scores(blobs[:5]) == pytest.approx(detector.anomaly_scores(blobs[:5]))


def test_the_state_of_a_fit_in_a_store_is_refused_before_any_work(bucket):
    detector = AutoencoderDetector(checkpoint_dir=f"{bucket}/state")
    with pytest.raises(ConfigurationError, match="the state of a fit needs a disk"):
        detector.fit("s3://no-such-bucket/at-all")


def test_a_bundle_is_copied_once_and_again_when_it_was_replaced(model, bundle, monkeypatch):
    first = open_bundle(model)
    assert (first.origin, first.location) == (model, model)
    monkeypatch.setattr(storage.copies, "fetch", lambda *_, **__: pytest.fail("copied again"))
    assert open_bundle(model).path == first.path
    monkeypatch.undo()


def test_a_bundle_that_is_not_whole_is_named_for_what_it_is(model, bucket):
    with pytest.raises(BundleNotFound, match=f"no bundle at {bucket}/none.residua"):
        open_bundle(f"{bucket}/none.residua")
    with pytest.raises(NotABundle, match=f"{bucket}/models is not a Residua bundle"):
        open_bundle(f"{bucket}/models")
    whole = storage.read_bytes(f"{model}/{GRAPH}")
    storage.write_bytes(f"{model}/{GRAPH}", whole[:-1] + b"?")
    with pytest.raises(BundleAltered, match=f"{model}/{GRAPH} is not the file that was saved"):
        open_bundle(model)
    storage.write_bytes(f"{model}/{GRAPH}", whole)
    open_bundle(model)  # nothing is kept of the altered one
    store, path = storage.filesystem(model)
    store.rm_file(f"{path}/{CHECKSUMS}")
    with pytest.raises(BundleIncomplete, match=f"{model} lacks {CHECKSUMS}.*still being written"):
        open_bundle(model)


def test_a_bundle_that_lacks_a_file_says_which(model, bucket):
    store, path = storage.filesystem(model)
    store.rm_file(f"{path}/{GRAPH}")
    with pytest.raises(BundleIncomplete, match=f"{model} lacks {GRAPH}"):
        open_bundle(model)


def test_an_upload_that_breaks_off_leaves_no_bundle(detector, bucket, monkeypatch):
    url = f"{bucket}/part.residua"
    detector.save(url)
    store, _ = storage.filesystem(url)
    put = store.put_file

    def breaking(lpath: str, rpath: str) -> None:
        if rpath.endswith(GRAPH):
            raise ConnectionResetError("broken off")
        put(lpath, rpath)

    monkeypatch.setattr(store, "put_file", breaking)
    with pytest.raises(StorageUnreachable, match="does not answer"):
        detector.save(url)
    assert not {MANIFEST, CHECKSUMS} & set(storage.list_files(url))
    with pytest.raises(BundleIncomplete):
        open_bundle(url)


def test_no_bundle_is_written_over_something_else(detector, bucket):
    storage.write_bytes(f"{bucket}/precious/data.csv", b"1")
    for url in (f"{bucket}/precious", f"{bucket}/precious/data.csv"):
        with pytest.raises(OutputError, match="exists and is not a Residua bundle"):
            detector.save(url)
    assert storage.list_files(bucket) == ["precious/data.csv"]


def test_what_may_not_be_written_is_refused_before_the_work(
    residua, bundle, folder, bucket, monkeypatch
):
    monkeypatch.setattr("moto.settings.INITIAL_NO_AUTH_ACTION_COUNT", 0)
    monkeypatch.setattr(
        "residua.images.resolve.as_source", lambda *_, **__: pytest.fail("work was begun")
    )
    for words in (
        ("fit", folder, "-o", f"{bucket}/new.residua"),
        ("score", bundle, folder, "--out", f"{bucket}/scores.csv"),
        ("score", bundle, folder, "--maps", f"{bucket}/maps"),
        ("evaluate", bundle, folder, "--out", f"{bucket}/e.json"),
        ("report", bundle, folder, "-o", f"{bucket}/r.html"),
        ("advise", bundle, folder, "--out", f"{bucket}/advice"),
        ("recalibrate", bundle, folder, "-o", f"{bucket}/new.residua"),
        ("refine", folder, "-o", f"{bucket}/new.residua"),
    ):
        code, said = residua(*words)
        assert code == 1, words
        assert "does not let" in said, words
    with pytest.raises(StorageDenied), verdict_file(f"{bucket}/scores.csv"):
        pass


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (("watch", "BUNDLE", "FOLDER", "--out", "s3://b/x.csv"), "rows are appended needs a disk"),
        (("watch", "BUNDLE", "FOLDER", "--ledger", "s3://b/x"), "the ledger needs a disk"),
        (("watch", "BUNDLE", "FOLDER", "--heatmaps", "s3://b/x"), "heat maps needs a disk"),
        (("watch", "BUNDLE", "s3://b/incoming"), "a folder that is watched needs a disk"),
        (("serve", "BUNDLE", "--data", "s3://b/x"), "the review store needs a disk"),
        (("refine", "FOLDER", "-o", "x.residua", "--folder", "s3://b/x"), "search needs a disk"),
    ],
)
def test_what_needs_a_disk_refuses_a_url(
    words, what, residua, bundle, folder, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    # A service, which refuses after it has begun to log, would log there for the tests to come.
    monkeypatch.setattr("residua.service.logs.configure", lambda *_: None)
    places = {"BUNDLE": bundle, "FOLDER": folder}
    code, said = residua(
        *(places.get(word, word) for word in words), *["--once"][words[0] != "watch" :]
    )
    assert code == 2, said
    assert what in said


def test_a_served_model_follows_its_bundle_in_the_store(model, bundle, pictures, blobs, tmp_path):
    models = ServedModels({"part": model}, every=1000.0)
    try:
        first = models["part"].revision
        assert models["part"].compute(blobs[:2, ..., None], at_once=1).scores.shape == (2,)
        assert models.refresh("part") is None
        with pytest.warns(TooFewForThreshold, match="30 held-out"):
            recalibrate(bundle, f"{pictures}/good", output=tmp_path / "other.residua")
        storage.store_at(model, tmp_path / "other.residua")
        found = models.refresh("part")
        assert found is not None
        assert found.model is models["part"]
        assert models["part"].revision != first
    finally:
        models.close()


def test_a_watched_model_follows_its_bundle_in_the_store(model, bundle, pictures, tmp_path):
    said: list[str] = []
    live = LiveModel(model, Notices(said.append))
    assert live.name == "part"
    first = live.revision
    with pytest.warns(TooFewForThreshold, match="30 held-out"):
        recalibrate(bundle, f"{pictures}/good", output=tmp_path / "other.residua")
    storage.store_at(model, tmp_path / "other.residua")
    looked(live, range(100, 400, 100))
    assert live.revision != first
    assert [f"the bundle at {model} was replaced" in line for line in said] == [True]


def looked(live: LiveModel, times: Iterable[float]) -> None:
    """Have a model look at its bundle at some times, and take what it found."""
    for now in times:
        live.refresh(float(now))
        end = time.monotonic() + 20
        while live._looking is not None and time.monotonic() < end:
            live.refresh(float(now))
            time.sleep(0.01)


def test_a_watched_model_goes_on_while_its_store_is_away(model, monkeypatch):
    said: list[str] = []
    live = LiveModel(model, Notices(said.append))
    answer = threading.Event()

    def away(path: object) -> str:
        answer.wait(20)
        raise OSError("away") from StorageUnreachable("away")

    monkeypatch.setattr("residua.watching.model.revision_of", away)
    started = time.monotonic()
    live.refresh(100.0)
    live.refresh(200.0)
    assert time.monotonic() - started < 10  # it does not wait for the store
    answer.set()
    looked(live, range(300, 600, 100))
    monkeypatch.undo()
    looked(live, range(600, 900, 100))
    assert said == []


def test_a_served_model_is_sound_again_after_its_store_was_away(model, monkeypatch):
    models = ServedModels({"part": model}, every=1000.0)
    try:

        def away(path: object) -> str:
            raise OSError(5, "away") from StorageUnreachable("away")

        models.refresh("part")
        with monkeypatch.context() as outage:
            outage.setattr("residua.service.models.revision_of", away)
            for _ in range(6):
                models.refresh("part")
        assert "cannot be read" in (models.failure("part") or "")
        with monkeypatch.context() as outage:
            outage.setattr("residua.service.models.open_bundle", Mock(side_effect=StorageError))
            models.refresh("part")
        assert models.failure("part") is not None
        models.refresh("part")
        assert models.failure("part") is None
    finally:
        models.close()


def test_a_result_in_the_memory_of_the_command_is_refused(residua, bundle, folder):
    for words in (("--out", "memory://x.csv"), ("--maps=memory://maps",)):
        code, said = residua("score", bundle, folder, *words)
        assert (code, "memory of this process" in said) == (2, True), said


def test_pictures_are_watched_with_a_model_in_a_store(model, folder, tmp_path):
    copy = Path(shutil.copytree(folder / "bad", tmp_path / "in"))
    tally = watch(
        model,
        copy,
        out=tmp_path / "rows.csv",
        ledger=tmp_path / "ledger",
        once=True,
        settle=0.0,
        stop=threading.Event(),
    )
    assert (tally.scored, tally.flagged) == (6, 6)
    assert default_ledger(model, copy) != default_ledger(f"{model}-2", copy)


def test_a_local_file_url_is_the_local_path_everywhere(residua, bundle, folder, tmp_path):
    out = tmp_path / "scores.csv"
    code, said = residua("score", f"file://{bundle}", f"file://{folder}", "--out", f"file://{out}")
    assert code == 0, said
    assert len(rows(out.read_text())) == 36


def test_a_store_in_memory_does_as_well(bundle, folder, blobs):
    url = f"memory://residua-{uuid4().hex}/m.residua"
    storage.store_at(url, bundle)
    here = BundleScorer(bundle).anomaly_scores(blobs[:4])
    assert np.array_equal(BundleScorer(url).anomaly_scores(blobs[:4]), here)
    storage.filesystem(url)[0].rm(url.partition(":/")[2], recursive=True)
