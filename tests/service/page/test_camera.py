"""The camera: one picture at a key, one every few seconds, and why there is none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from .stand_in import Station
from .visiting import visit

Until = Callable[[Callable[[], object]], None]


def start(page: Any, station: Station) -> None:
    visit(page, station)
    page.get_by_role("button", name="Use the camera").click()
    page.locator(".camera", has_text="The camera runs.").wait_for()


@pytest.mark.parametrize("by", ["key", "button"])
def test_a_picture_is_captured_and_scored(page: Any, station: Station, by: str) -> None:
    start(page, station)
    if by == "key":
        page.locator("body").press("c")
    else:
        page.get_by_role("button", name="Capture and score").click()
    page.locator(".progress-said", has_text="1 of 1 picture scored").wait_for()
    (name,) = station.calls("POST", "/score")[0].names
    assert name.startswith("camera-")
    assert name.endswith(".png")


class TestEverySoOften:
    """Seven seconds pass when the test says so."""

    @pytest.fixture(autouse=True)
    def clock(self, page: Any) -> None:
        page.add_init_script(
            """{ const {setTimeout: wait, clearTimeout: forget} = window; window.due = null;
            window.setTimeout = (f, ms) => ms === 7000 ? (window.due = f, -7) : wait(f, ms);
            window.clearTimeout = (id) => id === -7 ? (window.due = null) : forget(id); }"""
        )

    @staticmethod
    def begin(page: Any, station: Station) -> Any:
        start(page, station)
        page.get_by_label("Seconds between pictures").fill("7")
        switch = page.get_by_role("switch", name="Score every")
        switch.check()
        return switch

    @staticmethod
    def let_time_pass(page: Any) -> None:
        page.wait_for_function("window.due !== null")
        page.evaluate("() => { const then = window.due; window.due = null; return then(); }")

    def test_a_picture_is_scored_each_time_until_that_is_turned_off(
        self, page: Any, station: Station
    ) -> None:
        switch = self.begin(page, station)
        for k in (1, 2):
            self.let_time_pass(page)
            page.locator(".progress-said", has_text=f"{k} of {k} picture").wait_for()
        switch.uncheck()
        assert page.evaluate("window.due") is None
        assert len(station.calls("POST", "/score")) == 2

    def test_no_picture_is_taken_while_the_last_one_has_no_verdict(
        self, page: Any, station: Station, until: Until
    ) -> None:
        self.begin(page, station)
        station.hold("/score")
        self.let_time_pass(page)
        until(lambda: station.calls("POST", "/score"))
        self.let_time_pass(page)
        page.locator(".camera", has_text="this one was left out").wait_for()
        assert len(station.calls("POST", "/score")) == 1


def test_the_camera_stops_when_told_and_when_the_view_is_left(page: Any, station: Station) -> None:
    start(page, station)
    page.evaluate("window.track = document.querySelector('video').srcObject.getTracks()[0]")
    page.get_by_role("button", name="Stop the camera").click()
    assert page.evaluate("window.track.readyState") == "ended"
    assert page.locator(".camera").is_hidden()
    page.get_by_role("button", name="Use the camera").click()
    page.locator(".camera", has_text="The camera runs.").wait_for()
    page.evaluate("window.track = document.querySelector('video').srcObject.getTracks()[0]")
    page.get_by_role("tab", name="Model").click()
    assert page.evaluate("window.track.readyState") == "ended"


@pytest.mark.parametrize(
    ("error", "words"),
    [
        ("NotAllowedError", "The browser may not use the camera."),
        ("NotFoundError", "No camera was found."),
        ("NotReadableError", "another program uses it"),
        ("OddError", "The camera does not start: odd"),
    ],
)
def test_a_camera_that_does_not_start_says_why(
    page: Any, station: Station, error: str, words: str
) -> None:
    page.add_init_script(
        f"navigator.mediaDevices.getUserMedia = async () => {{"
        f" throw new DOMException('odd', '{error}'); }}"
    )
    visit(page, station)
    page.get_by_role("button", name="Use the camera").click()
    page.locator(".camera", has_text=words).wait_for()
    assert page.get_by_role("button", name="Capture and score").is_disabled()


def test_without_https_the_page_says_that_there_is_no_camera(page: Any, station: Station) -> None:
    page.add_init_script("Object.defineProperty(window, 'isSecureContext', {value: false})")
    visit(page, station)
    page.get_by_role("button", name="Use the camera").click()
    page.locator(".camera", has_text="only to pages on https or localhost").wait_for()


def test_a_camera_that_is_unplugged_is_noticed(page: Any, station: Station) -> None:
    start(page, station)
    page.evaluate(
        "document.querySelector('video').srcObject.getTracks()[0].dispatchEvent(new Event('ended'))"
    )
    page.locator(".camera", has_text="The camera is gone.").wait_for()
