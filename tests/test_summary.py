from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
import torch
from rich.console import Console

from residua.bundle import open_bundle
from residua.engines.choice import Choice, Circumstances, Measurement
from residua.scoring.verdicts import Verdict
from residua.summary import Summary, engines_table, info_table, threads_and_workers


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


def test_how_far_a_score_lies_from_the_threshold_is_a_difference_of_either_sign() -> None:
    summary = Summary(3)
    summary.add(Verdict(0, "below.png", -1.5, -0.5, False))
    summary.add(Verdict(1, "above.png", 0.25, -0.5, True))
    rows = shown(summary.table("run")).splitlines()
    assert "−1 " in next(row for row in rows if "below.png" in row)
    assert "+0.75" in next(row for row in rows if "above.png" in row)


def test_counts_are_of_all_pictures() -> None:
    line = filled(1, 10).line()
    assert "10 scored" in line
    assert "2 anomalous" in line
    assert "20.0%" in line
    assert "1 could not be read" in line


def test_the_p_value_is_shown_and_a_missing_one_is_a_dash() -> None:
    summary = Summary(3)
    summary.add(Verdict(0, "rare.png", 2.0, 1.0, True, p=1 / 17))
    summary.add(Verdict(1, "bad.png", None, 1.0, None, error="x"))
    rows = shown(summary.table("run")).splitlines()
    assert "0.059" in next(row for row in rows if "rare.png" in row)
    assert "–" in next(row for row in rows if "bad.png" in row)


@pytest.mark.parametrize(("flagged", "said"), [(1, "1 discovery"), (2, "2 discoveries")])
def test_a_run_judged_together_says_the_rate_of_false_ones(flagged: int, said: str) -> None:
    summary = Summary(3, fdr=0.05)
    for index in range(10):
        summary.add(Verdict(index, f"{index}.png", 1.0, 1.0, index < flagged, p=0.5))
    assert said in summary.line()
    assert "at most 5% of them expected to be false" in summary.line()


def test_a_limit_of_no_size_has_no_multiples() -> None:
    summary = Summary(1)
    summary.add(Verdict(0, "a.png", 1.0, -0.5, True, p=0.1))
    row = next(row for row in shown(summary.table("run")).splitlines() if "a.png" in row)
    assert "-2.00" not in row


def test_errors_are_shown_as_they_are() -> None:
    assert "zero [bytes]" in shown(filled(3, 2).table("run"))


def test_a_run_without_one_readable_picture_has_no_share() -> None:
    summary = Summary(2)
    summary.add(Verdict(0, "bad.png", None, 1.0, None, error="x"))
    assert "%" not in summary.line()


@pytest.mark.parametrize(
    "word", ["conv", "16 × 16, grey", "conformal(0.0589)", "PCA of 16", "seed 0, "]
)
def test_what_a_model_is_fits_a_page(bundle: Path, word: str) -> None:
    assert word in shown(info_table("m", open_bundle(bundle).manifest))


@pytest.mark.parametrize(
    ("threads", "workers", "said"),
    [
        (1, 1, "1 thread"),
        (4, 1, "4 threads"),
        (2, 3, "2 threads in each of 3 workers"),
        (None, 1, "threads not noted"),
    ],
)
def test_among_how_many_threads_a_fit_was_threads_and_workers(
    bundle: Path, threads: int | None, workers: int, said: str
) -> None:
    manifest = open_bundle(bundle).manifest
    assert manifest.threads == torch.get_num_threads()
    made = manifest.model_copy(update={"threads": threads, "workers": workers})
    assert f"seed 0, {said}" in shown(info_table("m", made))
    assert threads_and_workers(made) == said


def test_the_engines_are_shown_with_the_chosen_one_first() -> None:
    under = Circumstances(graph="0", machine="m", threads=2, precision="bf16", versions={})
    fast = Measurement(
        engine="openvino",
        precision="bf16",
        images_per_second=8_900,
        start_seconds=0.44,
        deviation=2e-4,
    )
    broken = Measurement(
        engine="torch",
        precision="bf16",
        images_per_second=None,
        start_seconds=None,
        deviation=None,
        failure="no [such] card",
    )
    choice = Choice(under=under, created=datetime.now(UTC), batch=64, measured=[fast, broken])
    text = shown(engines_table("m", choice))
    assert text.index("openvino") < text.index("torch")
    for word in ("8,900", "0.4", "2.0e-04", "chosen", "no [such] card", "2 threads, 64 pictures"):
        assert word in text
