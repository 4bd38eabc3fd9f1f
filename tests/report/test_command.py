from __future__ import annotations

import csv
from pathlib import Path

import pytest
from numpy.typing import NDArray
from PIL import Image
from typer.testing import CliRunner

from residua.cli import app


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory, blobs: NDArray, stripes: NDArray) -> Path:
    root = tmp_path_factory.mktemp("parts")
    for name, pictures in (("good", blobs[:12]), ("bad", stripes[:6])):
        (root / name).mkdir()
        for number, picture in enumerate(pictures):
            Image.fromarray(picture).save(root / name / f"{number:02}.png")
    (root / "bad" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nno more")
    return root


def test_a_report_of_a_folder_takes_good_as_normal(
    bundle: Path, parts: Path, tmp_path: Path
) -> None:
    out = tmp_path / "parts.html"
    ran = CliRunner().invoke(app, ["report", str(bundle), str(parts), "-o", str(out)])
    assert ran.exit_code == 0, ran.output
    assert str(out) in " ".join(ran.output.split())
    with (tmp_path / "parts" / "scores.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["label"]: row["truth"] for row in rows} == {"good": "false", "bad": "true"}
    assert "bad/broken.png" in (tmp_path / "parts" / "unreadable.csv").read_text()
    html = out.read_text(encoding="utf-8")
    assert f"blobs on {parts.name}" in html
    assert 'id="advice"' in html


def test_classes_title_and_no_advice_are_taken(bundle: Path, parts: Path, tmp_path: Path) -> None:
    out = tmp_path / "r.html"
    words = ["--anomalous", "good", "--title", "Turned round", "--no-advice", "-o", str(out)]
    ran = CliRunner().invoke(app, ["report", str(bundle), str(parts), *words])
    assert ran.exit_code == 0, ran.output
    html = out.read_text(encoding="utf-8")
    assert "Turned round" in html
    assert 'id="advice"' not in html
    assert f"residua report blobs.residua {parts} --anomalous good -o r.html" in html


def test_what_cannot_be_written_is_refused_before_any_work(bundle: Path, tmp_path: Path) -> None:
    out = tmp_path / "none" / "report.html"
    ran = CliRunner().invoke(app, ["report", str(bundle), "no such folder", "-o", str(out)])
    assert ran.exit_code != 0
    assert "does not exist; make it first" in str(ran.exception)


def test_a_class_that_does_not_exist_is_refused_with_the_nearest(
    bundle: Path, parts: Path, tmp_path: Path
) -> None:
    words = ["--normal", "goood", "-o", str(tmp_path / "r.html")]
    ran = CliRunner().invoke(app, ["report", str(bundle), str(parts), *words])
    assert "did you mean 'good'" in str(ran.exception)
