from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from residua.cluster.results import RECORD, SUCCESS
from residua.cluster.scoring import Progress, score_on_cluster
from residua.errors import ClusterError, ConfigurationError, OtherRun
from residua.results import COLUMNS, as_row
from residua.runtime import BundleScorer

PART = 64
FATAL = b"ENDS WHO READS IT"
# The command, with Ctrl-C pressed when the second part is done.
CTRL_C = """
import os, signal
from residua.cli import main
from residua.cluster import scoring

signal.signal(signal.SIGINT, signal.default_int_handler)  # the tests may run in the background
answers = scoring._Run._answers

def pressed(run, lacking):
    for number, answer in enumerate(answers(run, lacking)):
        yield answer
        if number == 1:
            os.kill(os.getpid(), signal.SIGINT)

scoring._Run._answers = pressed
main()
"""

Rows = list[dict[str, Any]]


@pytest.fixture(scope="module")
def locally(bundle: Path, many: Path) -> Rows:
    """What one machine says of the pictures."""
    return rows_of(bundle, many)


def rows_of(bundle: Path, data: Any) -> Rows:
    scorer = BundleScorer(bundle, threads=2, engine="onnxruntime")
    return [as_row(verdict) for verdict in scorer.verdicts(data)]


def read(folder: Path | str) -> Rows:
    return list(pq.read_table(folder).to_pylist())


def at_answer(number: int, act: Callable[[Progress], None]) -> Callable[[Progress], None]:
    """Return a watcher that acts once, in the middle of a run."""
    seen = []

    def watch(progress: Progress) -> None:
        seen.extend(progress.answers)
        if len(seen) == number:
            act(progress)

    return watch


def test_the_rows_are_those_of_one_machine_bit_for_bit_bad_files_among_them(
    cluster, bundle: Path, many: Path, tmp_path: Path, locally: Rows
) -> None:
    done = score_on_cluster(bundle, many, tmp_path / "s.parquet", part_size=PART)
    table = pq.read_table(tmp_path / "s.parquet")
    assert table.column_names == list(COLUMNS)
    assert table.to_pylist() == locally
    assert sum(row["error"] is not None for row in locally) == done.counts.failed == 3
    assert done.counts.flagged == sum(bool(row["anomalous"]) for row in locally)
    assert (done.done, done.pictures, done.before, done.workers) == (983, 983, 0, 2)
    files = sorted(path.name for path in (tmp_path / "s.parquet").iterdir())
    assert files == sorted([RECORD, SUCCESS, *(f"part-{n:06}.parquet" for n in range(16))])


def test_a_finished_folder_is_counted_and_not_scored_again(
    cluster, bundle: Path, many: Path, tmp_path: Path
) -> None:
    out = tmp_path / "s.parquet"
    first = score_on_cluster(bundle, many, out, part_size=PART)
    times = {path: path.stat().st_mtime_ns for path in out.glob("part-*")}
    again = score_on_cluster(bundle, many, out, address="127.0.0.1:1")  # no cluster is asked
    assert again.counts == first.counts
    assert again.before == again.pictures == 983
    assert {path: path.stat().st_mtime_ns for path in out.glob("part-*")} == times


def test_parts_that_lack_or_are_cut_short_are_done_and_no_others(
    cluster, bundle: Path, many: Path, tmp_path: Path, locally: Rows
) -> None:
    out = tmp_path / "s.parquet"
    score_on_cluster(bundle, many, out, part_size=PART)
    (out / SUCCESS).unlink()
    (out / "part-000003.parquet").unlink()
    cut = out / "part-000007.parquet"
    cut.write_bytes(cut.read_bytes()[:-50])
    shutil.copyfile(out / "part-000015.parquet", out / "part-000009.parquet")  # of other length
    kept = {path: path.stat().st_mtime_ns for path in out.glob("part-*")}
    numbers: list[int] = []
    score_on_cluster(bundle, many, out, watch=lambda p: numbers.extend(a.number for a in p.answers))
    assert sorted(numbers) == [3, 7, 9]
    same = [path for path, when in kept.items() if path.stat().st_mtime_ns == when]
    assert len(same) == 13
    assert read(out) == locally
    assert (out / SUCCESS).exists()


