"""What the page computes by itself, against Python."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from pydantic import BaseModel

from residua.service import schemas

from .stand_in import Station, detail
from .visiting import PAGE


@pytest.fixture
def run(page: Any, station: Station) -> Any:
    """Call a function of a module of the page, without the page around it."""
    bare = '<!doctype html><link rel="icon" href="data:,">'
    page.route("**/bare", lambda asked: asked.fulfill(content_type="text/html", body=bare))
    page.goto(f"{station.url}bare")

    def call(module: str, name: str, *given: Any) -> Any:
        script = (
            "async ([module, name, given]) =>"
            " (await import(`/static/${module}.js`))[name](...given)"
        )
        return page.evaluate(script, [module, name, list(given)])

    return call


def test_a_p_value_is_said_as_it_is_meant(run: Any) -> None:
    assert run("words", "pInWords", 1 / 120) == "1 in 120 normal pictures scores as high"
    assert run("words", "pInWords", 1 / 200, 199) == (
        "None of the 199 held-out normal pictures scores as high"
    )
    assert run("words", "pInWords", 2 / 200, 199) == "1 in 100 normal pictures scores as high"
    assert run("words", "pInWords", 0.62, 199) == "6 in 10 normal pictures score as high"
    assert run("words", "pInWords", 1, 199) == "Nearly every normal picture scores as high"


@pytest.mark.parametrize(
    ("n", "words"),
    [(999, "999 bytes"), (1000, "1 kB"), (999_999, "1 MB"), (20_971_520, "21 MB")],
)
def test_bytes_are_said_in_the_unit_that_suits(run: Any, n: int, words: str) -> None:
    assert run("words", "bytes", n) == words


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ("this token is not known", "This token is not known."),
        ("plate.png is cut short; export it again.", "plate.png is cut short; export it again."),
        ("'blobs' was replaced", "'blobs' was replaced."),
    ],
)
def test_what_the_service_says_is_shown_as_a_sentence(run: Any, said: str, sentence: str) -> None:
    assert run("words", "sentence", said) == sentence


def test_the_share_that_a_limit_flags_is_that_of_the_quantiles(run: Any) -> None:
    calibration = detail("x").calibration.model_dump()
    quantiles = np.array(calibration["quantiles"])
    for value in (0.0, quantiles[0], 0.15, quantiles[50], 0.3, quantiles[-1], 1.0):
        expected = float(np.interp(value, quantiles, np.linspace(0, 1, 101), left=0))
        found = run("calibration", "shareUpTo", calibration, float(value))
        assert found == pytest.approx(expected, abs=1e-9)
    both = run("calibration", "shareFlagged", calibration, quantiles[90], quantiles[10])
    assert both == pytest.approx(0.2)


def test_equal_quantiles_all_lie_at_or_below_themselves(run: Any) -> None:
    calibration = {"quantiles": [1.0, 2.0, 2.0, 2.0, 3.0]}
    assert run("calibration", "shareUpTo", calibration, 2.0) == 0.75


@pytest.mark.parametrize(
    ("resize", "place"),
    [
        ("stretch", (0, 0, 1, 1)),
        ("pad", (0, -0.5, 1, 2)),
        ("crop", (0.25, 0, 0.5, 1)),
    ],
)
def test_the_heat_map_lies_where_the_model_looked(
    run: Any, resize: str, place: tuple[float, ...]
) -> None:
    size = {"width": 32, "height": 32, "resize": resize}
    found = run("overlay", "placeOfInput", size, 200, 100)
    assert tuple(found[k] for k in ("left", "top", "width", "height")) == place


def test_the_pages_records_are_the_services() -> None:
    text = (PAGE / "records.js").read_text()
    found = {
        name: set(re.findall(r"@property \{.*?\} (\w+)$", body, re.MULTILINE))
        for name, body in re.findall(r"@typedef \{Object\} (\w+)\n(.*?)\*/", text, re.DOTALL)
    }
    assert len(found) >= 17
    for name, fields in found.items():
        record: type[BaseModel] = getattr(schemas, name)
        assert fields == set(record.model_fields), name
