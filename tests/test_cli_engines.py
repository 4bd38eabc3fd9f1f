"""Engines, as the command line offers them."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

COMMAND = str(Path(sys.executable).with_name("residua"))


@pytest.fixture
def pictures(blobs: NDArray[np.uint8], tmp_path: Path) -> Path:
    folder = tmp_path / "incoming"
    folder.mkdir()
    for number, image in enumerate(blobs[:5]):
        Image.fromarray(image).save(folder / f"{number}.png")
    return folder


def residua(cache: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    own = {"COLUMNS": "200", "NO_COLOR": "1", "XDG_CACHE_HOME": str(cache), "HOME": str(cache)}
    return subprocess.run(
        [COMMAND, *map(str, arguments)], capture_output=True, text=True, env={**os.environ, **own}
    )


def scores(done: subprocess.CompletedProcess[str]) -> NDArray[np.float64]:
    assert done.returncode == 0, done.stderr
    return np.array([float(row["score"]) for row in csv.DictReader(done.stdout.splitlines())])


def test_the_fastest_engine_is_measured_remembered_and_named(
    bundle: Path, pictures: Path, tmp_path: Path
) -> None:
    assert "until others are measured" in residua(tmp_path, "info", bundle).stdout
    measured = json.loads(residua(tmp_path, "engines", bundle, pictures, "--json").stdout)
    best = measured["measured"][0]
    assert {found["engine"] for found in measured["measured"]} >= {"onnxruntime", "torch"}
    said = residua(tmp_path, "info", bundle).stdout
    assert f"{best['images_per_second']:,.0f} images/s" in said


def test_scores_are_those_of_onnx_runtime_whichever_engine_is_named(
    bundle: Path, pictures: Path, tmp_path: Path
) -> None:
    plain = residua(tmp_path, "score", bundle, pictures)
    named = residua(tmp_path, "score", bundle, pictures, "--engine", "torch")
    np.testing.assert_allclose(scores(named), scores(plain), atol=1e-5)
    assert "computed by torch in float32" in named.stderr
    assert "computed by" not in plain.stderr


def test_an_unknown_engine_is_wrong_usage(bundle: Path, pictures: Path, tmp_path: Path) -> None:
    done = residua(tmp_path, "score", bundle, pictures, "--engine", "onnxrunt")
    assert done.returncode == 2
    assert "did you mean 'onnxruntime'" in done.stderr
