"""What lies in deploy/ and stands in docs/deploy.md, held against the package as it is."""

from __future__ import annotations

import http.server
import json
import re
import shlex
import shutil
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import NamedTuple

import pytest
import typer.main
import yaml

from residua.cli.common import app

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
PAGE = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")
UNITS = sorted(DEPLOY.glob("*.service"))
COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]


class Instruction(NamedTuple):
    """A line of a Dockerfile, its continuations joined."""

    name: str
    rest: str


def dockerfile() -> list[Instruction]:
    lines = (DEPLOY / "Dockerfile").read_text(encoding="utf-8").splitlines()
    whole = "\n".join(line for line in lines if not line.lstrip().startswith("#"))
    joined = whole.replace("\\\n", " ").splitlines()
    return [Instruction(*line.split(maxsplit=1)) for line in joined if line.strip()]


def last_stage() -> list[Instruction]:
    found = dockerfile()
    start = max(number for number, one in enumerate(found) if one.name == "FROM")
    return found[start:]


def the(name: str) -> str:
    """Return what the only instruction of that name in the last stage says."""
    (found,) = (one.rest for one in last_stage() if one.name == name)
    return found


def unit(path: Path) -> dict[str, list[str]]:
    """Return the settings of a unit, whatever their section, with all values of each."""
    found: dict[str, list[str]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        name, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found.setdefault(name, []).append(value)
    return found


def settings_of(path: Path) -> dict[str, str]:
    """Return what an environment file sets, and what it offers behind a #."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return dict(re.findall(r"^#?([A-Z_]+)=(.*)$", "\n".join(lines), re.MULTILINE))


def options_of(command: str) -> set[str]:
    return {name for parameter in COMMANDS[command].params for name in parameter.opts} | {"--help"}


def test_the_container_does_not_run_as_root() -> None:
    user, _, group = the("USER").partition(":")
    assert int(user) > 0
    assert int(group) > 0


def test_the_container_is_pinned_stopped_and_written_to_as_it_should_be() -> None:
    instructions = dockerfile()
    assert {one.rest.split()[0] for one in instructions if one.name == "FROM"} == {
        "python:${PYTHON}"
    }
    (default,) = (one.rest for one in instructions if one.name == "ARG")
    assert re.fullmatch(r"PYTHON=3\.\d+(\.\d+)?-slim\S*", default)
    assert the("STOPSIGNAL") == "SIGTERM"
    assert the("VOLUME") == "/data"
    names = [one.name for one in last_stage()]
    assert names.index("USER") > max(n for n, name in enumerate(names) if name == "RUN")


def test_the_container_installs_extras_that_exist_and_no_torch() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    runs = " ".join(one.rest for one in dockerfile() if one.name == "RUN")
    # The script compares every file with the hashes of constraints.txt.
    (installed,) = re.findall(r"scripts/install /opt/residua/bin/python ([a-z,]+)", runs)
    assert "pip install" not in runs
    open_, packages = set(installed.split(",")), set()
    while open_:
        for requirement in extras[open_.pop()]:
            name = re.split(r"[\[<>=;\s]", requirement)[0]
            if name == "residua":
                open_ |= set(re.findall(r"\[([a-z,]+)\]", requirement)[0].split(","))
            packages.add(name)
    assert {"fastapi", "uvicorn", "psycopg"} <= packages
    assert not packages & {"torch", "lightning", "scikit-learn", "matplotlib"}


def test_all_that_is_copied_is_there_and_not_ignored() -> None:
    ignore = (ROOT / ".dockerignore").read_text().splitlines()
    kept = [line[1:] for line in ignore if line.startswith("!")]
    assert "*" in ignore
    copied = [
        source
        for one in dockerfile()
        if one.name == "COPY" and "--from" not in one.rest
        for source in one.rest.split()[:-1]
    ]
    assert copied
    for source in copied:
        assert (ROOT / source).exists(), source
        assert any(fnmatch(source, pattern) for pattern in kept), source
    assert not [name for name in kept if name not in copied]


def test_the_container_starts_the_service_with_options_that_it_has() -> None:
    start = json.loads(the("ENTRYPOINT"))
    assert start[:2] == ["residua", "serve"]
    assert {word for word in start if word.startswith("--")} <= options_of("serve")
    values = dict(zip(start[2::2], start[3::2], strict=True))
    assert values["--data"] == the("VOLUME")
    assert values["--port"] == the("EXPOSE")


@pytest.fixture
def answering() -> Iterator[tuple[type[http.server.BaseHTTPRequestHandler], int]]:
    class Answer(http.server.BaseHTTPRequestHandler):
        status = 200
        asked: list[str] = []  # noqa: RUF012  a new class each time

        def do_GET(self) -> None:
            self.asked.append(self.path)
            self.send_response(self.status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield Answer, server.server_port
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(("status", "healthy"), [(200, True), (503, False)])
def test_the_health_check_tells_a_service_that_lives_from_one_that_does_not(
    answering: tuple[type, int], status: int, healthy: bool
) -> None:
    answer, port = answering
    answer.status = status
    python, flag, program = json.loads(the("HEALTHCHECK").partition("CMD")[2])
    assert (python, flag) == ("python", "-c")
    assert f"127.0.0.1:{the('EXPOSE')}/" in program
    here = program.replace(f":{the('EXPOSE')}/", f":{port}/")
    done = subprocess.run([sys.executable, flag, here], capture_output=True, check=False)
    assert (done.returncode == 0) == healthy
    assert answer.asked == ["/healthz"]


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_systemd_finds_nothing_wrong_with_a_unit(path: Path, tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    # Started as it is written, except that the program lies elsewhere.
    text = path.read_text().replace("/opt/residua/bin/residua", sys.executable)
    copy = tmp_path / path.name.replace("@", "@line-1")
    copy.write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", copy], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_the_exposure_of_a_unit_is_what_the_page_says(path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    version = subprocess.run(
        ["systemd-analyze", "--version"], capture_output=True, text=True, check=True
    ).stdout.split()[1]
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", path],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode or "exposure level" not in done.stdout:
        pytest.skip(f"systemd {version} measures no unit that is not installed")
    (found,) = re.findall(r"exposure level for \S+: ([\d.]+)", done.stdout)
    ((said, measured_by),) = re.findall(r"of ([\d.]+) of at most 10 \(systemd (\d+)", PAGE)
    assert float(found) < 2
    if version == measured_by:
        assert found == said


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_a_unit_gives_away_what_it_does_not_need(path: Path) -> None:
    settings = unit(path)
    assert settings["User"] == ["residua"]
    assert settings["ProtectSystem"] == ["strict"]
    assert settings["NoNewPrivileges"] == settings["PrivateTmp"] == ["yes"]
    assert settings["CapabilityBoundingSet"] == [""]
    assert settings["Restart"] == ["on-failure"]
    assert settings["LimitCORE"] == ["0"]
    assert settings["MemoryMax"]
    # What decodes asks how much memory is free, in /proc/meminfo.
    assert "ProcSubset" not in settings


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_a_unit_starts_a_command_with_options_that_it_has(path: Path) -> None:
    (start,) = unit(path)["ExecStart"]
    environment = settings_of(
        DEPLOY / ("residua.env" if path.name == "residua.service" else "watch.env")
    )
    words = re.sub(r"\$\{?([A-Z_]+)\}?", lambda found: environment[found[1]], start).split()
    command = words[1]
    if command not in COMMANDS:
        pytest.skip(f"this version has no residua {command}")
    assert {word for word in words if word.startswith("--")} <= options_of(command)


def test_the_service_is_given_longer_to_stop_than_it_takes() -> None:
    from residua.service.settings import Limits

    (stop,) = unit(DEPLOY / "residua.service")["TimeoutStopSec"]
    assert int(stop.removesuffix("s")) > Limits().drain_seconds
    assert f"--stop-timeout {stop.removesuffix('s')}" in PAGE


def test_the_environment_that_the_files_set_is_read() -> None:
    read = {
        parameter.envvar
        for command in COMMANDS.values()
        for parameter in command.params
        if getattr(parameter, "envvar", None)
    }
    (set_here,) = unit(DEPLOY / "residua.service")["Environment"]
    assert "RESIDUA_TOKENS" in read
    assert set_here.startswith("RESIDUA_TOKENS=")
    used = "".join(path.read_text() for path in UNITS)
    for name in settings_of(DEPLOY / "residua.env"):
        assert name in read or f"${name}" in used, name


def test_the_pages_commands_have_the_options_that_they_name() -> None:
    text = PAGE.replace("\\\n", " ")
    commands = re.findall(r"^    (residua \w+ .*)$", text, re.MULTILINE)
    commands += re.findall(r"`(residua \w+ [^`]*)`", text)
    # What follows the image's name is said to `residua serve`.
    (in_container,) = re.findall(r" residua (/models/\S+ --.*)$", text, re.MULTILINE)
    assert len(commands) >= 2
    for line in [*commands, f"residua serve {in_container}"]:
        words = shlex.split(line)
        assert {word for word in words if word.startswith("--")} <= options_of(words[1]), line
    named = set(re.findall(r"`(--[a-z-]+)[ `]", text))
    known = set().union(*(options_of(command) for command in COMMANDS))
    assert named <= known


def test_the_page_names_files_that_are_there() -> None:
    for name in re.findall(r"deploy/[\w.@-]+\w", PAGE):
        assert (ROOT / name).is_file(), name
    for path in DEPLOY.iterdir():
        assert f"deploy/{path.name}" in PAGE, path.name


def test_the_alerts_ask_for_figures_that_the_service_has() -> None:
    blocks = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)]
    (scrape,) = (block for block in blocks if "scrape_configs" in block)
    (rules,) = (block for block in blocks if "groups" in block)
    assert scrape["scrape_configs"][0]["authorization"]["credentials_file"]
    source = (ROOT / "src/residua/service/metrics.py").read_text()
    known = set(re.findall(r'"(residua_\w+)"', source))
    asked = [rule["expr"] for group in rules["groups"] for rule in group["rules"]]
    assert len(asked) == 3
    for name in re.findall(r"residua_\w+", " ".join([*asked, *re.findall(r"`([^`]+)`", PAGE)])):
        assert re.sub(r"_(total|bucket)$", "", name) in known, name
    kinds = (ROOT / "src/residua/service/problems.py").read_text()
    for kind in re.findall(r'kind="([\w-]+)"', " ".join(asked)):
        assert f'"{kind}"' in kinds
