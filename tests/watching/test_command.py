from __future__ import annotations

import json
import os
import sys
import threading
import time
from pathlib import Path

import pytest

from residua.errors import ConfigurationError
from residua.watching.command import Command
from residua.watching.notices import Notices
from residua.watching.notifying import NotDelivered
from residua.watching.outbox import Delivery

# Writes its arguments and standard input to the file that its first argument names.
TELL = (
    "import json, sys; "
    "json.dump([sys.argv[2:], sys.stdin.read()], open(sys.argv[1], 'w'), ensure_ascii=True)"
)


def delivery(name: str, path: bytes | None = None) -> Delivery:
    body = json.dumps({"id": name, "score": 1.25, "p": None})
    return Delivery(1, "key", body, os.fsencode(f"/in/{name}") if path is None else path, 0)


def run(command: Command, name: str = "a.png", path: bytes | None = None) -> None:
    command.send(delivery(name, path), threading.Event())


@pytest.fixture
def program(tmp_path: Path) -> str:
    script = tmp_path / "tell.py"
    script.write_text(TELL, encoding="utf-8")
    return f"{sys.executable} {script} {tmp_path / 'told.json'}"


def told(tmp_path: Path) -> tuple[list[str], str]:
    arguments, stdin = json.loads((tmp_path / "told.json").read_text(encoding="utf-8"))
    return arguments, stdin


def test_placeholders_are_replaced_and_json_is_standard_input(
    program: str, notices: Notices, tmp_path: Path
) -> None:
    run(Command(program + " --file={path} {score} '{id} is odd' '{p}'", notices))
    arguments, stdin = told(tmp_path)
    assert arguments == ["--file=/in/a.png", "1.25", "a.png is odd", ""]
    assert json.loads(stdin)["id"] == "a.png"


@pytest.mark.parametrize(
    "name", ["; touch x", "$(touch x)", "`touch x`", "a b' \"c", "{score}", "| cat\n& touch x"]
)
def test_a_files_name_is_never_more_than_one_argument(
    name: str, program: str, notices: Notices, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run(Command(program + " {id} {path}", notices), name)
    assert told(tmp_path)[0] == [name, f"/in/{name}"]
    assert not (tmp_path / "x").exists()


def test_a_name_that_is_not_utf8_arrives_as_it_is(
    program: str, notices: Notices, tmp_path: Path
) -> None:
    run(Command(program + " {path}", notices), "shown", b"/in/\xff.png")
    assert os.fsencode(told(tmp_path)[0][0]) == b"/in/\xff.png"


def test_what_it_prints_is_said_and_not_printed(
    notices: Notices, said: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    code = "import sys; print('one'); print('two\\x1b[2J', file=sys.stderr)"
    run(Command(f'{sys.executable} -c "{code}"', notices))
    assert sorted(line.partition(": ")[2] for line in said) == ["one", "two\\x1b[2J"]
    assert capfd.readouterr() == ("", "")


def test_only_the_end_of_what_it_prints_is_kept(notices: Notices, said: list[str]) -> None:
    run(Command(f"{sys.executable} -c \"print('x' * 50_000_000); print('end')\"", notices))
    assert sum(map(len, said)) < 5_000
    assert said[-1].endswith(": end")


def test_an_exit_status_but_0_is_a_failure(notices: Notices) -> None:
    with pytest.raises(NotDelivered, match="exits with 7"):
        run(Command(f'{sys.executable} -c "raise SystemExit(7)"', notices))


def test_one_that_does_not_end_is_killed_with_all_it_started(
    notices: Notices, tmp_path: Path
) -> None:
    late = tmp_path / "late"
    command = Command(f"sh -c '(sleep 0.5; touch {late}) & wait'", notices, timeout=0.2)
    with pytest.raises(NotDelivered, match=r"more than 0\.2 seconds"):
        run(command)
    time.sleep(0.7)
    assert not late.exists()


def test_a_program_that_reads_nothing_is_no_failure(notices: Notices) -> None:
    run(Command("true", notices))


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", "empty"),
        ("echo 'a", "cannot be split"),
        ("no-such-program {id}", "is not there"),
        ("echo {scores}", "did you mean 'score'"),
    ],
)
def test_a_command_that_cannot_be_run_is_refused(text: str, match: str, notices: Notices) -> None:
    with pytest.raises(ConfigurationError, match=match):
        Command(text, notices)


def test_a_camera_has_no_path_to_give(notices: Notices) -> None:
    with pytest.raises(ConfigurationError, match="no file"):
        Command("echo {path}", notices, has_files=False)


def test_the_secrets_of_the_environment_are_not_handed_on(
    notices: Notices, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RESIDUA_WEBHOOK_SECRET", "hunter2")
    monkeypatch.setenv("RESIDUA_CAMERA_LOGIN", "eve:hunter2")
    monkeypatch.setenv("LINE", "three")
    run(Command("env", notices))
    assert any(line.endswith("LINE=three") for line in said)
    assert not any("hunter2" in line for line in said)


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts what is open")
def test_what_a_program_leaves_running_is_not_waited_for(notices: Notices, said: list[str]) -> None:
    command = Command("sh -c 'echo started; sleep 4 &'", notices)
    threads, opened = set(threading.enumerate()), descriptors()
    for _ in range(3):
        run(command)
    assert [line.partition(": ")[2] for line in said] == ["started"] * 3
    assert set(threading.enumerate()) <= threads  # other tests' may end meanwhile
    assert descriptors() <= opened
