from __future__ import annotations

from pathlib import Path

import pytest
from rich.console import Console

from residua.bundle import open_bundle
from residua.scoring.verdicts import Verdict
from residua.summary import Summary, info_table


def shown(renderable: object) -> str:
    console = Console(width=120, color_system=None)
    with console.capture() as capture:
        console.print(renderable)
    return capture.get()


def filled(keep: int, n: int) -> Summary:
    summary = Summary(keep)
    for index in range(n):
        summary.add(Verdict(index, f"{index}.png", float(index), n - 2.5, index > n - 2.5))
    summary.add(Verdict(n, "bad.png", None, 1.0, None, error="zero [bytes]"))
    return summary


def test_the_worst_come_first_and_the_rest_is_counted() -> None:
    text = shown(filled(3, 10).table("run"))
    assert text.index("9.png") < text.index("8.png") < text.index("7.png")
    assert "6.png" not in text
    assert "7 more" in text


def test_counts_are_of_all_pictures() -> None:
    line = filled(1, 10).line()
    assert "10 scored" in line
    assert "2 anomalous" in line
    assert "20.0%" in line
    assert "1 could not be read" in line


def test_errors_are_shown_as_they_are() -> None:
    assert "zero [bytes]" in shown(filled(3, 2).table("run"))


def test_a_run_without_one_readable_picture_has_no_share() -> None:
    summary = Summary(2)
    summary.add(Verdict(0, "bad.png", None, 1.0, None, error="x"))
    assert "%" not in summary.line()


@pytest.mark.parametrize("word", ["conv", "16 × 16, grey", "percentile(99)", "PCA of 16", "seed 0"])
def test_what_a_model_is_fits_a_page(bundle: Path, word: str) -> None:
    assert word in shown(info_table("m", open_bundle(bundle).manifest))
