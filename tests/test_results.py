from __future__ import annotations

import csv
import errno
import json
import os
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from residua.errors import ConfigurationError, MissingExtra, OutputError
from residua.results import COLUMNS, FORMATS, verdict_file
from residua.scoring.verdicts import Verdict

ROWS = [
    Verdict(0, "a,b.png", 0.1, 0.5, False, "good", p=1 / 17),
    Verdict(1, 'quo"te\nline.png', 1 / 3, 0.5, False, p=0.5),
    Verdict(2, "ünïcode.png", 1e-17, 0.5, False, p=1.0),
    Verdict(3, "bad.png", None, 0.5, None, error="zero bytes"),
]


def write(path: Path, rows: list[Verdict]) -> None:
    with verdict_file(path) as write_row:
        for row in rows:
            write_row(row)


def read(path: Path) -> list[dict[str, object]]:
    if path.suffix == ".parquet":
        return pq.read_table(path).to_pylist()
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n")[:-1]]
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    flags = {"true": True, "false": False, "": None}
    return [
        {
            "id": row["id"],
            "score": float(row["score"]) if row["score"] else None,
            "p": float(row["p"]) if row["p"] else None,
            "threshold": float(row["threshold"]),
            "anomalous": flags[row["anomalous"]],
            "label": row["label"] or None,
            "error": row["error"] or None,
        }
        for row in rows
    ]


@pytest.mark.parametrize("suffix", FORMATS)
def test_what_is_written_is_read_back(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"scores{suffix}"
    write(path, ROWS)
    expected = [{name: getattr(row, name) for name in COLUMNS} for row in ROWS]
    assert read(path) == expected


def test_the_p_value_stands_beside_the_score(tmp_path: Path) -> None:
    write(tmp_path / "scores.csv", ROWS[:1])
    header, row = (tmp_path / "scores.csv").read_text(encoding="utf-8").splitlines()
    assert header == "id,score,p,threshold,anomalous,label,error"
    assert row == '"a,b.png",0.1,0.058823529411764705,0.5,false,good,'


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_table_of_no_rows_is_a_table(suffix: str, tmp_path: Path) -> None:
    write(tmp_path / f"scores{suffix}", [])
    assert read(tmp_path / f"scores{suffix}") == []


@given(score=st.floats(allow_nan=False, allow_infinity=False))
def test_csv_keeps_every_digit_of_a_score(
    score: float, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "digits.csv"
    write(path, [Verdict(0, "a", score, 0.5, False)])
    assert read(path)[0]["score"] == score


def test_parquet_writes_groups_of_rows(tmp_path: Path) -> None:
    write(tmp_path / "s.parquet", [ROWS[0]] * 40_000)
    assert pq.ParquetFile(tmp_path / "s.parquet").num_row_groups == 3
    assert pq.read_table(tmp_path / "s.parquet").num_rows == 40_000


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_run_that_fails_leaves_the_old_table(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"scores{suffix}"
    path.write_text("old")

    def fail() -> None:
        with verdict_file(path) as write_row:
            write_row(ROWS[0])
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_disk_that_fills_up_is_an_error_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match="No space left"):
        write(tmp_path / "scores.csv", ROWS)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["scores.xlsx", "scores", "scores.CSV.gz"])
def test_an_ending_that_names_no_format_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"\.csv, \.jsonl, \.parquet"):
        write(tmp_path / name, ROWS)


def test_parquet_without_pyarrow_is_refused_before_the_first_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with (
        pytest.raises(MissingExtra, match=r"residua\[parquet\]"),
        verdict_file(tmp_path / "scores.parquet"),
    ):
        pytest.fail("the block was entered")
    assert list(tmp_path.iterdir()) == []
    write(tmp_path / "scores.csv", ROWS)
    assert len(read(tmp_path / "scores.csv")) == len(ROWS)


def test_a_missing_folder_and_a_folder_in_the_files_place_are_refused(tmp_path: Path) -> None:
    (tmp_path / "scores.csv").mkdir()
    for path in (tmp_path / "no" / "scores.csv", tmp_path / "scores.csv"):
        with pytest.raises(OutputError):
            write(path, ROWS)


def test_the_file_has_the_mode_that_the_mask_gives(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write(tmp_path / "scores.csv", ROWS)
    finally:
        os.umask(before)
    assert (tmp_path / "scores.csv").stat().st_mode & 0o777 == 0o640


def test_an_error_of_the_callers_block_stays_what_it_is(tmp_path: Path) -> None:
    def fail() -> None:
        with verdict_file(tmp_path / "scores.csv"):
            raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        fail()
    assert list(tmp_path.iterdir()) == []
