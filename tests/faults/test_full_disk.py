"""Each command on a disk that is full: one line, exit code 1, and what was there stays whole."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from tests.faults.conftest import Disk, Residua
from tests.service.store.conftest import make_picture

from reliability.killing import digests
from residua.bundle import open_bundle
from residua.errors import StoreError
from residua.service.store.store import ReviewStore

pytest.importorskip("resource", reason="Windows has no quotas for one process")

FIT = ("--epochs", 12, "--precision", "float32", "--device", "cpu")


def test_fit_without_room_for_the_pictures(residua: Residua, disk: Disk, trusted: Path) -> None:
    disk.fill(leave=8)
    code, said = residua("fit", trusted, "-o", "m.residua", *FIT)
    assert code == 1
    assert "the pictures to learn from need" in said
    assert "there is no room left; free some" in said
    assert not disk.names()


def test_fit_without_room_for_the_checkpoint(residua: Residua, disk: Disk, trusted: Path) -> None:
    disk.fill(leave=100)
    code, said = residua("fit", trusted, "-o", "m.residua", *FIT)
    assert code == 1
    assert "last.ckpt cannot be written: No space left on device" in said
    left = {path.name for path in disk.folder.rglob("*") if path.is_file()}
    assert left == {"fit.json"}
    disk.limit(64 << 10)
    assert residua("fit", trusted, "-o", "m.residua", *FIT, "--resume")[0] == 0
    assert disk.names() == ["m.residua"]


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_score_keeps_the_table_of_before(
    residua: Residua, disk: Disk, bundle: Path, incoming: Path, kind: str
) -> None:
    Path(f"scores.{kind}").write_text("of yesterday")
    disk.fill(leave=0)
    code, said = residua("score", bundle, incoming, "--out", f"scores.{kind}")
    assert code == 1
    assert f"the scores cannot be written to scores.{kind}: No space left on device" in said
    assert disk.names() == [f"scores.{kind}"]
    assert Path(f"scores.{kind}").read_text() == "of yesterday"


def test_score_names_the_heat_map_that_had_no_room(
    residua: Residua, disk: Disk, bundle: Path, incoming: Path
) -> None:
    disk.fill(leave=40)
    code, said = residua("score", bundle, incoming, "--out", "scores.csv", "--maps", "maps")
    assert code == 1
    assert "the heat map maps/bad/" in said
    assert "No space left on device" in said
    assert not Path("scores.csv").exists()


def test_score_to_a_standard_output_that_is_full(bundle: Path, incoming: Path) -> None:
    program = "from residua.cli import main; main()"
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-c", program, "score", str(bundle), str(incoming)],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr


def test_evaluate_keeps_the_figures_of_before(
    residua: Residua, disk: Disk, bundle: Path, incoming: Path
) -> None:
    Path("found.json").write_text("of yesterday")
    disk.fill(leave=0)
    out = ("--normal", "good", "--out", "found.json")
    code, said = residua("evaluate", bundle, incoming, *out)
    assert code == 1
    assert "found.json cannot be written: No space left on device" in said
    assert Path("found.json").read_text() == "of yesterday"


def test_report_keeps_the_page_of_before(
    residua: Residua, disk: Disk, bundle: Path, incoming: Path
) -> None:
    Path("page.html").write_text("of yesterday")
    disk.fill(leave=60)
    given = ("--normal", "good", "-o", "page.html", "--no-advice")
    code, said = residua("report", bundle, incoming, *given)
    assert code == 1
    assert "cannot be written" in said
    assert "No space left on device" in said
    assert Path("page.html").read_text() == "of yesterday"
    assert not list(disk.folder.rglob(".*"))


def test_recalibrate_keeps_the_model_of_before(
    residua: Residua, disk: Disk, bundle: Path, trusted: Path
) -> None:
    shutil.copytree(bundle, "m.residua")
    before = digests(Path("m.residua"))
    disk.fill(leave=20)
    code, said = residua("recalibrate", "m.residua", trusted, "-o", "m.residua", "--force")
    assert code == 1
    assert "the bundle m.residua cannot be written: No space left on device" in said
    assert disk.names() == ["m.residua"]
    assert digests(Path("m.residua")) == before


def test_refine_goes_on_once_there_is_room(residua: Residua, disk: Disk, trusted: Path) -> None:
    search = ("--folder", "search", "--trials", 1, "--epochs", 12, "--model", "conv")
    disk.fill(leave=60)
    code, said = residua("refine", trusted, "-o", "m.residua", *search)
    assert code == 1
    assert "the study sqlite:///search/study.db cannot be opened: database or disk is full" in said
    assert len([line for line in said.splitlines() if line.startswith("error:")]) == 1
    assert not Path("m.residua").exists()
    disk.limit(64 << 10)
    assert residua("refine", trusted, "-o", "m.residua", *search)[0] == 0
    open_bundle("m.residua")


def test_watch_loses_no_row(residua: Residua, disk: Disk, bundle: Path, trusted: Path) -> None:
    told = ("--ledger", "ledger.sqlite", "--out", "rows.csv", "--once", "--settle", 0)
    disk.fill(leave=90)
    code, said = residua("watch", bundle, trusted, *told)
    assert code == 1
    assert "full" in said or "No space left" in said
    disk.limit(64 << 10)
    assert residua("watch", bundle, trusted, *told)[0] == 0
    rows = [line.partition(",")[0] for line in Path("rows.csv").read_text().splitlines()[1:]]
    assert sorted(rows) == sorted(path.name for path in trusted.iterdir())


def test_a_file_that_may_not_grow_is_named_too(
    bundle: Path, incoming: Path, tmp_path: Path
) -> None:
    """As under a quota, which a process of its own has: this one's output may be a file too."""
    limited = """
import resource
from residua.cli import main

resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, 2_000))
main()
"""
    scores = tmp_path / "s.csv"
    done = subprocess.run(
        [sys.executable, "-c", limited, "score", str(bundle), str(incoming), "--out", str(scores)],
        capture_output=True,
        text=True,
        check=False,
        # What is imported under the limit is not kept: it would be cut short.
        env={**os.environ, "COLUMNS": "300", "PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert done.returncode == 1
    assert f"the scores cannot be written to {scores}: File too large" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


def test_the_review_store_on_a_full_disk_keeps_what_it_had(disk: Disk) -> None:
    with closing(ReviewStore.open(folder=disk.folder)) as store:
        (kept,) = store.keep([make_picture(b"first")], max_bytes=None)
        disk.fill(leave=0)
        with pytest.raises(StoreError, match=r"full|space"):
            store.keep([make_picture(os.urandom(1 << 20))], max_bytes=None)
        assert kept is not None
        assert store.content(kept)[1] == b"first"
        disk.limit(64 << 10)
        assert store.keep([make_picture(os.urandom(1 << 20))], max_bytes=None) != [None]
    with closing(sqlite3.connect(disk.folder / "reviews.sqlite")) as base:
        assert base.execute("PRAGMA integrity_check").fetchone() == ("ok",)
