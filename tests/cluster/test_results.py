from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from residua.cluster.results import RECORD, SUCCESS, Counts, ResultFolder, RunRecord
from residua.errors import OtherRun, OutputError
from residua.scoring.verdicts import Verdict


def record(**changes: object) -> RunRecord:
    given = {"revision": "a" * 12, "pictures": 1000, "inputs": "b" * 64, "part_size": 64}
    return RunRecord.model_validate(given | changes)


def verdicts(count: int) -> list[Verdict]:
    """Every fifth is anomalous, every seventh cannot be read."""
    return [
        Verdict(i, f"{i}.png", None, 1.0, None, error="damaged")
        if i % 7 == 0
        else Verdict(i, f"{i}.png", float(i), 1.0, i % 5 == 0, p=0.5)
        for i in range(count)
    ]


@pytest.fixture(params=["disk", "store"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "disk":
        return str(tmp_path / "scores.parquet")
    return f"{request.getfixturevalue('bucket')}/scores.parquet"


def test_of_many_that_begin_at_once_with_other_inputs_one_wins(place: str) -> None:
    wanted = [record(inputs=f"{number:064}") for number in range(8)]

    def begin(one: RunRecord) -> RunRecord | None:
        try:
            return ResultFolder(place).begin(one)
        except OtherRun:
            return None

    with ThreadPoolExecutor(8) as pool:
        kept = [found for found in pool.map(begin, wanted) if found is not None]
    assert len(kept) == 1
    assert ResultFolder(place).record() == kept[0]
    assert ResultFolder(place).names() == {RECORD}


def test_all_that_begin_at_once_with_the_same_are_accepted(place: str) -> None:
    for number in range(10):
        folders = [ResultFolder(f"{place}{number}") for _ in range(8)]
        with ThreadPoolExecutor(8) as pool:
            begun = pool.map(lambda folder: folder.begin(record()), folders)
            assert list(begun) == [record()] * 8


def test_what_a_killed_run_was_writing_is_in_nobodys_way(tmp_path: Path) -> None:
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / f".{RECORD}.0123").write_text("half a rec")
    assert ResultFolder(tmp_path / "s").begin(record()) == record()


def test_who_saw_nothing_there_a_moment_ago_overwrites_nothing(place: str, monkeypatch) -> None:
    first = ResultFolder(place).begin(record())
    late = ResultFolder(place)
    seen = iter([None, first])
    monkeypatch.setattr(late, "record", lambda: next(seen))
    monkeypatch.setattr(late, "_require_nothing_there", lambda: None)
    with pytest.raises(OtherRun, match="another model"):
        late.begin(record(revision="d" * 12))
    assert ResultFolder(place).record() == first


def test_who_begins_later_takes_the_part_size_of_the_first(place: str) -> None:
    first = ResultFolder(place).begin(record())
    assert ResultFolder(place).begin(record(part_size=128)) == first


def test_a_part_says_what_came_of_its_pictures(place: str) -> None:
    folder = ResultFolder(place)
    folder.begin(record())
    rows = verdicts(64)
    folder.write_part("part-000003.parquet", rows)
    flagged = sum(bool(row.anomalous) for row in rows)
    failed = sum(row.error is not None for row in rows)
    assert folder.counts_of("part-000003.parquet", 64) == Counts(64 - failed, flagged, failed)
    assert folder.counts_of("part-000003.parquet", 63) is None
    assert folder.counts_of("part-000004.parquet", 64) is None
    folder.finish(Counts(1, 2, 3))
    assert folder.names() == {RECORD, SUCCESS, "part-000003.parquet"}


def test_a_part_of_failures_alone_has_none_flagged(tmp_path: Path) -> None:
    folder = ResultFolder(tmp_path / "s")
    folder.begin(record())
    folder.write_part("p", [Verdict(0, "x", None, 1.0, None, error="damaged")])
    assert folder.counts_of("p", 1) == Counts(0, 0, 1)


@pytest.mark.parametrize("cut", [0, 1, 100, -8, -1])
def test_a_part_that_is_cut_short_is_none(tmp_path: Path, cut: int) -> None:
    folder = ResultFolder(tmp_path / "s")
    folder.begin(record())
    folder.write_part("p", verdicts(64))
    (tmp_path / "s" / "p").write_bytes((tmp_path / "s" / "p").read_bytes()[:cut])
    assert folder.counts_of("p", 64) is None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"revision": "c" * 12}, "another model"),
        ({"pictures": 999}, "another number of pictures"),
        ({"inputs": "c" * 64}, "other pictures"),
    ],
)
def test_what_was_begun_with_something_else_is_refused(
    tmp_path: Path, change: dict[str, object], said: str
) -> None:
    ResultFolder(tmp_path / "s").begin(record())
    with pytest.raises(OtherRun, match=f"begun with {said}; .*--out"):
        ResultFolder(tmp_path / "s").begin(record(**change))


def test_a_record_of_a_later_version_is_refused(tmp_path: Path) -> None:
    folder = ResultFolder(tmp_path / "s")
    folder.begin(record(version=2))
    with pytest.raises(OtherRun, match="another version of Residua"):
        folder.begin(record())
    (tmp_path / "s" / RECORD).write_text('{"format": "residua-scores", "more": 1}')
    with pytest.raises(OtherRun, match="not what this version"):
        folder.record()


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot be written"):
        ResultFolder(tmp_path / "missing" / "s").begin(record())
    assert not (tmp_path / "missing").exists()


def test_nothing_but_whole_files_is_left_where_writing_fails(tmp_path: Path, monkeypatch) -> None:
    folder = ResultFolder(tmp_path / "s")
    folder.begin(record())

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OutputError, match="No space left"):
        folder.write_part("part-000000.parquet", verdicts(3))
    assert [path.name for path in (tmp_path / "s").iterdir()] == [RECORD]


@pytest.mark.parametrize(("pictures", "parts", "last"), [(1, 1, 1), (64, 1, 64), (65, 2, 1)])
def test_the_parts_cover_the_pictures(pictures: int, parts: int, last: int) -> None:
    run = record(pictures=pictures)
    assert run.parts == parts
    assert run.rows_of(parts - 1) == last
    assert sum(map(run.rows_of, range(parts))) == pictures


def test_names_are_in_the_order_of_the_parts_however_many_there_are() -> None:
    run = record(pictures=64 * 1_000_001)
    names = [run.name_of(number) for number in (9, 10, 999_999, 1_000_000)]
    assert names == sorted(names)


def test_readers_of_partitioned_data_see_the_parts_alone(tmp_path: Path) -> None:
    folder = ResultFolder(tmp_path / "s")
    folder.begin(record(pictures=100))
    folder.write_part("part-000000.parquet", verdicts(64))
    folder.write_part("part-000001.parquet", verdicts(36))
    folder.finish(Counts())
    assert pq.read_table(tmp_path / "s").num_rows == 100
