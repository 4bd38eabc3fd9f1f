from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from reliability.clusters import Trial, checks


def trial(tmp_path, rows: list[dict[str, Any]], expected: list[dict[str, Any]]) -> Any:
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "scores.parquet")
    return SimpleNamespace(out=tmp_path / "scores.parquet", expected=expected)


ROWS = [{"id": f"{number}.png", "score": float(number)} for number in range(4)]


@pytest.mark.parametrize(
    ("rows", "kept", "said"),
    [
        (ROWS, True, "4 rows for 4 pictures, 0 lost, 0 doubled, 0 other"),
        (ROWS[:3], False, "3 rows for 4 pictures, 1 lost, 0 doubled, 0 other"),
        ([*ROWS, ROWS[0]], False, "5 rows for 4 pictures, 0 lost, 1 doubled, 0 other"),
        ([*ROWS[:3], {**ROWS[3], "score": 9.0}], False, "0 lost, 0 doubled, 1 other"),
        ([ROWS[1], ROWS[0], *ROWS[2:]], False, "0 lost, 0 doubled, 2 other"),
    ],
)
def test_a_row_that_is_lost_doubled_or_other_breaks_the_promise(tmp_path, rows, kept, said) -> None:
    found = Trial.finding(trial(tmp_path, rows, ROWS), "killed")
    assert found.kept is kept
    assert said in found.figures


def test_the_checks_have_names_of_their_own() -> None:
    names = [check.name for check in checks()]
    assert names == ["cluster-worker-killed", "cluster-driver-killed", "cluster-node-lost"]
