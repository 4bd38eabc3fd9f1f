from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from typer.testing import CliRunner

from residua import AutoencoderDetector
from residua.advice import advise as module
from residua.advice.advise import CHECKS, advise
from residua.advice.finding import Finding
from residua.advice.sheets import contact_sheet, write_advice
from residua.cli.common import app
from residua.evaluation.scored import ScoredSet, score_source
from residua.images.source import ArraySource

SEVERITIES = ["warning", "advice", "fine"]


@pytest.fixture(scope="module")
def scored(
    detector: AutoencoderDetector, blobs: NDArray[np.uint8], stripes: NDArray[np.uint8]
) -> ScoredSet:
    labels = ["blob"] * 60 + ["stripe"] * 20
    source = ArraySource(np.concatenate([blobs[:60], stripes]), labels)
    return score_source(detector, source).with_truth(np.arange(80) >= 60)


def test_every_check_speaks_and_the_gravest_come_first(
    detector: AutoencoderDetector, scored: ScoredSet, blobs: NDArray[np.uint8]
) -> None:
    findings = advise(detector, scored, training=ArraySource(blobs))
    for name in CHECKS:
        assert any(found.check.startswith(name) for found in findings), name
    order = [SEVERITIES.index(found.severity) for found in findings]
    assert order == sorted(order)
    assert not [found for found in findings if "It failed" in found.evidence]
    for found in findings:
        assert found.title.endswith(".")
        assert bool(found.action) == (found.severity != "fine")
    leaked = {found.check: found for found in findings}["duplicates-between"]
    assert leaked.numbers["also_in_training"] >= 60


def test_advice_without_truth_labels_or_training_pictures_is_given(
    detector: AutoencoderDetector, scored: ScoredSet
) -> None:
    findings = advise(detector, replace(scored, anomalous=None, labels=None))
    unmade = {found.check for found in findings if not found.made}
    assert unmade >= {"false-positives", "missed", "lookalikes", "duplicates-training"}
    assert not [found for found in findings if "It failed" in found.evidence]


def test_advice_is_the_same_twice(detector: AutoencoderDetector, scored: ScoredSet) -> None:
    assert advise(detector, scored, seed=3) == advise(detector, scored, seed=3)


def test_a_check_that_fails_does_not_take_the_others_with_it(
    detector: AutoencoderDetector, scored: ScoredSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(study: Any) -> Finding:
        raise RuntimeError("out of luck")

    checks = MappingProxyType({"broken": broken, "files": CHECKS["files"]})
    monkeypatch.setattr(module, "CHECKS", checks)
    findings = advise(detector, scored)
    assert [(found.check, found.made) for found in findings] == [("files", True), ("broken", False)]
    assert "out of luck" in findings[1].evidence


def test_a_missing_package_names_its_extra(
    detector: AutoencoderDetector, scored: ScoredSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lacking(study: Any) -> Finding:
        raise ModuleNotFoundError("no", name="sklearn.cluster")

    monkeypatch.setattr(module, "CHECKS", MappingProxyType({"lacking": lacking}))
    (found,) = advise(detector, scored)
    assert "pip install" in found.evidence


def test_findings_and_sheets_are_written(
    detector: AutoencoderDetector, scored: ScoredSet, tmp_path: Path
) -> None:
    findings = advise(detector, scored)
    written = write_advice(tmp_path / "out", findings, detector, scored.source)
    assert len(json.loads(written[0].read_text())) == len(findings)
    with_pictures = [found for found in findings if found.pictures]
    assert len(written) == 1 + len(with_pictures) > 1
    for path in written[1:]:
        with Image.open(path) as sheet:
            assert sheet.width <= 800


def test_a_heat_map_stands_beside_its_picture(
    detector: AutoencoderDetector, scored: ScoredSet
) -> None:
    finding = Finding(check="c", severity="fine", title="T.", evidence="", action="")
    shown = [
        {"origin": "scored", "position": 0, "id": "0", "note": "n", "heat_map": h} for h in (0, 1)
    ]
    plain, heated = (
        contact_sheet(
            Finding.model_validate({**finding.model_dump(), "pictures": [p]}),
            detector,
            scored.source,
        )
        for p in shown
    )
    assert plain is not None
    assert heated is not None
    assert heated.width > plain.width + 100
    assert contact_sheet(finding, detector, scored.source) is None


def folder_of(path: Path, blobs: NDArray[np.uint8], stripes: NDArray[np.uint8]) -> Path:
    for name, images in (("good", blobs[:40]), ("bad", stripes)):
        (path / name).mkdir(parents=True)
        for number, image in enumerate(images):
            Image.fromarray(image).save(path / name / f"{number}.png")
    return path


def test_the_command_prints_each_finding_with_its_mark(
    bundle: Path, blobs: NDArray[np.uint8], stripes: NDArray[np.uint8], tmp_path: Path
) -> None:
    data, out = folder_of(tmp_path / "data", blobs, stripes), tmp_path / "out"
    options = ["--anomalous", "bad", "--train", str(data / "good"), "--out", str(out)]
    result = CliRunner().invoke(app, ["advise", str(bundle), str(data), *options])
    assert result.exit_code == 0, result.output
    assert "✓ Every picture can be read." in result.output
    assert "nearly equal to training pictures" in result.output
    assert (out / "findings.json").is_file()
    assert (out / "duplicates-between.png").is_file()


def test_the_command_prints_json(
    bundle: Path, blobs: NDArray[np.uint8], stripes: NDArray[np.uint8], tmp_path: Path
) -> None:
    data = folder_of(tmp_path / "data", blobs, stripes)
    result = CliRunner().invoke(app, ["advise", str(bundle), str(data), "--json"])
    assert result.exit_code == 0, result.output
    assert {row["check"] for row in json.loads(result.stdout)} >= {"files", "content", "drift"}


def test_a_class_that_does_not_exist_is_refused(
    bundle: Path, blobs: NDArray[np.uint8], stripes: NDArray[np.uint8], tmp_path: Path
) -> None:
    data = folder_of(tmp_path / "data", blobs, stripes)
    result = CliRunner().invoke(app, ["advise", str(bundle), str(data), "--anomalous", "bed"])
    assert "bad" in str(result.exception)
