"""What persons say of kept pictures, and what the service makes of it."""

from __future__ import annotations

import csv
import io
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from residua.bundle import open_bundle
from residua.service.store.store import ReviewStore

from .real_service import Service
from .visiting import both, narrow, visit

Pictures = NDArray[np.uint8]


@pytest.fixture
def station(service: Service) -> Service:
    return service


def waits(page: Any, count: int) -> None:
    page.locator(".waiting-count", has_text=re.compile(rf"^{count} waits?$")).wait_for()


def shown(page: Any) -> str:
    return str(page.inner_text(".review-name"))


def store(station: Service) -> ReviewStore:
    return station.station.keeper.store


@pytest.fixture
def reviewed(page: Any, station: Service, blobs: Pictures, stripes: Pictures) -> Any:
    """The view of reviews with seven pictures that wait, two of them flagged."""
    station.score(blobs[:5], "blob")
    station.score(stripes[:2], "stripe")
    visit(page, station, "review")
    waits(page, 7)
    page.locator(".judge canvas.heat").wait_for()
    return page


def test_keys_judge_and_the_store_has_it(reviewed: Any, station: Service) -> None:
    said = {}
    keys = [("r", True), ("w", False), ("ArrowRight", True), ("ArrowLeft", False)]
    for number, (key, correct) in enumerate(keys):
        said[shown(reviewed)] = correct
        reviewed.locator("body").press(key)
        reviewed.locator(".trail .saved").nth(number).wait_for()
    waits(reviewed, 3)
    assert len(said) == 4
    found = {one.name: one.correct for one in store(station).reviewed("blobs").records()}
    assert found == said
    reviewed.locator(".quality").nth(1).get_by_text("4 judged pictures.").wait_for()


@both
def test_fingers_judge_undo_and_skip(reviewed: Any, station: Service) -> None:
    touch = reviewed.viewport_size["width"] < 600

    def press(selector: str) -> None:
        target = reviewed.locator(selector)
        if touch:
            target.tap()
        else:
            target.click()

    first = shown(reviewed)
    press(".big.right")
    reviewed.locator(".trail .saved").wait_for()
    waits(reviewed, 6)
    press("button:has-text('Undo')")
    waits(reviewed, 7)
    assert shown(reviewed) == first
    assert len(store(station).reviewed("blobs")) == 0
    press("button:has-text('Skip')")
    assert shown(reviewed) != first
    press(".big.wrong")
    reviewed.locator(".trail .saved").wait_for()
    (one,) = store(station).reviewed("blobs").records()
    assert one.correct is False
    assert reviewed.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_only_random_order_makes_a_fair_sample(reviewed: Any, station: Service) -> None:
    reviewed.locator("body").press("r")
    waits(reviewed, 6)
    reviewed.get_by_label("Order").select_option("random")
    waits(reviewed, 6)
    reviewed.locator(".judge canvas.heat").wait_for()
    reviewed.locator("body").press("r")
    waits(reviewed, 5)
    fair, every = (reviewed.locator(".quality").nth(k) for k in (0, 1))
    every.get_by_text("2 judged pictures").wait_for()
    fair.get_by_text("1 judged picture.").wait_for()
    assert len(store(station).reviewed("blobs", sample="random")) == 1


def test_the_exported_zip_holds_the_judged_pictures_and_what_was_said(
    reviewed: Any, station: Service
) -> None:
    names = []
    for key in ("r", "w"):
        names.append(shown(reviewed))
        reviewed.locator("body").press(key)
    waits(reviewed, 5)
    with reviewed.expect_download() as awaited:
        reviewed.get_by_text("Export the judged pictures").click()
    with zipfile.ZipFile(Path(awaited.value.path())) as pack:
        assert pack.testzip() is None
        rows = list(csv.DictReader(io.StringIO(pack.read("reviews.csv").decode("utf-8-sig"))))
        pictures = [name for name in pack.namelist() if name.endswith(".png")]
        assert all(pack.read(name).startswith(b"\x89PNG") for name in pictures)
    assert len(pictures) == 2
    assert sorted(row["name"] for row in rows) == sorted(names)


