from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from residua.errors import LedgerInUse, LedgerUnusable
from residua.watching.ledger import Call, Entry, Ledger, Outcome
from residua.watching.outbox import Outbox
from residua.watching.settling import Signature

LATER = Signature(3, 9, 9)
HASH = bytes(range(32))


def entry(name: str = "a.png", calls: tuple[Call, ...] = ()) -> Entry:
    record = json.dumps({"id": name})
    return Entry(name.encode(), HASH, Signature(3, 1, 1), Outcome.NORMAL, 0.5, record, calls)


def test_what_is_recorded_is_known_after_a_restart(tmp_path: Path) -> None:
    first = Ledger(tmp_path / "l.sqlite", "folder")
    first.record([entry()])
    first.close()
    second = Ledger(tmp_path / "l.sqlite", "folder")
    assert second.knows(b"a.png", HASH)
    assert not second.knows(b"a.png", HASH[::-1])
    assert not second.knows(b"b.png", HASH)
    assert second.knows_signature(b"a.png", Signature(3, 1, 1))
    assert not second.knows_signature(b"a.png", LATER)
    assert [row["id"] for _, row in second.rows(9)] == ["a.png"]
    second.close()


def test_a_touched_file_is_known_by_its_new_times(ledger: Ledger) -> None:
    ledger.record([entry()])
    ledger.record([], [(b"a.png", HASH, LATER)])
    assert ledger.knows_signature(b"a.png", LATER)
    assert len(ledger.rows(9)) == 1


def test_a_record_is_all_or_nothing(ledger: Ledger) -> None:
    bad = entry("b.png")._replace(record=None)  # type: ignore[arg-type]
    with pytest.raises(sqlite3.IntegrityError):
        ledger.record([entry("a.png", (Call("webhook", "k", "{}", None),)), bad])
    assert not ledger.knows(b"a.png", HASH)
    assert ledger.rows(9) == []
    assert Outbox(ledger, "webhook").waiting() == 0


def test_a_second_process_is_refused_and_the_lock_ends_with_the_first(tmp_path: Path) -> None:
    path = tmp_path / "l.sqlite"
    program = (
        "import sys, pathlib, time\n"
        "from residua.watching.ledger import Ledger\n"
        "ledger = Ledger(pathlib.Path(sys.argv[1]), 'folder')\n"
        "print('open', flush=True)\n"
        "time.sleep(60)\n"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "open\n"
    with pytest.raises(LedgerInUse, match="another process watches with the ledger"):
        Ledger(path, "folder")
    holder.kill()
    holder.wait()
    holder.stdout.close()
    Ledger(path, "folder").close()


def test_a_ledger_of_another_folder_is_refused_and_its_lock_let_go(tmp_path: Path) -> None:
    Ledger(tmp_path / "l.sqlite", "one").close()
    with pytest.raises(LedgerUnusable, match="that of one, wanted one of two"):
        Ledger(tmp_path / "l.sqlite", "two")
    Ledger(tmp_path / "l.sqlite", "one").close()


def test_a_file_that_is_no_ledger_is_refused(tmp_path: Path) -> None:
    (tmp_path / "l.sqlite").write_bytes(b"something else entirely" * 100)
    with pytest.raises(LedgerUnusable, match="move it away"):
        Ledger(tmp_path / "l.sqlite", "folder")


def test_a_ledger_of_a_later_schema_is_refused(tmp_path: Path) -> None:
    Ledger(tmp_path / "l.sqlite", "folder").close()
    base = sqlite3.connect(tmp_path / "l.sqlite")
    base.execute("PRAGMA user_version = 99")
    base.close()
    with pytest.raises(LedgerUnusable, match="schema version 99"):
        Ledger(tmp_path / "l.sqlite", "folder")


def test_notifications_are_given_up_by_the_time_that_watchers_ran(tmp_path: Path) -> None:
    first = Ledger(tmp_path / "l.sqlite", "folder")
    first.record([entry("a.png", (Call("webhook", "k", "{}", None),))])
    first._ran_before += 100.0  # it runs on
    first.close()
    second = Ledger(tmp_path / "l.sqlite", "folder")
    outbox = Outbox(second, "webhook")
    assert outbox.give_up(1000.0, "late") == 0
    assert outbox.give_up(99.0, "late") == 1
    assert outbox.next() is None
    second.close()


def test_what_failed_is_due_later_and_holds_up_nothing(ledger: Ledger) -> None:
    calls = [Call("webhook", key, "{}", None) for key in ("first", "second")]
    ledger.record([entry("a.png", tuple(calls))])
    outbox = Outbox(ledger, "webhook")
    first = outbox.next()
    assert first is not None
    assert first.key == "first"
    outbox.failed(first, 500.0)
    second = outbox.next()
    assert second is not None
    assert second.key == "second"
    outbox.delivered(second)
    assert outbox.next() is None
    pause = outbox.pause()
    assert pause is not None
    assert 490 < pause <= 500
    outbox.begin()
    assert outbox.next() == first._replace(attempts=1)


def test_of_a_file_that_is_written_again_and_again_its_last_looks_are_known(
    ledger: Ledger,
) -> None:
    ledger.record([entry()])
    ledger.record([entry()._replace(sha256=HASH[::-1], signature=LATER)])
    assert ledger.knows_signature(b"a.png", LATER)
    assert not ledger.knows_signature(b"a.png", Signature(3, 1, 1))
    assert ledger.knows(b"a.png", HASH)
    with ledger.reading() as base:
        assert base.execute("SELECT COUNT(*) FROM files").fetchone() == (1,)


def test_a_file_that_could_not_be_read_is_not_known_by_its_looks(ledger: Ledger) -> None:
    unread = entry()._replace(sha256=b"", outcome=Outcome.ERROR, score=None)
    ledger.record([unread])
    assert ledger.knows(b"a.png", b"")
    assert not ledger.knows_signature(b"a.png", Signature(3, 1, 1))
    ledger.record([entry()])
    assert not ledger.knows(b"a.png", b"")  # should it fail again, that is a row again
    assert ledger.knows_signature(b"a.png", Signature(3, 1, 1))


def test_a_database_of_another_program_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "other.sqlite"
    base = sqlite3.connect(path)
    base.execute("CREATE TABLE theirs (name TEXT)")
    base.commit()
    base.close()
    before = path.read_bytes()
    with pytest.raises(LedgerUnusable, match="no ledger of residua watch"):
        Ledger(path, "folder")
    assert path.read_bytes() == before


@pytest.mark.skipif(sys.platform == "win32", reason="has no such rights")
def test_a_ledger_is_its_users_alone(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "l.sqlite", "folder")
    ledger.record([entry()])
    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    ledger.close()
    assert set(modes.values()) == {0o600}
    assert "l.sqlite-wal" in modes
