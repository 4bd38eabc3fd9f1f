"""The frame of the reliability benchmark: what is kept, what is run again, what is written."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import reliability.__main__ as bench
from reliability.check import Check, Finding

Run = Callable[[], Finding]


@pytest.fixture
def tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Two checks in place of the real ones, results and page in a folder of the test's own."""
    calls: list[str] = []

    def of(name: str, run: Run) -> Check:
        def counted() -> Finding:
            calls.append(name)
            return run()

        return Check(name, f"{name} is kept", counted)

    def checks() -> Iterator[Check]:
        yield of("calm", lambda: Finding(kept=True, figures="3 of 3"))
        yield of("broken", lambda: Finding(kept=1 / 0 > 0, figures="never"))

    monkeypatch.setattr(bench, "_checks", checks)
    monkeypatch.setattr(bench, "KEPT", tmp_path / ".bench" / "reliability.json")
    monkeypatch.setattr(bench, "RESULTS", tmp_path / "results" / "reliability.json")
    monkeypatch.setattr(bench, "PAGE", tmp_path / "reliability.md")
    bench.PAGE.write_text("before\n<!-- begin checks -->\n<!-- end checks -->\nafter\n")
    return calls


def test_a_kept_result_is_not_measured_again(tried: list[str]) -> None:
    assert bench.main(["--only", "calm"]) == 0
    assert bench.main(["--only", "calm"]) == 0

    assert tried == ["calm"]


def test_again_measures_again(tried: list[str]) -> None:
    bench.main(["--only", "calm"])
    bench.main(["--only", "calm", "--again"])

    assert tried == ["calm", "calm"]


def test_an_exception_is_a_promise_that_was_not_kept(tried: list[str]) -> None:
    assert bench.main(["--only", "broken"]) == 1

    kept = json.loads(bench.KEPT.read_text())["checks"]["broken"]
    assert kept["kept"] is False
    assert kept["figures"].startswith("ZeroDivisionError")


def test_the_page_has_every_check_and_says_which_were_not_tried(
    tried: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench, "_commit", lambda: "then")
    bench.main(["--only", "calm", "--page"])

    page = bench.PAGE.read_text()
    assert "| calm is kept | yes | 3 of 3 |" in page
    assert "| broken is kept | ? | not tried yet in this form |  |" in page

    monkeypatch.setattr(bench, "_commit", lambda: "now")
    assert bench.main(["--page"]) == 1

    page = bench.PAGE.read_text()
    assert "| broken is kept | NO | ZeroDivisionError" in page
    assert ", of commit then, now.\n" in page
    assert page.startswith("before\n")
    assert page.endswith("after\n")
    assert json.loads(bench.RESULTS.read_text())["checks"]["calm"]["figures"] == "3 of 3"


def test_an_unknown_check_is_named(tried: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.main(["--only", "calm,clam"]) == 2

    assert "no such check: clam" in capsys.readouterr().err
    assert tried == []
