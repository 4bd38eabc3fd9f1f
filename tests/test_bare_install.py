"""A real environment with the bare install only: no torch, and a saved model scores there."""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import tomllib
import venv
from importlib.metadata import distribution
from pathlib import Path
from urllib.request import Request, urlopen

import numpy as np
import pytest
from numpy.typing import NDArray
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from PIL import Image

import residua
from residua import AutoencoderDetector
from residua.errors import _EXTRAS

PYPROJECT = Path(__file__).parent.parent / "pyproject.toml"
COMMAND = "from residua.cli import main; main()"


def closure(requirements: list[str]) -> set[str]:
    """Return the distributions that pip would install for these requirements, no extras."""
    names: set[str] = set()
    waiting = [Requirement(line) for line in requirements]
    while waiting:
        wanted = waiting.pop()
        name = canonicalize_name(wanted.name)
        needed = wanted.marker is None or wanted.marker.evaluate({"extra": ""})
        if needed and name not in names:
            names.add(name)
            waiting += map(Requirement, distribution(name).requires or [])
    return names


def tops(name: str) -> set[Path]:
    """Return what a distribution has at the top of site-packages."""
    found = distribution(name)
    parts = {file.parts[0] for file in found.files or []} - {"..", "__pycache__"}
    return {Path(str(found.locate_file(part))) for part in parts}


@pytest.fixture(scope="module")
def bare_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with the bare dependencies of pyproject.toml, linked from ours."""
    return environment(tmp_path_factory.mktemp("bare"))


@pytest.fixture(scope="module")
def station_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with the extras of the inspection station, and nothing else."""
    return environment(tmp_path_factory.mktemp("station"), "serve", "watch")


def environment(root: Path, *extras: str) -> Path:
    venv.create(root, symlinks=True)
    (site,) = root.glob("lib/python*/site-packages")
    project = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]
    dependencies = list(project["dependencies"])
    for extra in extras:
        dependencies += project["optional-dependencies"][extra]
    for name in closure(dependencies):
        for path in tops(name):
            if not (site / path.name).exists():
                (site / path.name).symlink_to(path)
    (site / "residua").symlink_to(Path(residua.__file__).parent)
    return root / "bin" / "python"


def run(python: Path, code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    outside = {"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV"}
    environment = {key: value for key, value in os.environ.items() if key not in outside}
    return subprocess.run(
        [python, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**environment, "PYTHONNOUSERSITE": "1", "COLUMNS": "200", "NO_COLOR": "1"},
        check=False,
    )


@pytest.fixture(scope="module")
def incoming(
    blobs: NDArray[np.uint8],
    stripes: NDArray[np.uint8],
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Path, NDArray[np.uint8]]:
    """A folder of pictures, and the pictures in the order of their names."""
    folder = tmp_path_factory.mktemp("incoming")
    images = np.concatenate([blobs[:6], stripes[:2]])
    for number, image in enumerate(images):
        Image.fromarray(image).save(folder / f"{number}.png")
    return folder, images


def test_it_has_no_module_that_an_extra_brings(bare_python: Path) -> None:
    assert "torch" in _EXTRAS
    code = f"import importlib.util as u; print([m for m in {list(_EXTRAS)!r} if u.find_spec(m)])"
    assert run(bare_python, code).stdout == "[]\n"
    assert "No module named 'torch'" in run(bare_python, "import torch").stderr


def test_it_scores_a_bundle_as_the_detector_does(
    bare_python: Path,
    bundle: Path,
    detector: AutoencoderDetector,
    incoming: tuple[Path, NDArray[np.uint8]],
    tmp_path: Path,
) -> None:
    folder, images = incoming
    table = tmp_path / "scores.csv"
    done = run(
        bare_python, COMMAND, "score", bundle, folder, "--out", table, "--maps", tmp_path / "maps"
    )
    assert done.returncode == 0, done.stderr
    rows = list(csv.DictReader(table.read_text(encoding="utf-8").splitlines()))
    by_command = [float(row["score"]) for row in rows]
    np.testing.assert_allclose(by_command, detector.anomaly_scores(images), rtol=0, atol=1e-5)
    assert [row["anomalous"] for row in rows[-2:]] == ["true", "true"]
    assert len(list((tmp_path / "maps").iterdir())) == len(images)


def test_scoring_leaves_no_identity_of_the_machine_and_reports_to_nobody(
    bare_python: Path, bundle: Path, incoming: tuple[Path, NDArray[np.uint8]], tmp_path: Path
) -> None:
    code = f"import os; os.environ['HOME'] = {str(tmp_path)!r}; {COMMAND}"
    assert run(bare_python, code, "score", bundle, incoming[0]).returncode == 0
    assert not [path for path in tmp_path.rglob("*") if "Microsoft" in path.parts]


def test_it_says_what_a_model_is(bare_python: Path, bundle: Path) -> None:
    done = run(bare_python, COMMAND, "info", bundle)
    assert done.returncode == 0, done.stderr
    assert "16 × 16" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "extra"),
    [
        (("score", "{bundle}", "{folder}", "--out", "{out}/scores.parquet"), "parquet"),
        (("fit", "{folder}", "-o", "{out}/new.residua"), "train"),
        (("serve", "{bundle}"), "serve"),
        (("watch", "{bundle}", "{folder}", "--ledger", "{out}/ledger.sqlite"), "watch"),
    ],
)
def test_what_needs_more_names_the_extra_and_writes_nothing(
    arguments: tuple[str, ...],
    extra: str,
    bare_python: Path,
    bundle: Path,
    incoming: tuple[Path, NDArray[np.uint8]],
    tmp_path: Path,
) -> None:
    places = {"bundle": bundle, "folder": incoming[0], "out": tmp_path}
    done = run(bare_python, COMMAND, *(part.format(**places) for part in arguments))
    assert done.returncode == 1
    assert f"pip install 'residua[{extra}]'" in done.stderr
    assert done.stdout == ""
    assert list(tmp_path.iterdir()) == []


def test_the_station_serves_and_watches_without_torch(
    station_python: Path, bundle: Path, incoming: tuple[Path, NDArray[np.uint8]], tmp_path: Path
) -> None:
    assert "No module named 'torch'" in run(station_python, "import torch").stderr
    serve = [station_python, "-c", COMMAND, "serve", bundle, "--port", "0", "--data", tmp_path]
    with subprocess.Popen([*map(str, serve)], stderr=subprocess.PIPE, text=True) as service:
        try:
            assert service.stderr is not None
            said = ""
            while "http://" not in said:
                said = service.stderr.readline()
                assert said, "it has ended"
            url = re.findall(r"http://[\d.:]+", said)[0]
            request = Request(
                f"{url}/v1/models/blobs/score?include=heatmap",
                data=(incoming[0] / "7.png").read_bytes(),
                headers={"Content-Type": "image/png"},
            )
            with urlopen(request, timeout=30) as answer:
                (result,) = json.load(answer)["results"]
            assert result["verdict"] == "anomalous"
            assert result["kept"] == 1
        finally:
            service.terminate()
            service.stderr.read()
    assert service.returncode == 0
    table = tmp_path / "rows.csv"
    watched = run(
        station_python, COMMAND, "watch", bundle, incoming[0], "--once", "--out", table,
        "--ledger", tmp_path / "ledger.sqlite",
    )  # fmt: skip
    assert watched.returncode == 0, watched.stderr
    rows = list(csv.DictReader(table.read_text(encoding="utf-8").splitlines()))
    assert len(rows) == len(incoming[1])