def test_a_driver_that_was_killed_is_gone_on_with(
    cluster, bundle: Path, many: Path, tmp_path: Path, locally: Rows
) -> None:
    out = tmp_path / "s.parquet"
    program = (
        "import os, signal, sys; from residua.cluster.scoring import score_on_cluster; "
        "seen = []; die = lambda: os.kill(os.getpid(), signal.SIGKILL); "
        "watch = lambda progress: (seen.extend(progress.answers), len(seen) == 3 and die()); "
        "score_on_cluster(*sys.argv[1:4], address=sys.argv[4], part_size=64, watch=watch)"
    )
    command = [sys.executable, "-c", program, *map(str, (bundle, many, out)), cluster.address]
    driver = subprocess.run(command, timeout=120, check=False)
    assert driver.returncode == -signal.SIGKILL
    there = {path.name: path.read_bytes() for path in out.glob("part-*")}
    assert len(there) >= 3
    assert not (out / SUCCESS).exists()
    done = score_on_cluster(bundle, many, out)
    assert done.before >= 3 * PART - 3
    assert all((out / name).read_bytes() == content for name, content in there.items())
    assert read(out) == locally


def test_ctrl_c_says_that_the_same_command_goes_on_and_it_does(
    cluster, bundle: Path, many: Path, tmp_path: Path, locally: Rows
) -> None:
    out = tmp_path / "s.parquet"
    command = ["score", bundle, many, "--cluster", cluster.address, "--out", out]
    driver = subprocess.run(
        [sys.executable, "-c", CTRL_C, *map(str, command)],
        stderr=subprocess.PIPE,
        text=True,
        timeout=120,
        check=False,
    )
    said = driver.stderr
    assert driver.returncode == 130, said
    assert "the same command goes on" in " ".join(said.split())
    assert "Traceback" not in said
    assert not (out / SUCCESS).exists()
    assert score_on_cluster(bundle, many, out).before > 0
    assert read(out) == locally


def test_a_worker_that_is_killed_costs_no_row(
    cluster, bundle: Path, many: Path, tmp_path: Path, locally: Rows
) -> None:
    killed: list[int] = []

    def kill(progress: Progress) -> None:
        killed.append(progress.answers[0].pid)
        os.kill(killed[0], signal.SIGKILL)

    pids: set[int] = set()

    def watch(progress: Progress) -> None:
        pids.update(answer.pid for answer in progress.answers)
        once(progress)

    once = at_answer(3, kill)
    score_on_cluster(bundle, many, tmp_path / "s.parquet", part_size=PART, watch=watch)
    assert len(pids - set(killed)) >= 1  # others did what the killed one had begun
    assert read(tmp_path / "s.parquet") == locally


def test_a_node_that_is_lost_costs_no_row(
    cluster, bundle: Path, many: Path, tmp_path: Path, locally: Rows
) -> None:
    watch = at_answer(3, lambda progress: cluster.lose_one())
    score_on_cluster(bundle, many, tmp_path / "s.parquet", part_size=PART, watch=watch)
    assert read(tmp_path / "s.parquet") == locally


