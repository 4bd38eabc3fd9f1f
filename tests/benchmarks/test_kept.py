from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from quality.kept import Kept, Rate, Result, key_of


def make_result(key: str = "a", **changed: Any) -> Result:
    values: dict[str, Any] = {
        "row": "mnist",
        "case": "all",
        "seed": 0,
        "settings": {"random_state": 0},
        "threshold": "percentile(99)",
        "n_train": 400,
        "n_normal": 60,
        "n_anomalous": 40,
        "fit_seconds": 3.0,
        "score_seconds": 0.5,
        "seconds": 4.0,
        "measured": {"auroc": 0.95, "tpr": 0.5, "fpr": 0.01},
        "rates": [Rate(rule="r", n_calibration=99, n_normal=60, flagged=1, promised=0.01)],
        "machine": "a machine",
    }
    return Result(key=key, **{**values, **changed})


def test_a_result_is_on_disk_as_soon_as_it_is_added(tmp_path: Path) -> None:
    path = tmp_path / "new" / "results.jsonl"
    kept = Kept(path)
    kept.add(make_result("a"))
    assert list(Kept(path)) == [make_result("a")]
    kept.add(make_result("b", seed=1))
    assert [result.key for result in Kept(path)] == ["a", "b"]


def test_a_line_that_was_cut_short_costs_that_result_alone(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    Kept(path).add(make_result("a"))
    whole = path.read_bytes()
    path.write_bytes(whole + whole[: len(whole) // 2])
    assert [result.key for result in Kept(path)] == ["a"]
    Kept(path).add(make_result("b"))
    assert [result.key for result in Kept(path)] == ["a", "b"]


def test_a_result_that_is_measured_again_replaces_the_first(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "results.jsonl")
    kept.add(make_result("a", n_train=1))
    kept.add(make_result("a", n_train=2))
    for results in (kept, Kept(tmp_path / "results.jsonl")):
        assert [result.n_train for result in results] == [2]


def test_published_results_are_taken_too_and_newer_ones_go_before_them(tmp_path: Path) -> None:
    published = tmp_path / "quality.json"
    old = [make_result("a", n_train=1), make_result("b", n_train=1)]
    published.write_text(json.dumps({"results": [result.model_dump() for result in old]}))
    Kept(tmp_path / "results.jsonl").add(make_result("b", n_train=2))
    kept = Kept(tmp_path / "results.jsonl", published)
    assert {result.key: result.n_train for result in kept} == {"a": 1, "b": 2}
    assert "a" in kept
    assert "c" not in kept


PARAMETERS = {"model": "conv", "threshold": "auto", "device": "auto", "verbose": 0}


@pytest.mark.parametrize(
    "changed",
    [
        {"row": "fashion"},
        {"case": "3"},
        {"seed": 1},
        {"parameters": {**PARAMETERS, "threshold": "percentile(99)"}},
        {"circumstances": {"quick": True}},
    ],
)
def test_whatever_changes_a_result_changes_its_key(changed: dict[str, Any]) -> None:
    known: dict[str, Any] = {
        "row": "mnist",
        "case": "2",
        "seed": 0,
        "parameters": PARAMETERS,
        "circumstances": {"quick": False},
    }
    assert key_of(**{**known, **changed}) != key_of(**known)


def test_how_a_fit_is_run_and_shown_changes_no_key() -> None:
    shown = {**PARAMETERS, "device": "cpu", "verbose": 1}
    assert key_of("mnist", "2", 0, shown, {}) == key_of("mnist", "2", 0, PARAMETERS, {})
