from __future__ import annotations

import dataclasses
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from quality import run as run_module
from quality.kept import Kept
from quality.protocols import Pictures
from quality.run import QUICK_CASES, QUICK_EACH_SIDE, Runner
from quality.singles import single_scores
from residua import AutoencoderDetector
from residua.errors import ResiduaWarning, TrainingError
from residua.images.source import ArraySource
from residua.scoring.names import SCORES

from .conftest import FakeDetector, make_pictures, make_row

ROWS = [make_row("one"), make_row("many", ("x", "y", "z"))]
JOBS = [("one", "all"), ("many", "x"), ("many", "y"), ("many", "z")]


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    return Kept(tmp_path / "results.jsonl")


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One entry for each fit that is made."""
    fits: list[int] = []
    measure = run_module.measure

    def counted(*args: Any, **options: Any) -> Any:
        fits.append(options["seed"])
        return measure(*args, **options)

    monkeypatch.setattr(run_module, "measure", counted)
    return fits


def test_the_first_seed_of_every_row_is_measured_before_the_next_seed(
    runner: Runner, kept: Kept
) -> None:
    runner.run(kept, ROWS, [0, 1])
    assert [(r.seed, r.row, r.case) for r in kept] == [(s, *job) for s in (0, 1) for job in JOBS]


def test_what_is_kept_is_not_measured_again(
    runner: Runner, kept: Kept, made: list[int], tmp_path: Path
) -> None:
    runner.run(kept, ROWS, [0])
    assert made == [0] * 4
    runner.run(Kept(tmp_path / "results.jsonl"), ROWS, [0, 1])
    assert made == [0] * 4 + [1] * 4
    runner.run(Kept(tmp_path / "results.jsonl"), ROWS[:1], [0], again=True)
    assert made == [0] * 4 + [1] * 4 + [0]


def test_a_call_that_was_stopped_goes_on_where_it_stopped(
    runner: Runner, made: list[int], tmp_path: Path
) -> None:
    path = tmp_path / "results.jsonl"

    def stop(text: str) -> None:
        if text.startswith("[2/"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        dataclasses.replace(runner, say=stop).run(Kept(path), ROWS, [0])
    assert [(r.row, r.case) for r in Kept(path)] == JOBS[:2]
    made.clear()
    assert runner.run(Kept(path), ROWS, [0]) == []
    assert len(made) == 2
    assert [(r.row, r.case) for r in Kept(path)] == JOBS


def test_a_fit_that_fails_ends_its_case_alone_and_is_tried_again(
    runner: Runner, kept: Kept
) -> None:
    def broken(case: str, seed: int) -> Pictures:
        raise TrainingError("the loss became NaN")

    rows = [dataclasses.replace(ROWS[0], pictures=broken), ROWS[1]]
    failed = runner.run(kept, rows, [0])
    assert failed == ["one, all, seed 0: the loss became NaN"]
    assert [(r.row, r.case) for r in kept] == JOBS[1:]
    assert runner.run(kept, ROWS, [0]) == []
    assert len(list(kept)) == 4


def test_another_default_is_measured_again_and_the_old_figures_no_longer_hold(
    runner: Runner, kept: Kept, made: list[int]
) -> None:
    class Changed(FakeDetector):
        def __init__(self, **parameters: Any) -> None:
            super().__init__(**{"model": "better", **parameters})

    runner.run(kept, ROWS[:1], [0])
    later = dataclasses.replace(runner, build=Changed)
    assert later.current(kept, ROWS) == []
    later.run(kept, ROWS[:1], [0])
    assert made == [0, 0]
    assert len(later.current(kept, ROWS)) == len(runner.current(kept, ROWS)) == 1


def test_the_content_of_a_backbone_counts_and_not_its_place(
    runner: Runner, backbone: Path, tmp_path: Path
) -> None:
    row = make_row("features", features=True)
    (job,) = runner.jobs([row], [0])
    elsewhere = tmp_path / "copy.onnx"
    elsewhere.write_bytes(backbone.read_bytes())
    assert dataclasses.replace(runner, backbone=elsewhere).key(job) == runner.key(job)
    elsewhere.write_bytes(b"other weights")
    assert dataclasses.replace(runner, backbone=elsewhere).key(job) != runner.key(job)


def test_a_result_says_what_was_set_and_names_no_folder(runner: Runner, kept: Kept) -> None:
    row = make_row("features", features=True, settings={"image_size": 8})
    runner.run(kept, [row], [2])
    (result,) = kept
    assert result.settings == {
        "image_size": 8,
        "model": "features",
        "model_options": {"backbone": "backbone.onnx"},
        "random_state": 2,
    }


def test_quick_takes_fewer_pictures_and_is_no_result_of_the_table(
    runner: Runner, kept: Kept
) -> None:
    def many(case: str, seed: int) -> Pictures:
        return make_pictures(normal=QUICK_EACH_SIDE + 50, odd=20)

    row = dataclasses.replace(ROWS[1], pictures=many)
    quick = dataclasses.replace(runner, quick=True)
    quick.run(kept, [row], [0])
    found = list(kept)
    assert len(found) == QUICK_CASES
    assert {(r.n_normal, r.n_anomalous) for r in found} == {(QUICK_EACH_SIDE, 20)}
    assert quick.current(kept, [row]) == found
    assert runner.current(kept, [row]) == []


def test_the_detector_itself_can_be_measured(
    backbone: Path, kept: Kept, blobs: NDArray[np.uint8], stripes: NDArray[np.uint8]
) -> None:
    def pictures(case: str, seed: int) -> Pictures:
        test = ArraySource(np.concatenate([blobs[120:], stripes]))
        return Pictures(ArraySource(blobs[:120]), test, np.arange(len(test)) >= 40)

    row = dataclasses.replace(ROWS[0], pictures=pictures, settings={"epochs": 2})
    runner = Runner(AutoencoderDetector, backbone, singles=single_scores, say=lambda text: None)
    assert runner.run(kept, [row], [0]) == []
    (result,) = kept
    assert result.measured["auroc"] > 0.9
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResiduaWarning)
        detector = AutoencoderDetector(epochs=2, random_state=0).fit(blobs[:120])
    flagged = detector.predict(blobs[120:]) == -1
    assert result.measured["fpr"] == pytest.approx(flagged.mean())
    assert set(result.other_scores) == set(SCORES) - {AutoencoderDetector().scoring}
    assert result.other_scores["error"] > 0.9
    assert all(0 <= auroc <= 1 for auroc in result.other_scores.values())
