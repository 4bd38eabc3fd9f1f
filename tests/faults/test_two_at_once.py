"""Two processes that write one output: one of the two, whole, or the second is refused."""

from __future__ import annotations

import contextlib
import csv
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.conftest import finished
from tests.faults.conftest import Residua

from reliability.killing import Room, digests, write_pictures
from residua import AutoencoderDetector
from residua.errors import OutputError, StoreInUse
from residua.evaluation.evaluate import evaluate
from residua.evaluation.scored import score_source
from residua.images.resolve import resolve_source
from residua.report.page.write import write_report
from residua.service.models import ServedModels
from residua.service.settings import Retention, ServiceSettings
from residua.service.station import Station
from residua.workspace import alone_in


def test_a_second_fit_with_one_checkpoint_is_refused_and_leaves_the_first_alone(
    blobs: NDArray[np.uint8], tmp_path: Path
) -> None:
    epoch = tmp_path / "partial" / "attempt-0" / "last.ckpt"
    epoch.parent.mkdir(parents=True)
    epoch.write_bytes(b"of the first")
    decoded = tmp_path / "partial" / "residua-decoded-of-the-first"
    decoded.mkdir()
    second = AutoencoderDetector(epochs=1, checkpoint_dir=tmp_path / "partial")
    with alone_in(tmp_path / "partial", "fit"):
        with pytest.raises(OutputError, match=r"another process runs a fit in .*partial; wait"):
            second.fit(blobs)
        assert epoch.read_bytes() == b"of the first"
        assert decoded.is_dir()


def test_a_fit_that_ended_leaves_the_state_of_one_that_has_begun(
    residua: Residua, trusted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, epoch = tmp_path / "m.residua", tmp_path / "m.residua.partial" / "last.ckpt"
    save = AutoencoderDetector.save
    with contextlib.ExitStack() as second:

        def overtaken(detector: AutoencoderDetector, path: Path) -> None:
            save(detector, path)
            epoch.parent.mkdir(exist_ok=True)
            second.enter_context(alone_in(epoch.parent, "fit"))
            epoch.write_bytes(b"of the second")

        monkeypatch.setattr(AutoencoderDetector, "save", overtaken)
        given = ("--epochs", 12, "--precision", "float32", "--device", "cpu")
        code, said = residua("fit", trusted, "-o", model, *given)
        assert code == 0, said
        assert epoch.read_bytes() == b"of the second"
        assert (epoch.parent / ".fit.lock").exists()


def test_a_service_that_fails_to_begin_leaves_its_store_to_the_next(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = ServiceSettings(
        bundles={"m": bundle}, data=tmp_path, retention=Retention(keep="all"), threads=1
    )
    with monkeypatch.context() as patch:
        patch.setattr(ServedModels, "start", lambda _: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            Station(settings)
    finished(Station(settings).close())


def test_two_scores_to_one_table_leave_one_whole_table(bundle: Path, tmp_path: Path) -> None:
    room = Room(tmp_path / "room")
    few, many = (write_pictures(tmp_path / str(n), n) for n in (200, 300))
    both = [
        room.start(("score", bundle, data, "--out", "scores.csv", "--maps", "maps"))
        for data in (few, many)
    ]
    said = [process.communicate(timeout=60)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    rows = list(csv.DictReader((room.folder / "scores.csv").read_text().splitlines()))
    assert len({row["id"] for row in rows}) == len(rows)
    assert len(rows) in (200, 300)
    assert len(digests(room.folder / "maps")) == 300
    assert not room.litter()


def test_a_report_waits_for_another_one_of_its_name(
    bundle: Path, incoming: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("residua.report.page.write._PATIENCE", 0.2)
    scored = score_source(bundle, resolve_source(str(incoming / "good")))
    given = {
        "title": "t",
        "model": bundle,
        "scored": scored,
        "evaluation": evaluate(scored, model=bundle),
    }
    (tmp_path / "page").mkdir()
    with alone_in(tmp_path / "page", "report"):
        with pytest.raises(OutputError, match="another process runs a report"):
            write_report(tmp_path / "page.html", **given)
        assert not (tmp_path / "page.html").exists()
    assert write_report(tmp_path / "page.html", **given).exists()


def test_a_second_service_with_one_review_store_is_refused(bundle: Path, tmp_path: Path) -> None:
    settings = ServiceSettings(
        bundles={"m": bundle}, data=tmp_path, retention=Retention(keep="all"), threads=1
    )
    first = Station(settings)
    with pytest.raises(StoreInUse, match=r"another service keeps its reviews in .* --data of its"):
        Station(settings)
    finished(first.close())
    finished(Station(settings).close())
