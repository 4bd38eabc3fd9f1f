"""The frame around the fuzzers, and what is said of a measured corpus."""

from __future__ import annotations

import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fuzz import measuring, running
from fuzz.__main__ import main
from fuzz.measuring import Taken, measured
from reliability import fuzzing

FINE = Taken("fine", "read", 0.1, 3.0)


@pytest.mark.parametrize(
    "bad",
    [
        Taken("bad", "!KeyError: x", 0.1, 3.0),
        Taken("bad", "DamagedImage", 5.1, 3.0),
        Taken("bad", "read", 0.1, 101.0),
    ],
)
def test_a_file_beyond_a_limit_breaks_the_promise_and_is_named(bad: Taken) -> None:
    assert fuzzing.finding_of([FINE], 100.0).kept
    finding = fuzzing.finding_of([FINE, bad], 100.0)
    assert not finding.kept
    assert "1 beyond the limits: bad" in finding.figures


def test_a_child_that_dies_names_the_file_and_the_next_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    outputs = iter(
        [
            (-27, 'one\n["one", "read", 0.1, 1.0]\ntwo\n'),
            (-11, "three\n"),
            (0, 'four\n["four", "read", 0.1, 1.0]\n'),
        ]
    )
    started_at = []

    def run(command: list[str], **_: Any) -> Any:
        started_at.append(int(command[-1]))
        code, said = next(outputs)
        return SimpleNamespace(returncode=code, stdout=said, stderr="")

    monkeypatch.setattr(measuring.subprocess, "run", run)
    outcomes = [(one.name, one.outcome) for one in measured(1)]
    assert outcomes == [
        ("one", "read"),
        ("two", "!too long"),
        ("three", "!ended with -11"),
        ("four", "read"),
    ]
    assert started_at == [0, 2, 3]


def test_without_atheris_the_command_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("fuzz.__main__.is_installed", lambda: False)
    assert main(["body", "--minutes", "1"]) == 2
    assert "pip install -c constraints.txt atheris" in capsys.readouterr().err
    monkeypatch.setattr(fuzzing, "is_installed", lambda: False)
    findings = [one.run() for one in fuzzing.checks() if one.name.startswith("fuzz-")]
    assert [one.kept for one in findings] == [False] * len(running.TARGETS)
    assert all("not tried" in one.figures for one in findings)


def test_what_a_fuzzer_says_is_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    ended = {"code": 0, "said": "#12\tNEW cov\nstat::number_of_executed_units: 4321\n"}
    real = subprocess.run

    def run(command: list[str], **options: Any) -> Any:
        if "fuzz.child" not in command:
            return real(command, **options)
        options["stdout"].write(ended["said"])
        options["stdout"].flush()
        if ended["code"]:
            (tmp_path / "body-findings" / "crash-abc").write_bytes(b"x")
        return SimpleNamespace(returncode=ended["code"])

    monkeypatch.setattr(running.subprocess, "run", run)
    result = running.fuzz("body", seconds=1, folder=tmp_path)
    assert (result.executions, result.finding) == (4_321, None)
    assert result.kept > 10
    assert "no finding" in result.words()
    ended |= {"code": 77, "said": "#12\tNEW cov\n#99\tNEW cov\nValueError: no\n"}
    result = running.fuzz("body", seconds=1, folder=tmp_path)
    assert result.executions == 99
    assert result.finding == tmp_path / "body-findings" / "crash-abc"
    assert "ValueError: no" in result.words()


@pytest.mark.skipif(not running.is_installed(), reason="atheris is not installed")
def test_a_target_is_fuzzed(tmp_path: Path) -> None:
    result = running.fuzz("body", seconds=3, folder=tmp_path)
    assert result.finding is None
    assert result.executions > 0
