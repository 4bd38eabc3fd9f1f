from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image
from rich.console import Console

import residua.experiments.demo as demo
from residua import BundleScorer


@pytest.mark.filterwarnings("ignore::residua.errors.ResiduaWarning")
def test_the_demo_leaves_model_scores_and_picture_and_beats_chance(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demo, "SETTINGS", {**demo.SETTINGS, "epochs": 25})
    monkeypatch.setattr(demo, "N_TRAIN", 200)
    figures = demo.run_demo(tmp_path / "out", console=Console(width=120))
    assert figures["auroc"] > 0.6
    assert figures["pixel_auroc"] > 0.6
    printed = capsys.readouterr().out
    for kind in ("good", "scratch", "stain", "dent", "misprint", "AUROC"):
        assert kind in printed
    assert len((tmp_path / "out" / "scores.csv").read_text().splitlines()) == 321
    assert BundleScorer(tmp_path / "out" / "surfaces.residua").manifest.model.name == "conv"
    with Image.open(tmp_path / "out" / "surfaces.png") as picture:
        assert picture.width > picture.height > 400
