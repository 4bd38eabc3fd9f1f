from __future__ import annotations

import csv
import errno
import json
import os
from pathlib import Path

import pytest

from residua.errors import ConfigurationError, OutputError
from residua.watching.ledger import Entry, Ledger, Outcome
from residua.watching.rows import COLUMNS, RowFile, RowStream


class Killed(BaseException):
    """Stands for a kill: nothing after it is done."""


def record(ledger: Ledger, *names: str) -> None:
    for name in names:
        row = {**dict.fromkeys(COLUMNS), "id": name, "score": 0.5, "p": 1.0, "anomalous": True}
        text = json.dumps(row)
        ledger.record([Entry(name.encode(), b"", None, Outcome.NORMAL, 0.5, text)])


def ids(path: Path) -> list[str]:
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".csv":
        return [row["id"] for row in csv.DictReader(text.splitlines())]
    return [json.loads(line)["id"] for line in text.splitlines()]


@pytest.fixture(params=[".csv", ".jsonl"])
def out(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return tmp_path / f"scores{request.param}"


def test_rows_are_appended_with_all_columns(ledger: Ledger, out: Path) -> None:
    rows = RowFile(ledger, out)
    record(ledger, "a", "b")
    rows.write()
    record(ledger, "c")
    rows.write()
    rows.close()
    assert ids(out) == ["a", "b", "c"]
    if out.suffix == ".csv":
        first, second = out.read_text(encoding="utf-8").splitlines()[:2]
        assert first == "id,score,p,threshold,anomalous,label,error,time,sha256"
        assert second == "a,0.5,1.0,,true,,,,"


def test_rows_appended_by_a_killed_process_are_cut_off_and_appended_again(
    ledger: Ledger, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = RowFile(ledger, out)
    record(ledger, "a")
    rows.write()
    record(ledger, "b")

    def killed(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(ledger, "account", killed)
        with pytest.raises(Killed):
            rows.write()
    rows.close()
    assert ids(out) == ["a", "b"]  # written, and not accounted for
    again = RowFile(ledger, out)
    assert ids(out) == ["a"]
    again.write()
    again.close()
    assert ids(out) == ["a", "b"]


def test_half_a_row_is_cut_off(ledger: Ledger, out: Path) -> None:
    rows = RowFile(ledger, out)
    record(ledger, "a")
    rows.write()
    rows.close()
    with out.open("ab") as file:
        file.write(b'{"id": "b"\x00\x00')
    record(ledger, "b")
    again = RowFile(ledger, out)
    again.write()
    again.close()
    assert ids(out) == ["a", "b"]


def test_the_first_row_of_all_is_not_doubled_by_a_kill(
    ledger: Ledger, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = RowFile(ledger, out)
    record(ledger, "a")

    def killed(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(ledger, "account", killed)
        with pytest.raises(Killed):
            rows.write()
    rows.close()
    again = RowFile(ledger, out)
    again.write()
    again.close()
    assert ids(out) == ["a"]


def test_a_file_that_was_moved_away_is_begun_anew(ledger: Ledger, out: Path) -> None:
    rows = RowFile(ledger, out)
    record(ledger, "a")
    rows.write()
    out.rename(out.with_name(f"old{out.suffix}"))
    record(ledger, "b")
    rows.write()
    rows.close()
    assert ids(out.with_name(f"old{out.suffix}")) == ["a"]
    assert ids(out) == ["b"]


@pytest.mark.parametrize("open_meanwhile", [True, False])
def test_a_file_that_was_truncated_is_begun_anew(
    open_meanwhile: bool, ledger: Ledger, out: Path
) -> None:
    rows = RowFile(ledger, out)
    record(ledger, "a", "b", "c")
    rows.write()
    if not open_meanwhile:
        rows.close()
    os.truncate(out, 0)
    record(ledger, "d")
    if not open_meanwhile:
        rows = RowFile(ledger, out)
    rows.write()
    rows.close()
    assert ids(out) == ["d"]


def test_an_empty_file_made_by_logrotate_gets_a_header_of_its_own(
    ledger: Ledger, out: Path
) -> None:
    rows = RowFile(ledger, out)
    record(ledger, "a")
    rows.write()
    out.rename(out.with_name("old"))
    out.touch()
    record(ledger, "b")
    rows.write()
    rows.close()
    assert ids(out) == ["b"]


def test_rows_of_an_earlier_ledger_are_kept(ledger: Ledger, out: Path, tmp_path: Path) -> None:
    earlier = Ledger(tmp_path / "earlier.sqlite", "a source")
    rows = RowFile(earlier, out)
    record(earlier, "a")
    rows.write()
    rows.close()
    earlier.close()
    rows = RowFile(ledger, out)
    record(ledger, "b")
    rows.write()
    rows.close()
    assert ids(out) == ["a", "b"]


def test_a_file_of_something_else_is_refused_and_left_as_it_is(ledger: Ledger, out: Path) -> None:
    out.write_text("my,own,table\n1,2,3\n", encoding="utf-8")
    with pytest.raises(OutputError, match="holds something else"):
        RowFile(ledger, out)
    assert out.read_text(encoding="utf-8") == "my,own,table\n1,2,3\n"


def test_a_second_writer_of_the_file_is_refused(ledger: Ledger, out: Path, tmp_path: Path) -> None:
    rows = RowFile(ledger, out)
    other = Ledger(tmp_path / "other.sqlite", "a source")
    with pytest.raises(OutputError, match="another process writes rows"):
        RowFile(other, out)
    other.close()
    rows.close()


def test_a_full_disk_leaves_no_half_row_and_loses_none(
    ledger: Ledger, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = RowFile(ledger, out)
    record(ledger, "a")
    rows.write()
    record(ledger, "b", "c")
    before = out.read_bytes()
    write = os.write

    def full(descriptor: int, data: bytes) -> int:
        if len(data) > 10:
            return write(descriptor, data[:10])
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("residua.watching.rows.os.write", lambda d, data: full(d, data[:20]))
        with pytest.raises(OutputError, match="No space left"):
            rows.write()
    assert out.read_bytes() == before
    rows.write()
    rows.close()
    assert ids(out) == ["a", "b", "c"]


def test_a_format_that_cannot_be_appended_to_is_refused(ledger: Ledger, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="appended"):
        RowFile(ledger, tmp_path / "scores.parquet")


def test_a_stream_gets_a_header_and_each_row(ledger: Ledger) -> None:
    sent: list[bytes] = []
    rows = RowStream(ledger, ".csv", sent.append)
    rows.write()
    record(ledger, "a")
    rows.write()
    rows.write()
    assert b"".join(sent).decode() == ",".join(COLUMNS) + "\na,0.5,1.0,,true,,,,\n"


def test_a_stream_that_fails_leaves_the_rows_in_the_ledger(ledger: Ledger) -> None:
    def full(_: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    record(ledger, "a")
    with pytest.raises(OutputError, match="No space left"):
        RowStream(ledger, ".jsonl", full).write()
    assert len(ledger.rows(9)) == 1


def test_a_file_that_cannot_be_opened_in_full_is_let_go(
    ledger: Ledger, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(_: Path) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr("residua.watching.rows._make_lasting", failing)
        with pytest.raises(OutputError, match="Input/output error"):
            RowFile(ledger, out)
    RowFile(ledger, out).close()  # its lock is free
