from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import residua.images.datasets as datasets
from residua import AutoencoderDetector
from residua.errors import ConfigurationError, TrainingError, UnknownName
from residua.experiments import EXPERIMENTS, mnist_fashion, run_experiment
from residua.experiments.mnist_fashion import EXPERIMENT
from residua.images.source import ArraySource

pytestmark = pytest.mark.filterwarnings("ignore::residua.errors.ResiduaWarning")


@pytest.fixture
def small_data(
    monkeypatch: pytest.MonkeyPatch, blobs: NDArray[np.uint8], stripes: NDArray[np.uint8]
) -> list[tuple[str, str]]:
    """Blobs stand for the digits and stripes for the clothes; the loads are recorded."""
    loaded: list[tuple[str, str]] = []

    def load(name: str, split: str) -> ArraySource:
        loaded.append((name, split))
        pictures = {"mnist": blobs if split == "train" else blobs[:40], "fashion-mnist": stripes}
        return ArraySource(pictures[name])

    monkeypatch.setattr(datasets, "load_dataset", load)
    return loaded


def run(folder: Path, **options: Any) -> Any:
    return run_experiment(
        "mnist-fashion", folder=folder, **{"epochs": 120, "page": False, **options}
    )


@pytest.mark.parametrize("recipe", EXPERIMENT.recipes)
def test_a_run_measures_every_claimed_figure(
    recipe: str, small_data: list[tuple[str, str]], tmp_path: Path
) -> None:
    report = run(tmp_path, recipes=[recipe])
    measured = report.runs[0].measured
    missing = {claim.measure for claim in report.claims} - set(measured)
    assert missing <= {"lower"}
    assert 0 <= measured["false_positive_rate"] <= 1
    assert measured["epochs"] == 120


def test_only_normal_training_pictures_are_fitted(
    small_data: list[tuple[str, str]], tmp_path: Path
) -> None:
    run(tmp_path, recipes=["conv"])
    assert ("fashion-mnist", "train") not in small_data
    assert ("mnist", "train") in small_data


def test_a_second_call_reuses_what_is_done(
    small_data: list[tuple[str, str]], tmp_path: Path
) -> None:
    first = run(tmp_path, recipes=["conv"])
    count = len(small_data)
    assert run(tmp_path, recipes=["conv"]) == first
    assert len(small_data) == count
    run(tmp_path, recipes=["conv"], seeds=(0, 1))
    assert len(small_data) == 2 * count


def test_a_model_that_is_there_is_measured_and_not_fitted_again(
    small_data: list[tuple[str, str]], tmp_path: Path
) -> None:
    first = run(tmp_path, recipes=["conv"])
    (kept,) = (tmp_path / "mnist-fashion").glob("conv-*")
    (kept / "result.json").unlink()
    assert run(tmp_path, recipes=["conv"]) == first
    assert small_data.count(("mnist", "train")) == 1


def test_a_quick_run_is_kept_apart_and_says_so(
    small_data: list[tuple[str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mnist_fashion, "QUICK_TRAINING", 100)
    monkeypatch.setattr(mnist_fashion, "QUICK_TEST", 15)
    report = run(tmp_path, recipes=["conv"], quick=True)
    assert not (tmp_path / "mnist-fashion").exists()
    assert "QUICK" in str(report.tables()[0].title)


def test_another_setting_is_another_run(small_data: list[tuple[str, str]], tmp_path: Path) -> None:
    run(tmp_path, recipes=["conv"])
    run(tmp_path, recipes=["conv"], epochs=121)
    assert len(list((tmp_path / "mnist-fashion").glob("conv-*"))) == 2


def test_each_run_leaves_its_model_and_its_figures(
    small_data: list[tuple[str, str]], tmp_path: Path
) -> None:
    run(tmp_path, recipes=["conv"])
    (kept,) = (tmp_path / "mnist-fashion").glob("conv-*")
    assert (kept / "model.residua" / "model.onnx").exists()
    assert json.loads((kept / "result.json").read_text())["recipe"] == "conv"


def test_a_fit_that_was_stopped_is_not_kept_as_the_protocol(
    small_data: list[tuple[str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = AutoencoderDetector.fit

    def stopped(self: AutoencoderDetector, X: Any, y: Any = None) -> AutoencoderDetector:
        original(self, X, y).interrupted_ = True
        return self

    with monkeypatch.context() as patch:
        patch.setattr(AutoencoderDetector, "fit", stopped)
        with pytest.raises(TrainingError, match="ended by Ctrl-C"):
            run(tmp_path, recipes=["conv"])
    assert not list((tmp_path / "mnist-fashion").glob("*/result.json"))
    assert run(tmp_path, recipes=["conv"]).runs


def test_a_backbone_is_refused_where_none_is_measured(
    small_data: list[tuple[str, str]], tmp_path: Path
) -> None:
    (tmp_path / "backbone.onnx").write_bytes(b"")
    with pytest.raises(ConfigurationError, match="measures no backbone"):
        run(tmp_path, recipes=["conv"], backbone=tmp_path / "backbone.onnx")


def test_the_report_has_claims_figures_and_the_command(
    small_data: list[tuple[str, str]], tmp_path: Path
) -> None:
    run(tmp_path, page=True)
    page = (tmp_path / "mnist-fashion" / "report.html").read_text()
    for said in ("Claimed beside measured", "0.2707 and -0.0113", "residua reproduce", "iforest"):
        assert said.lower() in page.lower(), said
    written = {path.name for path in (tmp_path / "mnist-fashion" / "report").iterdir()}
    assert {"claims.csv", "errors-conv.svg", "other-methods.svg", "evaluation.json"} <= written


def test_the_tables_show_mean_and_spread_over_seeds(
    small_data: list[tuple[str, str]], tmp_path: Path
) -> None:
    figures, _ = run(tmp_path, recipes=["conv"], seeds=(0, 1)).tables()
    cells = list(figures.columns[2].cells)
    assert "±" in cells[0]


def test_the_limits_are_named_as_two_standard_deviations() -> None:
    first = EXPERIMENT.contradictions()[0]
    assert "0.2707 and -0.0113" in first.arithmetic
    assert "2.0 standard deviations" in first.arithmetic


def test_unknown_experiments_and_recipes_offer_names(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="mnist-fashion"):
        run_experiment("mnist-fashio", folder=tmp_path)
    with pytest.raises(UnknownName, match="'conv'"):
        run(tmp_path, recipes=["convv"])
    assert set(EXPERIMENTS) == {"mnist-fashion", "caltech101"}
