"""The command as users run it: a process that is stopped, killed and started again."""

from __future__ import annotations

import csv
import json
import os
import random
import shlex
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.watching.conftest import Server, encoded, place, rows_of, until

COMMAND = str(Path(sys.executable).with_name("residua"))
Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def incoming(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    return tmp_path / "in"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "scores.jsonl"


@pytest.fixture
def start(bundle: Path, incoming: Path, tmp_path: Path) -> Iterator[Start]:
    """Start `residua watch` on the folder; what still runs at the end is killed."""
    started: list[subprocess.Popen[str]] = []
    environment = {
        **os.environ,
        "XDG_STATE_HOME": str(tmp_path / "state"),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "RESIDUA_WEBHOOK_SECRET": "s3cret",
        "NO_COLOR": "1",
        "no_proxy": "*",
    }

    def run(*arguments: object, source: object = incoming) -> subprocess.Popen[str]:
        given = [COMMAND, "watch", bundle, source, "--settle", 0.1, "--threads", 1, *arguments]
        started.append(
            subprocess.Popen(
                [str(one) for one in given],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env=environment,
            )
        )
        return started[-1]

    yield run
    for one in started:
        one.kill()
        one.communicate()


def test_however_often_it_is_killed_each_picture_has_one_row_and_each_alarm_is_told(
    start: Start,
    incoming: Path,
    blobs: NDArray[np.uint8],
    stripes: NDArray[np.uint8],
    server: Server,
    out: Path,
) -> None:
    chance = random.Random(7)
    names = [f"{number:03}.png" for number in range(150)]
    odd = {f"odd-{number}.png" for number in range(12)}
    for killed, batch in enumerate(names[at : at + 30] for at in range(0, 150, 30)):
        for name in batch:
            place(incoming / name, encoded(blobs[int(name[:3]) % len(blobs)]))
        alarm = f"odd-{killed}.png"
        place(incoming / alarm, encoded(stripes[0]))
        watcher = start("--out", out, "--webhook", server.url)
        enough = len(rows_of(out)) + chance.randrange(1, 28)
        until(lambda enough=enough: len(rows_of(out)) >= enough)
        watcher.kill()
        watcher.communicate()
    last = start("--out", out, "--webhook", server.url, "--once")
    assert last.wait(30) == 0
    wanted = {*names, *(name for name in odd if (incoming / name).exists())}
    rows = rows_of(out)
    assert Counter(row["id"] for row in rows) == dict.fromkeys(wanted, 1)
    told = {json.loads(request.body)["id"] for request in server.requests}
    assert told == {row["id"] for row in rows if row["anomalous"]}
    by_key = {
        (request.headers["Idempotency-Key"], json.loads(request.body)["id"])
        for request in server.requests
    }
    assert len(by_key) == len(told)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_0_and_every_row_written(
    number: signal.Signals, start: Start, incoming: Path, blobs: NDArray[np.uint8], out: Path
) -> None:
    for at in range(40):
        place(incoming / f"{at}.png", encoded(blobs[at]))
    watcher = start("--out", out)
    until(lambda: rows_of(out))
    watcher.send_signal(number)
    _, said = watcher.communicate(timeout=10)
    assert watcher.returncode == 0
    assert f"{len(rows_of(out))} scored" in said
    again = start("--out", out, "--once")
    assert again.wait(30) == 0
    assert len({row["id"] for row in rows_of(out)}) == len(rows_of(out)) == 40


def test_rows_go_to_standard_output_and_all_else_to_standard_error(
    start: Start, incoming: Path, stripes: NDArray[np.uint8]
) -> None:
    place(incoming / "a.png", encoded(stripes[0]))
    watcher = start("--once", "--command", "echo said by the command")
    rows, said = watcher.communicate(timeout=30)
    assert watcher.returncode == 0
    (row,) = csv.DictReader(rows.splitlines())
    assert row["id"] == "a.png"
    assert row["anomalous"] == "true"
    assert len(row["sha256"]) == 64
    assert "said by the command" in said


def test_a_command_gets_its_arguments_and_no_shell_sees_a_files_name(
    start: Start, incoming: Path, stripes: NDArray[np.uint8], tmp_path: Path
) -> None:
    name = "; touch x; $(touch y) `touch z`.png"
    place(incoming / name, encoded(stripes[0]))
    script = tmp_path / "tell.py"
    script.write_text(
        "import json, sys\n"
        "json.dump([sys.argv[2:], json.load(sys.stdin)], open(sys.argv[1], 'w'))\n",
        encoding="utf-8",
    )
    told = tmp_path / "told.json"
    program = shlex.join([sys.executable, str(script), str(told)])
    watcher = start("--once", "--json", "--command", f"{program} {{path}} --score={{score}}")
    rows, _ = watcher.communicate(timeout=30)
    (path, score), body = json.loads(told.read_text(encoding="utf-8"))
    row = json.loads(rows)
    assert path == str(incoming / name)
    assert score == f"--score={row['score']}"
    assert body["sha256"] == row["sha256"]
    assert not [left for left in "xyz" if Path(left).exists() or (tmp_path / left).exists()]


def test_a_second_process_on_the_same_folder_is_refused(start: Start, tmp_path: Path) -> None:
    first = start()
    until(lambda: list(tmp_path.glob("state/residua/watch/*.sqlite")))
    until(lambda: list(tmp_path.glob("state/residua/watch/*.sqlite-wal")))
    second = start()
    _, said = second.communicate(timeout=30)
    assert second.returncode == 1
    assert "another process watches with the ledger" in said
    assert first.poll() is None


def test_once_exits_as_score_does(
    start: Start, incoming: Path, blobs: NDArray[np.uint8], stripes: NDArray[np.uint8]
) -> None:
    place(incoming / "broken.png", b"")
    place(incoming / "odd.png", encoded(stripes[0]))
    assert start("--once", "--patience", 0).wait(30) == 1
    place(incoming / "odder.png", encoded(stripes[0]))
    assert start("--once", "--fail-on-anomaly").wait(30) == 3
    place(incoming / "sound.png", encoded(blobs[0]))
    assert start("--once", "--fail-on-anomaly").wait(30) == 0


def test_the_signature_is_made_with_the_secret_of_the_environment(
    start: Start, incoming: Path, stripes: NDArray[np.uint8], server: Server
) -> None:
    place(incoming / "odd.png", encoded(stripes[0]))
    assert start("--once", "--webhook", server.url).wait(30) == 0
    (request,) = server.requests
    assert request.headers["X-Residua-Signature"].startswith("sha256=")


def test_it_imports_nothing_heavy() -> None:
    program = (
        "import sys, residua.watching.watch\n"
        "heavy = {'torch', 'lightning', 'sklearn', 'scipy', 'matplotlib', 'fastapi'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    assert done.stdout.strip() == "[]"
