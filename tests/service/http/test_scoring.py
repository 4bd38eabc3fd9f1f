from __future__ import annotations

import base64
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from residua.heatmaps import colourise
from residua.runtime import BundleScorer
from residua.scoring.calibration import p_values

Run = Callable[..., Any]


def test_a_picture_as_the_body_gets_a_verdict(run: Run, normal: list[bytes], bundle: Path) -> None:
    running = run()
    answer = running.client.post(
        "/v1/models/blobs/score",
        params={"filename": "good.png"},
        content=normal[0],
        headers={"Content-Type": "image/png"},
    )
    assert answer.status_code == 200
    body = answer.json()
    (result,) = body["results"]
    threshold = BundleScorer(bundle).manifest.threshold
    assert result["name"] == "good.png"
    assert result["verdict"] == "normal"
    assert result["threshold"] == threshold.upper
    assert (result["width"], result["height"]) == (16, 16)
    assert result["heatmap"] is result["error"] is None
    assert body["revision"] == running.station.models["blobs"].revision
    assert len(answer.headers["X-Request-ID"]) == 32


def test_scores_verdicts_and_p_values_are_those_of_python(
    run: Run, normal: list[bytes], odd: list[bytes], bundle: Path, tmp_path: Path
) -> None:
    contents = [*normal[:20], *odd[:10]]
    results = run().score(*contents).json()["results"]
    scorer = BundleScorer(bundle)
    files = [tmp_path / f"{n}.png" for n in range(len(contents))]
    for file, content in zip(files, contents, strict=True):
        file.write_bytes(content)
    wanted = scorer.anomaly_scores([str(file) for file in files])
    assert [one["score"] for one in results] == pytest.approx(wanted.tolist(), rel=1e-5)
    flagged = scorer.manifest.threshold.is_anomalous(wanted)
    assert [one["verdict"] == "anomalous" for one in results] == flagged.tolist()
    assert flagged[20:].all()
    p = p_values(wanted, scorer.calibration_scores)
    assert [one["p_value"] for one in results] == pytest.approx(p.tolist())
    assert [one["index"] for one in results] == list(range(30))


def pixels_of(url: str) -> NDArray[np.uint8]:
    assert url.startswith("data:image/png;base64,")
    picture = Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2])))
    return np.asarray(picture.convert("RGB") if picture.mode == "P" else picture)


def test_heat_map_reconstruction_and_input_come_when_asked_for(
    run: Run, odd: list[bytes], stripes: NDArray[np.uint8]
) -> None:
    running = run()
    answer = running.score(odd[0], include=["heatmap", "reconstruction", "input"])
    (result,) = answer.json()["results"]
    scored = running.station.models["blobs"].compute(stripes[:1, ..., None], at_once=1)
    ceiling = running.station.models["blobs"].manifest.map_ceiling
    wanted = colourise(scored.error_maps[0], ceiling)
    assert (pixels_of(result["heatmap"]) == wanted).all()
    assert pixels_of(result["reconstruction"]).shape == (16, 16)
    assert (pixels_of(result["input"]) == stripes[0]).all()
    (alone,) = running.score(odd[0], include="heatmap").json()["results"]
    assert alone["heatmap"] == result["heatmap"]
    assert alone["input"] is alone["reconstruction"] is None


def test_a_bad_picture_among_others_is_a_result_with_its_problem(
    run: Run, normal: list[bytes]
) -> None:
    answer = run().score(normal[0], b"no picture", normal[1][:-30])
    assert answer.status_code == 200
    good, nothing, damaged = answer.json()["results"]
    assert good["verdict"] == "normal"
    assert nothing["error"]["type"] == "/problems/not-an-image"
    assert nothing["error"]["instance"] == answer.headers["X-Request-ID"]
    assert damaged["error"]["type"] == "/problems/damaged-image"
    assert damaged["score"] is damaged["verdict"] is damaged["kept"] is None


def test_a_single_bad_picture_is_the_problem_itself(run: Run) -> None:
    answer = run().score(b"no picture")
    assert answer.status_code == 422
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["type"] == "/problems/not-an-image"


def test_equal_pictures_get_equal_scores_whatever_they_are_sent_with(
    run: Run, normal: list[bytes], odd: list[bytes]
) -> None:
    running = run()
    alone = running.score(normal[0]).json()["results"][0]["score"]
    among = running.score(*odd[:5], normal[0], *normal[1:20]).json()["results"][5]["score"]
    assert among == pytest.approx(alone, rel=1e-6)


@pytest.mark.parametrize(
    ("form", "mode"), [("JPEG", "RGB"), ("TIFF", "I;16"), ("GIF", "P"), ("WEBP", "RGB")]
)
def test_other_formats_and_modes_are_taken(run: Run, form: str, mode: str) -> None:
    picture = Image.new("L", (40, 30), 90)
    picture = picture.convert("I").convert("I;16") if mode == "I;16" else picture.convert(mode)
    file = io.BytesIO()
    picture.save(file, form)
    (result,) = run().score(file.getvalue()).json()["results"]
    assert (result["width"], result["height"]) == (40, 30)
    assert result["score"] is not None


def test_a_turned_picture_has_the_sides_that_one_sees(run: Run) -> None:
    file = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("L", (40, 30)).save(file, "JPEG", exif=exif)
    (result,) = run().score(file.getvalue()).json()["results"]
    assert (result["width"], result["height"]) == (30, 40)


def test_several_models_are_served_each_by_its_name(
    run: Run, bundle: Path, normal: list[bytes]
) -> None:
    running = run(bundles={"one": bundle, "two": bundle})
    names = [one["name"] for one in running.client.get("/v1/models").json()["models"]]
    assert names == ["one", "two"]
    for name in names:
        assert running.score(normal[0], name=name).json()["model"] == name
    answer = running.score(normal[0], name="tow")
    assert answer.status_code == 404
    assert "did you mean 'two'" in answer.json()["detail"]
