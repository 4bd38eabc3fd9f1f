from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from residua.cli import main
from residua.cluster.results import Counts
from residua.cluster.scoring import Progress


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--maps", "maps"], "--maps"),
        (["--fdr", "0.1"], "--fdr"),
        (["--threads", "2"], "--threads"),
        (["--engine", "openvino"], "--engine"),
        (["--precision", "bf16"], "--precision"),
        (["--json"], "--json"),
    ],
)
def test_what_a_cluster_cannot_do_is_refused_by_name(
    bundle: Path, tmp_path: Path, options: list[str], named: str, capsys, monkeypatch
) -> None:
    out = str(tmp_path / "s.parquet")
    code = run(monkeypatch, bundle, tmp_path, "--cluster", "auto", "--out", out, *options)
    assert code == 2
    assert f"{named} cannot be had with --cluster" in " ".join(capsys.readouterr().err.split())


def test_the_folder_of_the_scores_has_to_be_named(bundle, tmp_path, capsys, monkeypatch) -> None:
    assert run(monkeypatch, bundle, tmp_path, "--cluster", "auto") == 2
    assert "--cluster needs --out" in capsys.readouterr().err


def test_workers_without_a_cluster_are_refused(bundle, tmp_path, capsys, monkeypatch) -> None:
    assert run(monkeypatch, bundle, tmp_path, "--workers", "2") == 2
    assert "--workers is for --cluster" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("counts", "options", "code"),
    [
        (Counts(10, 0, 0), [], 0),
        (Counts(10, 2, 0), [], 0),
        (Counts(10, 2, 0), ["--fail-on-anomaly"], 3),
        (Counts(9, 2, 1), [], 1),
        (KeyboardInterrupt(), [], 130),
    ],
)
def test_the_exit_code_says_what_came_of_it(
    bundle: Path, tmp_path: Path, monkeypatch, capsys, counts: Any, options, code
) -> None:
    def scored(*_: Any, watch, **__: Any) -> Progress:
        if isinstance(counts, BaseException):
            raise counts
        progress = Progress(10, 4, counts, 2.0, 2)
        watch(progress)
        return progress

    monkeypatch.setattr("residua.cluster.scoring.score_on_cluster", scored)
    arguments = ["--cluster", "auto", "--out", str(tmp_path / "s.parquet"), *options]
    assert run(monkeypatch, bundle, tmp_path, *arguments) == code
    said = capsys.readouterr().err
    assert ("the same command" in said) == (code == 130)
    assert ("4 of them by an earlier run" in said) == (code != 130)


def test_a_bar_shows_pictures_failures_and_rate() -> None:
    from io import StringIO

    from rich.console import Console

    from residua.cluster.progress import ShowProgress

    written = StringIO()
    console = Console(file=written, force_terminal=True, width=120)
    with ShowProgress(console) as show:
        show(Progress(1000, 0, Counts(), 0.0, 2))
        show(Progress(1000, 100, Counts(590, 3, 10), 5.0, 2))
    said = written.getvalue()
    assert "600/1000" in said
    assert "10 failed" in said
    assert "100 images/s by 2" in said


def test_until_the_first_part_is_done_there_is_no_rate() -> None:
    from residua.cluster.progress import figures

    assert figures(Progress(1000, 300, Counts(300, 0, 0), 2.0, 2)) == "2 workers start"


def run(monkeypatch, bundle: Path, data: Path, *options: str) -> int:
    monkeypatch.setattr(sys, "argv", ["residua", "score", str(bundle), str(data), *options])
    with pytest.raises(SystemExit) as left:
        main()
    return SimpleNamespace(code=left.value.code).code or 0
