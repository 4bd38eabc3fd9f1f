"""What was acknowledged is there, whatever happens then: many threads, many processes, kill -9."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from residua.service.store.pictures import NewPicture
from residua.service.store.store import ReviewStore

Picture = Callable[..., NewPicture]
Sums = Callable[[ReviewStore], tuple[tuple[int, int], tuple[int, int]]]
Python = Callable[..., subprocess.Popen[str]]

JUDGE_FOREVER = """
import itertools, sys
from residua.service.store.store import ReviewStore
store = ReviewStore.open(sys.argv[1])
ids = [kept.id for kept in store.queue(order="latest").items]
for turn in itertools.count():
    for id in ids:
        store.judge(id, correct=turn % 2 == 0, reviewer=str(turn), order="random")
        print(id, turn, flush=True)
"""

KEEP_FOREVER = """
import itertools, sys
from residua.service.store.pictures import NewPicture
from residua.service.store.store import ReviewStore
store = ReviewStore.open(sys.argv[1])
for turn in itertools.count():
    content = b"%d" % turn * 5000
    ids = store.keep([NewPicture(model="part", revision="r", name=str(turn), content=content,
        media_type="image/png", width=1, height=1, score=1.0, threshold=0.5, anomalous=True,
        p_value=0.1, margin=1.0)], max_bytes=None)
    print(ids[0], turn, flush=True)
"""


def killed_after(process: subprocess.Popen[str], lines: int) -> list[list[str]]:
    """What a process said until it was killed."""
    assert process.stdout is not None
    assert process.stderr is not None
    said = [process.stdout.readline() for _ in range(lines)]
    process.kill()
    rest, errors = process.communicate()
    assert not errors
    # What was cut off in the middle of its line was not said.
    whole = "".join(said) + rest
    return [line.split() for line in whole[: whole.rfind("\n")].splitlines()]


def test_a_review_that_was_acknowledged_outlives_kill_9(
    url: str, picture: Picture, python: Python, sums: Sums
) -> None:
    with closing(ReviewStore.open(url)) as store:
        ids = store.keep([picture(bytes([n])) for n in range(5)], max_bytes=None)
        said = killed_after(python(JUDGE_FOREVER, url), 60)
    with closing(ReviewStore.open(url)) as store:
        histories = {id: [one.reviewer for one in store.history(id)] for id in ids if id}
        for id, turn in said:
            assert turn in histories[int(id)]
        for id, reviewers in histories.items():
            assert reviewers == [str(turn) for turn in range(len(reviewers))]
            assert store.get(id).reviewed_by == reviewers[-1]
        assert sum(map(len, histories.values())) - len(said) in (0, 1)
        assert sums(store)[0] == sums(store)[1]


def test_a_picture_that_was_acknowledged_outlives_kill_9(url: str, python: Python) -> None:
    said = killed_after(python(KEEP_FOREVER, url), 20)
    with closing(ReviewStore.open(url)) as store:
        for id, turn in said:
            assert store.content(int(id))[1] == turn.encode() * 5000


def test_a_store_on_sqlite_waits_for_the_disk(tmp_path: Path) -> None:
    with (
        closing(ReviewStore.open(folder=tmp_path)) as store,
        store._database.reading() as connection,
    ):
        found = {
            pragma: connection.exec_driver_sql(f"PRAGMA {pragma}").scalar()
            for pragma in ("journal_mode", "synchronous", "auto_vacuum", "foreign_keys")
        }
    assert found == {"journal_mode": "wal", "synchronous": 2, "auto_vacuum": 2, "foreign_keys": 1}


def test_threads_that_judge_one_picture_are_all_remembered(
    store: ReviewStore, picture: Picture, sums: Sums
) -> None:
    (id,) = store.keep([picture(b"12345")], max_bytes=None)
    assert id is not None

    def judge(turn: int) -> None:
        store.judge(id, correct=turn % 3 != 0, reviewer=str(turn), order="random")
        if turn % 5 == 0:
            store.withdraw(id, reviewer=str(turn))

    with ThreadPoolExecutor(16) as threads:
        list(threads.map(judge, range(40)))
    history = store.history(id)
    said = [one.reviewer for one in history if one.correct is not None]
    assert sorted(said, key=str) == sorted(map(str, range(40)))
    assert (store.get(id).correct, store.get(id).reviewed_by) == (
        history[-1].correct,
        None if history[-1].correct is None else history[-1].reviewer,
    )
    assert sums(store)[0] == sums(store)[1]


def test_threads_that_keep_and_remove_share_the_room(
    store: ReviewStore, picture: Picture, sums: Sums
) -> None:
    def work(turn: int) -> list[int | None]:
        # Some contents are equal, also between threads.
        ids = store.keep(
            [picture(bytes([turn % 7, n]) * 50, name=f"{turn}-{n}") for n in range(3)],
            max_bytes=1_000,
        )
        if turn % 4 == 0:
            store.retain(now=datetime.now(UTC), max_age=timedelta(days=1), max_bytes=900)
        store.queue(order="uncertain", limit=3)
        store.summary(max_bytes=1_000)
        return ids

    with ThreadPoolExecutor(16) as threads:
        ids = [id for kept in threads.map(work, range(40)) for id in kept]
    assert None not in ids
    assert len(set(ids)) == len(ids)
    kept, counted = sums(store)
    assert kept == counted
    assert 0 < counted[0] <= 1_000


def test_two_processes_may_open_an_empty_database_at_once(url: str, python: Python) -> None:
    program = (
        "import sys\n"
        "from residua.service.store.store import ReviewStore\n"
        "print('ready', flush=True)\n"
        "sys.stdin.readline()\n"
        "print(ReviewStore.open(sys.argv[1]).summary().kept)\n"
    )
    started = [python(program, url) for _ in range(4)]
    for process in started:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in started:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in started:
        said, errors = process.communicate()
        assert (process.returncode, said, errors) == (0, "0\n", "")


def test_deleted_pictures_give_their_space_back(tmp_path: Path, picture: Picture) -> None:
    file = tmp_path / "reviews.sqlite"
    with closing(ReviewStore.open(folder=tmp_path)) as store:
        empty = file.stat().st_size
        store.keep([picture(bytes([n]) * 200_000) for n in range(50)], max_bytes=None)
        store.retain(now=datetime.now(UTC), max_age=None, max_bytes=None)
        assert file.stat().st_size > 10_000_000
        assert store.retain(now=datetime.now(UTC), max_age=None, max_bytes=0) == 50
        assert file.stat().st_size < empty + 100_000