def test_a_picture_that_ends_its_worker_becomes_a_row_with_an_error(
    cluster, bundle: Path, many: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "pictures"
    shutil.copytree(many / "good", folder)
    fatal = sorted(folder.iterdir())[200]
    fatal.write_bytes(FATAL)
    score_on_cluster(bundle, folder, tmp_path / "s.parquet", part_size=PART)
    rows = {row["id"]: row for row in read(tmp_path / "s.parquet")}
    assert "ends the process that reads it" in rows.pop(fatal.name)["error"]
    fatal.unlink()
    expected = {row["id"]: row for row in rows_of(bundle, folder)}
    assert rows.keys() == expected.keys()
    assert [row["error"] for row in rows.values()] == [row["error"] for row in expected.values()]
    scores = [[row["score"] or 0 for row in table.values()] for table in (rows, expected)]
    assert scores[0] == pytest.approx(scores[1], rel=1e-6)  # later batches have other neighbours


def test_a_part_that_costs_every_worker_is_given_up(
    cluster, bundle: Path, many: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "pictures"
    shutil.copytree(many / "striped", folder)
    (folder / "0007.png").write_bytes(b"ENDS WORKERS alone")
    with pytest.raises(ClusterError, match=r"part 0: it was begun 4 times"):
        score_on_cluster(bundle, folder, tmp_path / "s.parquet", workers=1)
    assert not (tmp_path / "s.parquet" / SUCCESS).exists()


def test_parquet_files_are_read_row_by_row(
    cluster, bundle: Path, many: Path, tmp_path: Path
) -> None:
    import pyarrow as pa

    files = sorted(many.rglob("*.png"))[:300]
    table = pa.table(
        {
            "image": [file.read_bytes() for file in files],
            "file_name": [file.name for file in files],
            "label": [file.parent.name for file in files],
        }
    )
    (tmp_path / "in").mkdir()
    pq.write_table(table[:130], tmp_path / "in" / "a.parquet", row_group_size=50)
    pq.write_table(table[130:], tmp_path / "in" / "b.parquet", row_group_size=70)
    score_on_cluster(bundle, tmp_path / "in", tmp_path / "s.parquet", part_size=PART)
    assert read(tmp_path / "s.parquet") == rows_of(bundle, tmp_path / "in")


def test_pictures_and_scores_lie_in_an_object_store(
    cluster, bucket: str, bundle: Path, many: Path, tmp_path: Path
) -> None:
    import pyarrow.dataset as ds

    from residua.storage import filesystem, list_files, store_at

    some = tmp_path / "some"
    for name in ("good", "striped"):
        (some / name).mkdir(parents=True)
        for file in sorted((many / name).iterdir())[-100:]:
            shutil.copy(file, some / name)
    store_at(f"{bucket}/in", some)
    out = f"{bucket}/run 1/s.parquet"
    score_on_cluster(bundle, f"{bucket}/in", out, part_size=PART)
    assert list_files(out) == [
        SUCCESS, RECORD, "part-000000.parquet", "part-000001.parquet",
    ]  # fmt: skip
    store, path = filesystem(out)
    rows = ds.dataset(path, filesystem=store).to_table().to_pylist()
    expected = rows_of(bundle, some)
    assert [row["id"] for row in rows] == [row["id"] for row in expected]
    assert [row["score"] for row in rows] == [row["score"] for row in expected]
    with pytest.raises(OtherRun, match=r"other pictures|another number"):
        score_on_cluster(bundle, some, out)


def test_a_folder_of_other_pictures_or_another_model_is_refused(
    cluster, bundle: Path, many: Path, tmp_path: Path
) -> None:
    out = tmp_path / "s.parquet"
    score_on_cluster(bundle, many / "striped", out, part_size=PART)
    before = read(out)
    with pytest.raises(OtherRun, match="another number of pictures"):
        score_on_cluster(bundle, many, out)
    (tmp_path / "other").mkdir()
    for number, file in enumerate(sorted((many / "striped").iterdir())):
        shutil.copy(file, tmp_path / "other" / f"{number}.png")
    with pytest.raises(OtherRun, match="begun with other pictures"):
        score_on_cluster(bundle, tmp_path / "other", out)
    assert read(out) == before


def test_pictures_that_no_worker_sees_are_told_from_those_that_are_missing(
    cluster, bundle: Path, many: Path, tmp_path: Path
) -> None:
    gone = [tmp_path / f"{number}.png" for number in range(3)]
    score_on_cluster(bundle, gone, tmp_path / "s.parquet")
    assert read(tmp_path / "s.parquet") == rows_of(bundle, gone)
    # What this program alone can open: a file without a name, below its own number.
    held = os.open(many / "good" / "0000.png", os.O_RDONLY)
    try:
        with pytest.raises(ClusterError, match="let every node see the pictures"):
            score_on_cluster(bundle, [f"/proc/self/fd/{held}"], tmp_path / "t.parquet")
    finally:
        os.close(held)


def test_pictures_in_memory_are_refused_before_anything_is_written(
    bundle: Path, blobs, tmp_path: Path
) -> None:
    with pytest.raises(ConfigurationError, match="other machines"):
        score_on_cluster(bundle, blobs, tmp_path / "s.parquet")
    assert not (tmp_path / "s.parquet").exists()


def test_more_workers_than_processors_are_refused(
    cluster, bundle: Path, many: Path, tmp_path: Path
) -> None:
    with pytest.raises(ConfigurationError, match="has 2 processors"):
        score_on_cluster(bundle, many, tmp_path / "s.parquet", workers=3)


@pytest.mark.parametrize("name", ["s.csv", "s.jsonl"])
def test_formats_of_one_file_are_refused(bundle: Path, many: Path, tmp_path: Path, name) -> None:
    with pytest.raises(ConfigurationError, match="folder of Parquet files"):
        score_on_cluster(bundle, many, tmp_path / name)


def test_what_is_no_folder_of_scores_is_left_alone(
    cluster, bundle: Path, many: Path, tmp_path: Path
) -> None:
    (tmp_path / "s.parquet").write_bytes(b"mine")
    with pytest.raises(OtherRun, match="is a file"):
        score_on_cluster(bundle, many, tmp_path / "s.parquet")
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("mine")
    with pytest.raises(OtherRun, match="something else"):
        score_on_cluster(bundle, many, tmp_path / "notes")
