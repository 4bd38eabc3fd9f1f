"""Pictures that come in by every way, scored by the service itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from residua.service.settings import ServiceSettings

from .giving import give
from .real_service import Service, copied, files, png, progress, send
from .visiting import both, visit

Pictures = NDArray[np.uint8]


@pytest.fixture
def station(service: Service) -> Service:
    return service


@both
def test_the_anomalous_ones_of_a_batch_come_first_with_their_maps(
    page: Any, station: Service, blobs: Pictures, stripes: Pictures
) -> None:
    visit(page, station)
    send(page, *files("blob", blobs[:4]), *files("stripe", stripes[:3]))
    progress(page, "7 of 7 pictures scored, 3 anomalous")
    assert page.locator(".batch tbody .name").first.text_content().startswith("stripe-")
    assert page.inner_text(".result .readout .verdict").lower() == "anomalous"
    heat = page.locator(".result canvas.heat")
    heat.wait_for()
    # The map has the size of the model's input, and is not of one colour.
    colours = """(e) => { const d = e.getContext('2d').getImageData(0, 0, e.width, e.height).data;
        return [e.width, e.height, new Set(d.filter((_, i) => i % 4 === 0)).size]; }"""
    page.wait_for_function(f"(e) => ({colours})(e)[2] > 4", arg=heat.element_handle())
    assert heat.evaluate(colours)[:2] == [16, 16]
    assert page.locator(".beside figure").count() == 2
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize(
    ("event", "carrier"), [("drop", "dataTransfer"), ("paste", "clipboardData")]
)
def test_a_dropped_or_pasted_picture_is_scored(
    page: Any, station: Service, stripes: Pictures, event: str, carrier: str
) -> None:
    visit(page, station)
    page.locator(".intake").wait_for()
    give(page, event, carrier, "given.png", png(stripes[0]))
    progress(page, "1 of 1 picture scored, 1 anomalous")
    assert page.inner_text(".result h2") == "given.png"


def test_what_is_no_picture_says_so_among_those_that_are(
    page: Any, station: Service, blobs: Pictures
) -> None:
    visit(page, station)
    broken = {"name": "broken.png", "mimeType": "image/png", "buffer": png(blobs[0])[:60]}
    send(page, *files("blob", blobs[:2]), broken)
    progress(page, "2 of 3 pictures scored, 0 anomalous, 1 without verdict")
    page.get_by_role("button", name="broken.png").click()
    page.locator(".result .readout", has_text="no verdict").wait_for()
    assert len(page.locator(".result .readout .meaning").last.inner_text()) > 20


def test_the_camera_gives_pictures_that_are_scored(page: Any, station: Service) -> None:
    visit(page, station)
    page.get_by_role("button", name="Use the camera").click()
    page.locator(".camera", has_text="The camera runs.").wait_for()
    page.locator("body").press("c")
    # Chromium's own test picture is nothing that a model of blobs can rebuild.
    progress(page, "1 of 1 picture scored, 1 anomalous")
    assert page.inner_text(".result h2").startswith("camera-")
    page.get_by_role("button", name="Stop the camera").click()
    page.locator(".camera").wait_for(state="hidden")


class TestWithTwoModels:
    @pytest.fixture
    def settings(self, settings: ServiceSettings, tmp_path: Path) -> ServiceSettings:
        second = copied(settings.bundles["blobs"], tmp_path, "second")
        bundles = {**settings.bundles, "second line": second}
        return settings.model_copy(update={"bundles": bundles})

    def test_each_model_has_its_own_verdicts_and_its_own_reviews(
        self, page: Any, station: Service, blobs: Pictures
    ) -> None:
        visit(page, station)
        send(page, *files("blob", blobs[:2]))
        progress(page, "2 of 2 pictures scored")
        page.locator("#chooser").select_option("second line")
        progress(page, "0 of 2 pictures scored")
        page.get_by_role("button", name="Score the 2 pictures without verdict").click()
        progress(page, "2 of 2 pictures scored")
        page.locator(".result .facts", has_text="second line").wait_for()
        send(page, *files("more", blobs[2:3]))
        progress(page, "3 of 3 pictures scored")
        page.get_by_role("tab", name="Review").click()
        page.locator(".waiting-count", has_text="3 wait").wait_for()
        page.locator("#chooser").select_option("blobs")
        page.locator(".waiting-count", has_text="2 wait").wait_for()
