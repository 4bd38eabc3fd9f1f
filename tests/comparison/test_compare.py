from __future__ import annotations

import io
import json
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score
from sklearn.svm import OneClassSVM

from residua import AutoencoderDetector
from residua.comparison import fits
from residua.comparison.adapters import anomaly_scores, as_input
from residua.comparison.classical import NeighbourDistance
from residua.comparison.compare import compare
from residua.comparison.leaderboard import Comparison
from residua.errors import ConfigurationError, MissingExtra, TrainingError, UnknownName

COMMAND = str(Path(sys.executable).with_name("residua"))


def measured_here(job: Any, folder: Path, **_: Any) -> Any:
    """Stand in for a process of its own, which takes seconds to start."""
    from residua.comparison.measuring import _measured_here

    # The job goes through bytes, as it would on its way.
    return _measured_here(pickle.loads(pickle.dumps(job)))


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fits, "measure", measured_here)


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Jobs in the order in which they were fitted."""
    jobs: list[Any] = []

    def record(job: Any, folder: Path, **options: Any) -> Any:
        jobs.append(job)
        return measured_here(job, folder, **options)

    monkeypatch.setattr(fits, "measure", record)
    return jobs


def test_the_figures_are_those_of_a_fit_by_hand(
    blobs: NDArray[np.uint8], stripes: NDArray[np.uint8]
) -> None:
    # Half of the stripes is faded, so that the two kinds overlap.
    odd = np.concatenate([stripes, blobs[:20] // 2])
    found = compare(blobs[20:], odd, methods=["knn"], seeds=[3])
    order = np.random.default_rng(3).permutation(140)
    train, test = blobs[20:][np.sort(order[:98])], blobs[20:][np.sort(order[98:])]
    knn = NeighbourDistance()
    knn.fit(as_input(knn, train))
    scores = anomaly_scores(knn, np.concatenate([test, odd]))
    assert found.n_normal == 42
    assert found.best.n_train == 98
    assert found.best.auroc.value == pytest.approx(roc_auc_score([0] * 42 + [1] * 40, scores))


def test_every_method_scores_the_same_pictures_and_trains_on_trusted_ones(
    measured: list[Any],
) -> None:
    found = compare(
        "digits",
        "digits",
        normal=["0"],
        methods=["pca", "knn"],
        seeds=[0, 1],
        n_train=50,
        n_test=40,
    )
    assert (found.n_normal, found.n_anomalous) == (40, 40)
    assert {job.test for job in measured} == {measured[0].test}
    first, second = measured[0].rows, measured[1].rows
    assert len(first) == len(second) == 50
    assert first.tolist() != second.tolist()
    assert first.tolist() == measured[2].rows.tolist()


def test_a_second_call_reuses_what_is_done_and_adds_what_is_new(
    measured: list[Any], tmp_path: Path
) -> None:
    def run(methods: list[str], seeds: list[int], **more: Any) -> Comparison:
        return compare(
            "digits",
            "digits",
            normal=["0"],
            methods=methods,
            seeds=seeds,
            folder=tmp_path,
            n_train=60,
            **more,
        )

    first = run(["pca", "iforest"], [0])
    assert len(measured) == 2
    assert run(["pca", "iforest"], [0]) == first
    assert len(measured) == 2
    run(["pca", "iforest"], [0, 1])
    assert len(measured) == 4
    run(["pca"], [0], image_size=16)
    run(["pca"], [0], n_test=30)
    assert len(measured) == 6
    assert (tmp_path / "comparison.csv").exists()


def test_a_result_that_cannot_be_read_is_made_again(measured: list[Any], tmp_path: Path) -> None:
    for _ in range(2):
        compare("digits", "digits", normal=["0"], methods=["pca"], folder=tmp_path)
        (kept,) = (tmp_path / "fits").iterdir()
        kept.write_text("{", encoding="utf-8")
    assert len(measured) == 2


def test_detectors_are_taken_as_they_are(
    blobs: NDArray[np.uint8], stripes: NDArray[np.uint8]
) -> None:
    forest = IsolationForest(n_estimators=10)
    found = compare(
        blobs, stripes, methods={"mine": forest, "svm": OneClassSVM(), "nearest": "knn"}
    )
    assert {row.method for row in found.rows} == {"mine", "svm", "nearest"}
    assert not hasattr(forest, "estimators_")
    twice = compare(blobs, stripes, methods=[forest, IsolationForest(n_estimators=20)])
    assert {row.method for row in twice.rows} == {"IsolationForest", "IsolationForest-2"}


@pytest.mark.filterwarnings("ignore::residua.errors.ResiduaWarning")
def test_networks_are_compared_and_one_that_refuses_the_size_is_left_out(
    blobs: NDArray[np.uint8], stripes: NDArray[np.uint8]
) -> None:
    detector = AutoencoderDetector(epochs=3)
    found = compare(
        blobs, stripes, methods=["conv", "seed-mnist", detector], image_size=18, epochs=2
    )
    assert {row.method for row in found.rows} == {"conv", "AutoencoderDetector"}
    assert "multiples of 4" in found.left_out["seed-mnist"]
    assert found.rows[0].input == "18 × 18 × 1"


def test_flattened_pictures_are_made_smaller_and_it_is_said(
    blobs: NDArray[np.uint8], stripes: NDArray[np.uint8]
) -> None:
    found = compare(blobs, stripes, methods=["pca"], image_size=100)
    assert found.best.input == "64 × 64 × 1"
    assert found.spec.height == 100
    assert any("64 × 64" in remark for remark in found._remarks())


def test_quadratic_methods_are_trained_on_fewer_and_it_is_said(
    blobs: NDArray[np.uint8], stripes: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    import residua.comparison.choice as choice
    from residua.comparison.methods import METHODS

    few = {"knn": replace(METHODS["knn"], most=30), "pca": METHODS["pca"]}
    monkeypatch.setattr(choice, "METHODS", few)
    monkeypatch.setattr(choice, "COMPARED", ())
    found = compare(blobs, stripes)
    rows = {row.method: row for row in found.rows}
    assert rows["knn"].n_train == 30
    assert "30 of 112" in rows["knn"].notes[0]
    assert rows["pca"].n_train == 112
    assert not rows["pca"].notes


def test_a_method_that_fails_does_not_end_the_others(
    blobs: NDArray[np.uint8], stripes: NDArray[np.uint8]
) -> None:
    found = compare(blobs, stripes, methods={"bad": OneClassSVM(nu=7), "pca": "pca"})
    assert [row.method for row in found.rows] == ["pca"]
    assert "'nu' parameter" in found.left_out["bad"]
    with pytest.raises(TrainingError, match=r"not one method.*bad: The 'nu'"):
        compare(blobs, stripes, methods={"bad": OneClassSVM(nu=7)})


def test_wrong_methods_and_seeds_are_refused_before_a_picture_is_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "pyod", None)
    monkeypatch.setitem(sys.modules, "pyod.models", None)
    for methods, error, text in (
        (["knnn"], UnknownName, "'knn'"),
        ([], ConfigurationError, "empty"),
        ([3], ConfigurationError, "score_samples"),
        (["pyod:ECOD"], MissingExtra, "pip install pyod"),
    ):
        with pytest.raises(error, match=text):
            compare("no such place", "digits", methods=methods)
    with pytest.raises(ConfigurationError, match="seeds"):
        compare("digits", "digits", seeds=[])


def test_progress_names_each_method(blobs: NDArray[np.uint8], stripes: NDArray[np.uint8]) -> None:
    console = Console(record=True, width=150, file=io.StringIO())
    compare(blobs, stripes, methods=["pca", "knn"], console=console)
    text = console.export_text()
    assert "[1/2] pca" in text
    assert "[2/2] knn" in text


def residua(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [COMMAND, "compare", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, "COLUMNS": "220", "NO_COLOR": "1"},
        check=False,
    )


def test_the_command_prints_the_leaderboard_of_two_folders(
    tmp_path: Path, blobs: NDArray[np.uint8], stripes: NDArray[np.uint8]
) -> None:
    for name, images in (("good", blobs[:30]), ("odd", stripes)):
        (tmp_path / name).mkdir()
        for number, image in enumerate(images):
            Image.fromarray(image).save(tmp_path / name / f"{number:02}.png")
    done = residua("good", "odd", "--method", "pca", "--method", "lof", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "ranks best" in done.stdout
    assert "9 normal and 20 anomalous" in done.stdout
    assert (tmp_path / "runs" / "compare" / "comparison.json").exists()
    again = residua("good", "odd", "--method", "pca", "--json", "--size", "8x12", cwd=tmp_path)
    found = Comparison.model_validate(json.loads(again.stdout))
    assert found.spec.shape == (8, 12, 1)


def test_the_command_lists_methods_and_refuses_half_a_question(tmp_path: Path) -> None:
    listed = residua("--list", cwd=tmp_path)
    assert listed.returncode == 0
    assert "envelope" in listed.stdout
    assert "pyod:NAME" in listed.stdout
    assert residua("digits", cwd=tmp_path).returncode == 2
    assert residua("digits", "digits", "--seeds", "a", cwd=tmp_path).returncode == 2
    unlabelled = residua("digits", "digits", cwd=tmp_path)
    assert unlabelled.returncode == 1
    assert "no class is named" in unlabelled.stderr