def test_a_deleted_picture_is_gone_from_the_store(reviewed: Any, station: Service) -> None:
    name = shown(reviewed)
    reviewed.get_by_role("button", name="Delete this picture").click()
    reviewed.locator("dialog", has_text=name).get_by_role("button", name="Delete it").click()
    waits(reviewed, 6)
    assert shown(reviewed) != name
    reviewed.reload()
    waits(reviewed, 6)
    assert store(station).summary("blobs").kept == 6


class TestRecalibration:
    @pytest.fixture
    def previewed(self, page: Any, station: Service, blobs: Pictures) -> Any:
        """The view with the preview of a threshold from thirty confirmed pictures."""
        for start in range(0, 32, 8):
            station.score(blobs[start : start + 8])
        station.judge(30)
        visit(page, station, "review")
        waits(page, 2)
        page.locator(".recalibration summary").click()
        page.get_by_label("Pictures", exact=True).select_option("all")
        page.get_by_label("Threshold rule").fill("percentile(80)")
        page.get_by_role("button", name="Show what it would change").click()
        page.locator(".comparison").wait_for()
        return page

    @staticmethod
    def confirm(page: Any) -> None:
        page.get_by_role("button", name="Serve blobs with the new threshold").click()
        page.locator("dialog[open]", has_text="The threshold goes from").wait_for()
        page.get_by_role("button", name="Serve the new threshold", exact=True).click()

    @both
    def test_what_is_previewed_is_what_is_served_after_it_is_confirmed(
        self, previewed: Any, station: Service
    ) -> None:
        before = open_bundle(station.bundle).manifest.threshold
        table = previewed.inner_text(".comparison")
        assert re.search(r"Rule\t[^\t]+\tpercentile\(80\)", table)
        assert re.search(r"Normal pictures it rests on\t[\d,]+\t30", table)
        warning = previewed.locator(".preview .note").first.inner_text()
        assert "take those of random order alone" in warning
        assert previewed.evaluate("document.documentElement.scrollWidth <= innerWidth")
        self.confirm(previewed)
        previewed.locator(".preview .done").wait_for()
        after = open_bundle(station.bundle).manifest.threshold
        assert after.rule == "percentile(80)" != before.rule
        said = previewed.inner_text(".preview .done")
        assert float(said.split("threshold ")[1].split(",")[0]) == pytest.approx(
            after.upper, rel=1e-3
        )
        # Who did it is told where it was done, and not once more as news.
        assert previewed.locator("#news").is_hidden()
        previewed.get_by_role("tab", name="Model").click()
        previewed.locator("#model", has_text="The rule percentile(80) set this from 30").wait_for()

    def test_a_judgement_after_the_preview_makes_it_stale(
        self, previewed: Any, station: Service
    ) -> None:
        before = open_bundle(station.bundle).manifest.threshold
        station.judge(1)
        self.confirm(previewed)
        said = previewed.locator(".recalibration [role=alert]", has_text="Nothing was changed.")
        said.wait_for()
        assert "More was reviewed since the preview" in said.inner_text()
        assert open_bundle(station.bundle).manifest.threshold == before
        previewed.get_by_role("button", name="Show what it would change").click()
        previewed.locator(".preview", has_text="From 31 confirmed normal pictures").wait_for()

    def test_without_confirmed_pictures_the_refusal_says_so(
        self, page: Any, station: Service
    ) -> None:
        visit(page, station, "review")
        page.locator(".recalibration summary").click()
        page.get_by_role("button", name="Show what it would change").click()
        page.locator(".recalibration [role=alert]", has_text="review some first").wait_for()


@narrow
def test_sixty_odd_pictures_raise_the_alarm_which_is_seen_and_taken_down(
    page: Any, station: Service, stripes: Pictures
) -> None:
    for start in range(0, 60, 4):
        station.score(np.take(stripes, range(start, start + 4), axis=0, mode="wrap"))
    visit(page, station)
    page.locator(".badge", has_text="Drift").click()
    page.locator("#model .readout", has_text="The scores have drifted").wait_for()
    assert "60" in page.inner_text("#model .facts >> nth=0")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.get_by_role("button", name="Start the watch anew").click()
    page.get_by_role("button", name="Start anew", exact=True).click()
    page.locator("#model .readout", has_text="Too few scores to tell yet").wait_for()
    page.locator(".badge").wait_for(state="hidden")
    assert station.station.models["blobs"].drift.looks == 0
