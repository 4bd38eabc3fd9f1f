from __future__ import annotations

import json
import os
import shutil
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.watching.conftest import Running, Server, encoded, ids_of, place, rows_of, until

from residua.bundle import open_bundle
from residua.bundle_writing import write_recalibrated
from residua.errors import (
    ConfigurationError,
    EngineFailed,
    LedgerInUse,
    LedgerUnusable,
    UnreadableFile,
)
from residua.runtime import BundleScorer
from residua.watching.watch import default_ledger, watch

Start = Callable[..., Running]


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "scores.jsonl"


@pytest.fixture
def incoming(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    return tmp_path / "in"


@pytest.fixture
def sound(blobs: NDArray[np.uint8]) -> bytes:
    return encoded(blobs[0])


@pytest.fixture
def odd(stripes: NDArray[np.uint8]) -> bytes:
    return encoded(stripes[0])


def quiet(out: Path, count: int, seconds: float = 0.3) -> None:
    """Wait for so many rows, and see that no more come."""
    until(lambda: len(rows_of(out)) >= count)
    time.sleep(seconds)
    assert len(rows_of(out)) == count


def test_what_is_there_is_scored_first_and_then_what_comes(
    running: Start, incoming: Path, sound: bytes, odd: bytes, out: Path, bundle: Path
) -> None:
    place(incoming / "early.png", sound)
    watcher = running(incoming)
    until(lambda: ids_of(out) == ["early.png"])
    place(incoming / "deep" / "er" / "late.png", odd)
    until(lambda: ids_of(out) == ["early.png", "deep/er/late.png"])
    tally = watcher.stop()
    assert (tally.scored, tally.flagged, tally.failed) == (2, 1, 0)
    early, late = rows_of(out)
    expected = list(BundleScorer(bundle).verdicts(incoming))
    assert late["score"] == pytest.approx(expected[0].score, abs=1e-5)
    assert early["score"] == pytest.approx(expected[1].score, abs=1e-5)
    assert (early["label"], late["label"]) == (None, "deep")
    assert late["p"] == expected[0].p
    assert [early["anomalous"], late["anomalous"]] == [False, True]
    assert late["time"].endswith("Z")


def test_only_pictures_are_taken_and_neither_hidden_nor_temporary_ones(
    running: Start, incoming: Path, sound: bytes, out: Path
) -> None:
    unwanted = ("notes.txt", ".hidden.png", "~a.png", "a.tmp.png", "a.png.part", ".dir/a.png")
    for name in unwanted:
        place(incoming / f"before-{name}" if name[0] not in ".~" else incoming / name, sound)
    running(incoming, settle=0.0).ready()
    for name in (*unwanted, ".thumbs/a.png", "deep/.thumbs/a.png"):
        place(incoming / name, sound)
    place(incoming / "GOOD.JPG", sound)
    quiet(out, 1)
    assert ids_of(out) == ["GOOD.JPG"]


def test_a_rewritten_file_is_a_new_picture_and_a_touched_one_is_not(
    running: Start, incoming: Path, sound: bytes, odd: bytes, out: Path
) -> None:
    file = place(incoming / "a.png", sound)
    running(incoming)
    until(lambda: len(rows_of(out)) == 1)
    file.touch()
    quiet(out, 1)
    file.write_bytes(odd)
    until(lambda: len(rows_of(out)) == 2)
    place(file, sound)  # known: it was scored under this name
    quiet(out, 2)
    assert [row["anomalous"] for row in rows_of(out)] == [False, True]


def test_the_same_content_under_another_name_is_another_picture(
    running: Start, incoming: Path, sound: bytes, out: Path
) -> None:
    place(incoming / "a.png", sound)
    place(incoming / "b.png", sound)
    running(incoming)
    quiet(out, 2)
    first, second = rows_of(out)
    assert first["sha256"] == second["sha256"]


def test_a_file_written_in_pieces_with_long_pauses_is_read_when_it_is_whole(
    running: Start, incoming: Path, out: Path
) -> None:
    whole = encoded(np.random.default_rng(0).integers(0, 256, (64, 64), np.uint8), "JPEG")
    watcher = running(incoming, settle=0.1, patience=5.0)
    with (incoming / "slow.jpg").open("wb") as file:
        for at in range(0, len(whole), len(whole) // 4 + 1):
            file.write(whole[at : at + len(whole) // 4 + 1])
            file.flush()
            time.sleep(0.2)
    quiet(out, 1)
    (row,) = rows_of(out)
    assert row["error"] is None
    assert watcher.said == []


def test_what_never_decodes_is_an_error_row_after_patience(
    running: Start, incoming: Path, sound: bytes, out: Path
) -> None:
    place(incoming / "broken.png", sound[:-30])
    begun = time.monotonic()
    running(incoming, patience=0.4)
    quiet(out, 1)
    assert time.monotonic() - begun > 0.4
    (row,) = rows_of(out)
    assert "cut short or corrupt" in row["error"]
    assert (row["score"], row["anomalous"]) == (None, None)


def test_a_broken_file_that_is_completed_is_scored(
    running: Start, incoming: Path, sound: bytes, out: Path
) -> None:
    file = incoming / "late.png"
    file.write_bytes(sound[:-30])
    running(incoming, patience=0.3)
    until(lambda: len(rows_of(out)) == 1)
    file.write_bytes(sound)
    until(lambda: len(rows_of(out)) == 2)
    broken, whole = rows_of(out)
    assert broken["error"] is not None
    assert whole["error"] is None


def test_a_file_that_vanishes_before_it_is_read_is_no_error(
    running: Start, incoming: Path, sound: bytes, out: Path
) -> None:
    watcher = running(incoming, settle=0.3).ready()
    place(incoming / "gone.png", sound)
    time.sleep(0.15)
    (incoming / "gone.png").unlink()
    place(incoming / "stays.png", sound)
    quiet(out, 1)
    assert ids_of(out) == ["stays.png"]
    assert watcher.said == []


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_an_error_row_and_scored_once_it_has_it(
    running: Start, incoming: Path, sound: bytes, out: Path
) -> None:
    place(incoming / "a.png", sound).chmod(0)
    running(incoming, patience=0.3)
    until(lambda: len(rows_of(out)) == 1)
    assert "permission denied" in rows_of(out)[0]["error"]
    (incoming / "a.png").chmod(0o600)
    until(lambda: len(rows_of(out)) == 2)
    assert rows_of(out)[1]["error"] is None


def test_a_file_that_may_not_be_opened_is_an_error_row_after_patience(
    running: Start, incoming: Path, sound: bytes, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place(incoming / "a.png", sound)
    real = os.open

    def refused(path: object, *rest: int, **more: int) -> int:
        if os.fsencode(str(path) if isinstance(path, Path) else path).endswith(b"a.png"):
            raise PermissionError(13, "Permission denied")
        return real(path, *rest, **more)

    with monkeypatch.context() as patch:
        patch.setattr("residua.watching.folder.os.open", refused)
        running(incoming, patience=0.2)
        quiet(out, 1)
    (row,) = rows_of(out)
    assert "permission denied" in row["error"]
    assert row["sha256"] is None
    (incoming / "a.png").touch()
    until(lambda: len(rows_of(out)) == 2)
    assert rows_of(out)[1]["error"] is None


def test_a_file_that_a_disk_could_not_give_is_read_when_it_can_be(
    running: Start, incoming: Path, sound: bytes, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = place(incoming / "a.png", sound)
    looks, fails = file.stat(), True
    real = os.fdopen

    def failing(*given: Any, **more: Any) -> Any:
        opened = real(*given, **more)
        if fails and os.path.samestat(os.fstat(opened.fileno()), looks):
            opened.close()
            raise OSError(5, "Input/output error")
        return opened

    monkeypatch.setattr("residua.watching.folder.os.fdopen", failing)
    monkeypatch.setattr("residua.watching.rounds._EVERY", 0.2)
    running(incoming, patience=0.0)
    quiet(out, 1)  # one row, though it is tried again and again
    assert "Input/output error" in rows_of(out)[0]["error"]
    fails = False
    until(lambda: len(rows_of(out)) == 2)
    assert rows_of(out)[1]["error"] is None


def test_a_pipe_named_like_a_picture_holds_up_nothing(
    running: Start, incoming: Path, sound: bytes, out: Path
) -> None:
    os.mkfifo(incoming / "a.png")
    place(incoming / "b.png", sound)
    watcher = running(incoming)
    quiet(out, 1, 0.3)
    os.mkfifo(incoming / "c.png")
    time.sleep(0.5)
    assert watcher.stop().scored == 1


def test_500_pictures_at_once_are_500_rows(
    running: Start, incoming: Path, blobs: NDArray[np.uint8], out: Path
) -> None:
    contents = [encoded(one) for one in blobs]
    watcher = running(incoming, settle=0.2).ready()
    for number in range(500):
        (incoming / f"{number:03}.png").write_bytes(contents[number % len(contents)])
    quiet(out, 500)
    assert sorted(ids_of(out)) == [f"{number:03}.png" for number in range(500)]
    assert watcher.stop().scored == 500


def test_a_restart_scores_nothing_twice_and_what_came_meanwhile(
    running: Start, incoming: Path, sound: bytes, out: Path
) -> None:
    place(incoming / "a.png", sound)
    first = running(incoming)
    until(lambda: len(rows_of(out)) == 1)
    first.stop()
    place(incoming / "b.png", sound)
    second = running(incoming)
    quiet(out, 2)
    assert second.stop().scored == 1


def test_only_new_skips_what_is_there_at_the_very_first_start_alone(
    running: Start, incoming: Path, sound: bytes, out: Path
) -> None:
    place(incoming / "old.png", sound)
    first = running(incoming, only_new=True).ready()
    place(incoming / "new.png", sound)
    until(lambda: ids_of(out) == ["new.png"])
    first.stop()
    place(incoming / "meanwhile.png", sound)
    running(incoming, only_new=True)
    quiet(out, 2)
    assert ids_of(out) == ["new.png", "meanwhile.png"]


def test_a_folder_moved_in_with_pictures_is_found(
    running: Start, incoming: Path, sound: bytes, out: Path, tmp_path: Path
) -> None:
    running(incoming).ready()
    place(tmp_path / "elsewhere" / "deep" / "a.png", sound)
    (tmp_path / "elsewhere").rename(incoming / "batch-7")
    until(lambda: ids_of(out) == ["batch-7/deep/a.png"])


def test_polling_finds_what_comes(running: Start, incoming: Path, sound: bytes, out: Path) -> None:
    running(incoming, poll=True).ready()
    place(incoming / "sub" / "a.png", sound)
    until(lambda: ids_of(out) == ["sub/a.png"])


def test_where_the_system_tells_of_no_changes_the_folder_is_looked_through(
    running: Start, incoming: Path, sound: bytes, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none_left(*_: object, **__: object) -> None:
        raise OSError("OS file watch limit reached")

    monkeypatch.setattr("watchfiles.watch", none_left)
    monkeypatch.setattr("residua.watching.rounds._EVERY_UNTOLD", 0.3)
    watcher = running(incoming)
    until(lambda: watcher.said)
    place(incoming / "a.png", sound)
    until(lambda: ids_of(out) == ["a.png"])
    assert [line for line in watcher.said if "watch limit reached" in line] == watcher.said[:1]


def test_changes_that_were_lost_are_found_by_looking_through_the_folder(
    running: Start, incoming: Path, sound: bytes, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("residua.watching.events._MOST_HELD", 1)
    monkeypatch.setattr("residua.watching.rounds._AGAIN", 0.3)
    running(incoming).ready()
    for number in range(30):
        place(incoming / f"{number:02}.png", sound)
    quiet(out, 30)


def test_a_folder_that_is_away_is_said_once_and_taken_up_again(
    running: Start, incoming: Path, sound: bytes, out: Path, tmp_path: Path
) -> None:
    place(incoming / "a.png", sound)
    watcher = running(incoming)
    until(lambda: len(rows_of(out)) == 1)
    incoming.rename(tmp_path / "away")
    until(lambda: watcher.said)
    time.sleep(0.3)
    place(tmp_path / "away" / "b.png", sound)
    (tmp_path / "away").rename(incoming)
    until(lambda: ids_of(out) == ["a.png", "b.png"])
    place(incoming / "c.png", sound)
    until(lambda: ids_of(out) == ["a.png", "b.png", "c.png"])
    away, back = watcher.said
    assert "does not exist; waiting for it" in away
    assert "is there again" in back


def test_a_folder_that_another_takes_the_place_of_is_said(
    running: Start, incoming: Path, sound: bytes, out: Path, tmp_path: Path
) -> None:
    """As mounting does."""
    watcher = running(incoming).ready()
    place(tmp_path / "share" / "a.png", sound)
    incoming.rename(tmp_path / "below")
    (tmp_path / "share").rename(incoming)
    until(lambda: ids_of(out) == ["a.png"])
    place(incoming / "b.png", sound)
    until(lambda: ids_of(out) == ["a.png", "b.png"])
    assert any("another one now" in line or "there again" in line for line in watcher.said)


def test_a_folder_made_anew_is_listened_to_whatever_its_number(
    running: Start, incoming: Path, sound: bytes, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file system may give the new folder the inode of the old one."""
    monkeypatch.setattr("residua.watching.folder.folder_identity", lambda _: (1, 1))
    watcher = running(incoming).ready()
    incoming.rmdir()
    incoming.mkdir()
    until(lambda: any("another one now" in line for line in watcher.said))
    place(incoming / "a.png", sound)
    until(lambda: ids_of(out) == ["a.png"])


def test_a_link_to_a_folder_doubles_no_picture(
    running: Start, incoming: Path, sound: bytes, out: Path
) -> None:
    place(incoming / "2026-11-22" / "a.png", sound)
    (incoming / "today").symlink_to("2026-11-22")
    running(incoming)
    until(lambda: ids_of(out) == ["2026-11-22/a.png"])
    place(incoming / "today" / "b.png", sound)
    (incoming / "now").symlink_to("2026-11-22")
    quiet(out, 2)
    assert ids_of(out)[1] == "2026-11-22/b.png"
    place(incoming / "2026-11-22" / "c.png", sound)
    quiet(out, 3)


def test_a_listener_that_failed_is_tried_again(
    running: Start, incoming: Path, sound: bytes, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none_left(*_: object, **__: object) -> None:
        raise OSError("OS file watch limit reached")

    monkeypatch.setattr("residua.watching.folder._LISTEN_EVERY", 0.2)
    with monkeypatch.context() as patch:
        patch.setattr("watchfiles.watch", none_left)
        watcher = running(incoming)
        until(lambda: watcher.said)
    until(lambda: len(watcher.said) == 2)
    assert "tells of changes again" in watcher.said[1]
    place(incoming / "a.png", sound)
    until(lambda: ids_of(out) == ["a.png"])


def test_a_folder_that_is_listed_again_is_said(
    running: Start, incoming: Path, sound: bytes, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.scandir

    def refused(path: object) -> object:
        if str(path).rstrip("/").endswith("shut"):
            raise PermissionError(13, "Permission denied")
        return real(path)  # type: ignore[call-overload]

    monkeypatch.setattr("residua.watching.rounds._EVERY", 0.1)
    place(incoming / "shut" / "a.png", sound)
    with monkeypatch.context() as patch:
        patch.setattr("residua.watching.walking.os.scandir", refused)
        watcher = running(incoming)
        until(lambda: watcher.said)
    until(lambda: ids_of(out) == ["shut/a.png"])
    until(lambda: len(watcher.said) == 2)
    assert "may not be listed" in watcher.said[0]
    assert "is listed again" in watcher.said[1]


def lowered(bundle: Path, at: Path) -> Path:
    """Write the bundle with another threshold, below every score."""
    opened = open_bundle(bundle)
    threshold = opened.manifest.threshold.model_copy(update={"upper": -1e6})
    manifest = opened.manifest.model_copy(update={"threshold": threshold})
    return write_recalibrated(at, opened, manifest, opened.calibration_scores())


def test_a_bundle_that_is_replaced_is_used_from_then_on(
    running: Start,
    incoming: Path,
    bundle: Path,
    sound: bytes,
    out: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("residua.watching.model._CHECK_EVERY", 0.1)
    own = Path(shutil.copytree(bundle, tmp_path / "own.residua"))
    watcher = running(incoming, bundle=own)
    place(incoming / "a.png", sound)
    until(lambda: len(rows_of(out)) == 1)
    lowered(bundle, own)
    until(lambda: any("was replaced" in line for line in watcher.said))
    place(incoming / "b.png", sound)
    until(lambda: len(rows_of(out)) == 2)
    assert [row["anomalous"] for row in rows_of(out)] == [False, True]
    assert rows_of(out)[1]["threshold"] == -1e6


def test_a_broken_replacement_is_said_once_and_the_old_one_goes_on(
    running: Start,
    incoming: Path,
    bundle: Path,
    sound: bytes,
    out: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("residua.watching.model._CHECK_EVERY", 0.1)
    own = Path(shutil.copytree(bundle, tmp_path / "own.residua"))
    watcher = running(incoming, bundle=own)
    place(incoming / "a.png", sound)
    until(lambda: len(rows_of(out)) == 1)
    (own / "model.onnx").write_bytes(b"half a model")
    until(lambda: watcher.said)
    time.sleep(0.3)
    place(incoming / "b.png", sound)
    until(lambda: len(rows_of(out)) == 2)
    (line,) = watcher.said
    assert "the one before goes on" in line
    assert "model.onnx" in line
    shutil.copy(bundle / "model.onnx", own / "model.onnx")
    until(lambda: len(watcher.said) == 2)
    assert "can be used again" in watcher.said[1]


def test_a_webhook_that_is_down_does_not_stop_scoring_and_gets_it_after_a_restart(
    running: Start, incoming: Path, odd: bytes, sound: bytes, server: Server, out: Path
) -> None:
    server.answer = lambda _: (500, {}, b"")
    place(incoming / "odd.png", odd)
    first = running(incoming, webhook=server.url)
    until(lambda: server.requests)
    place(incoming / "later.png", sound)
    until(lambda: ids_of(out) == ["odd.png", "later.png"])
    first.stop()
    key = server.requests[0].headers["Idempotency-Key"]
    tries = len(server.requests)
    server.answer = lambda _: (200, {}, b"")
    running(incoming, webhook=server.url)
    until(lambda: len(server.requests) > tries)
    time.sleep(0.3)
    (again,) = server.requests[tries:]
    assert again.headers["Idempotency-Key"] == key
    told, row = json.loads(again.body), rows_of(out)[0]
    for name in ("id", "score", "p", "threshold", "time", "sha256"):
        assert told[name] == row[name]
    assert (told["event"], told["model"]) == ("anomaly", "blobs")


@pytest.mark.parametrize("on_error", [True, False])
def test_pictures_that_cannot_be_read_are_told_where_that_is_asked_for(
    on_error: bool, running: Start, incoming: Path, odd: bytes, server: Server, out: Path
) -> None:
    place(incoming / "broken.png", b"")
    place(incoming / "odd.png", odd)
    running(incoming, webhook=server.url, on_error=on_error, patience=0.2)
    until(lambda: len(rows_of(out)) == 2)
    until(lambda: len(server.requests) == 1 + on_error)
    time.sleep(0.2)
    events = sorted(json.loads(request.body)["event"] for request in server.requests)
    assert events == ["anomaly", "error"][: 1 + on_error]


def test_once_scores_what_is_there_tells_of_it_and_ends(
    bundle: Path, incoming: Path, sound: bytes, odd: bytes, server: Server, out: Path
) -> None:
    place(incoming / "a.png", sound)
    place(incoming / "odd.png", odd)
    given = {"ledger": out.with_name("l"), "out": out, "once": True, "settle": 0.1, "threads": 1}
    tally = watch(bundle, incoming, webhook=server.url, **given)
    assert (tally.scored, tally.flagged, tally.waiting) == (2, 1, 0)
    assert len(server.requests) == 1
    assert watch(bundle, incoming, webhook=server.url, **given).scored == 0
    assert len(rows_of(out)) == 2


def test_once_leaves_what_never_stands_still_for_the_next_run(
    running: Start, incoming: Path, sound: bytes, out: Path
) -> None:
    place(incoming / "a.png", sound)
    watcher = running(incoming, once=True, settle=0.2, patience=0.5)
    with (incoming / "growing.png").open("wb") as file:
        while watcher.tally is None:
            file.write(b"x")
            file.flush()
            time.sleep(0.05)
    assert ids_of(out) == ["a.png"]
    assert "left for next time" in watcher.said[0]


def test_once_does_not_wait_for_a_file_that_is_old(
    running: Start, incoming: Path, sound: bytes, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place(incoming / "broken.png", sound[:-30])
    later = time.time() + 86_400
    monkeypatch.setattr("residua.watching.folder.time.time", lambda: later)
    watcher = running(incoming, once=True, patience=3_600.0)
    until(lambda: watcher.tally is not None)
    assert watcher.stop().failed == 1


def test_once_with_a_ledger_that_cannot_be_written_is_an_error(
    running: Start, incoming: Path, sound: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr("residua.watching.loop._RETRY", 0.05)
    monkeypatch.setattr("residua.watching.ledger.Ledger.record", full)
    place(incoming / "a.png", sound)
    error = running(incoming, once=True).failure()
    assert isinstance(error, LedgerUnusable)
    assert "disk is full" in str(error)


def test_once_with_a_model_that_cannot_compute_is_an_error(
    running: Start, incoming: Path, sound: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: object) -> None:
        raise EngineFailed("too little memory")

    monkeypatch.setattr("residua.watching.loop._RETRY", 0.05)
    monkeypatch.setattr("residua.watching.model.LiveModel.score", failing)
    place(incoming / "a.png", sound)
    assert isinstance(running(incoming, once=True).failure(), EngineFailed)


def test_once_that_is_told_to_stop_waits_for_no_delivery(
    running: Start, incoming: Path, odd: bytes, out: Path
) -> None:
    place(incoming / "odd.png", odd)
    watcher = running(incoming, once=True, command="sleep 60")
    until(lambda: rows_of(out))
    assert watcher.stop().waiting == 1


def test_what_waits_when_it_is_stopped_is_counted(
    running: Start, incoming: Path, odd: bytes, server: Server, out: Path
) -> None:
    server.answer = lambda _: (500, {}, b"")
    place(incoming / "odd.png", odd)
    watcher = running(incoming, webhook=server.url)
    until(lambda: server.requests)
    assert watcher.stop().waiting == 1


def test_heat_maps_are_of_flagged_pictures_alone(
    running: Start, incoming: Path, sound: bytes, odd: bytes, out: Path, tmp_path: Path
) -> None:
    place(incoming / "a.png", sound)
    place(incoming / "sub" / "odd.png", odd)
    running(incoming, heatmaps=tmp_path / "maps")
    until(lambda: len(rows_of(out)) == 2)
    found = [p.relative_to(tmp_path / "maps") for p in (tmp_path / "maps").rglob("*.png")]
    assert found == [Path(f"sub/odd.png-{rows_of(out)[1]['sha256'][:12]}.png")]


def test_a_file_that_is_written_again_gets_a_heat_map_of_its_own(
    running: Start, incoming: Path, stripes: NDArray[np.uint8], out: Path, tmp_path: Path
) -> None:
    running(incoming, heatmaps=tmp_path / "maps")
    for count, picture in enumerate((stripes[0], 255 - stripes[0]), 1):
        place(incoming / "latest.png", encoded(picture))
        until(lambda count=count: len(rows_of(out)) == count)
    assert len(list((tmp_path / "maps").iterdir())) == 2


def test_heat_maps_within_the_folder_are_refused(
    bundle: Path, incoming: Path, tmp_path: Path
) -> None:
    with pytest.raises(ConfigurationError, match="be scored themselves"):
        watch(bundle, incoming, heatmaps=incoming / "maps", ledger=tmp_path / "l")


def test_a_full_disk_is_said_once_and_no_row_is_lost(
    running: Start, incoming: Path, sound: bytes, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("residua.watching.loop._RETRY", 0.2)
    watcher = running(incoming)
    place(incoming / "a.png", sound)
    until(lambda: len(rows_of(out)) == 1)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("residua.watching.rows.write_all", full)
        for name in "bc":
            place(incoming / f"{name}.png", sound)
            time.sleep(0.4)
    until(lambda: ids_of(out) == ["a.png", "b.png", "c.png"])
    until(lambda: len(watcher.said) == 2)
    assert "No space left on device" in watcher.said[0]
    assert "written again" in watcher.said[1]


def test_a_ledger_that_cannot_be_written_is_said_once_and_no_picture_is_lost(
    running: Start, incoming: Path, sound: bytes, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("residua.watching.loop._RETRY", 0.2)
    watcher = running(incoming)
    until((out.parent / "ledger.sqlite").exists)

    def full(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as patch:
        patch.setattr("residua.watching.ledger.Ledger.record", full)
        place(incoming / "a.png", sound)
        until(lambda: watcher.said)
        time.sleep(0.4)
    quiet(out, 1)
    assert len(watcher.said) == 2
    assert "database or disk is full" in watcher.said[0]


def test_a_missing_folder_is_refused_at_the_start(bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(UnreadableFile, match="does not exist"):
        watch(bundle, tmp_path / "none", ledger=tmp_path / "l", once=True)


def test_a_second_watcher_with_the_same_ledger_is_refused(
    running: Start, bundle: Path, incoming: Path, tmp_path: Path
) -> None:
    running(incoming).ready()
    until((tmp_path / "ledger.sqlite").exists)
    with pytest.raises(LedgerInUse):
        watch(bundle, incoming, ledger=tmp_path / "ledger.sqlite", once=True)


@pytest.mark.parametrize("name", ["settle", "patience", "give_up", "command_timeout"])
def test_a_time_below_0_is_refused(name: str, bundle: Path, incoming: Path) -> None:
    with pytest.raises(ConfigurationError, match=name.replace("_", "-")):
        watch(bundle, incoming, **{name: -1.0})


def test_the_default_ledger_is_named_by_bundle_and_folder_and_holds_no_password(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    ledgers = [
        default_ledger(bundle, source)
        for bundle in ("a.residua", "b.residua")
        for source in ("in/", "out", "http://eve:secret@camera/snap.jpg")
    ]
    assert len(set(ledgers)) == 6
    assert default_ledger("a.residua", Path("in").absolute()) == ledgers[0]
    assert all(path.is_relative_to(tmp_path) for path in ledgers)
    assert not any("secret" in path.name for path in ledgers)
    same = default_ledger("a.residua", "http://camera/snap.jpg")
    assert same == ledgers[2]


def test_a_link_to_a_bundle_keeps_its_ledger_when_it_leads_to_another_one(tmp_path: Path) -> None:
    link = tmp_path / "current.residua"
    link.symlink_to("monday.residua")
    before = default_ledger(link, "in")
    link.unlink()
    link.symlink_to("tuesday.residua")
    assert default_ledger(link, "in") == before


def test_a_folder_may_be_given_by_a_relative_path_or_a_link(
    running: Start,
    incoming: Path,
    sound: bytes,
    odd: bytes,
    out: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "link").symlink_to(incoming)
    monkeypatch.chdir(tmp_path)
    running("link/", ledger=tmp_path / "l", command=f"cp {{path}} {tmp_path / 'copied'}").ready()
    place(incoming / "sub" / "a.png", sound)
    place(incoming / "odd.png", odd)
    until(lambda: sorted(ids_of(out)) == ["odd.png", "sub/a.png"])
    until((tmp_path / "copied").exists)


def test_a_ledger_that_cannot_be_read_any_more_ends_it_with_a_named_error(
    running: Start, incoming: Path, sound: bytes, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: object) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr("residua.watching.ledger.Ledger.knows_signature", failing)
    place(incoming / "a.png", sound)
    watcher = running(incoming)
    error = watcher.failure()
    assert isinstance(error, LedgerUnusable)
    assert "disk I/O error" in str(error)
