"""The card of a model, and whether its scores drift."""

from __future__ import annotations

from typing import Any

from .stand_in import Station, detail, drift
from .visiting import visit


def test_the_card_says_what_the_model_is(page: Any, station: Station) -> None:
    station.models["blobs"] = detail("blobs", warnings=["It saw 40 pictures only."])
    visit(page, station, "model")
    page.locator(".model-work").wait_for()
    shown = page.inner_text("#model")
    assert "AUROC 0.981 (0.974 to 0.988)" in shown
    assert "It saw 40 pictures only." in shown
    assert "Scores above 0.5 are anomalous. The rule conformal(0.01)" in shown
    assert "32 × 32, grey (stretch)" in shown
    reading = page.get_attribute("#model .histogram", "aria-label")
    assert reading == (
        "Histogram of the scores of 199 held-out normal pictures with the threshold 0.5."
    )


def test_a_bundle_that_is_not_served_is_said(page: Any, station: Station) -> None:
    station.models["blobs"] = detail("blobs", reload_failed="Its checksum is wrong.")
    visit(page, station, "model")
    page.locator(".note", has_text="Its checksum is wrong.").wait_for()


def test_an_alarm_of_drift_is_seen_everywhere_and_taken_down_when_confirmed(
    page: Any, station: Station
) -> None:
    station.models["blobs"] = detail("blobs", drift=drift(alarm=True))
    visit(page, station)
    badge = page.locator(".badge")
    assert badge.get_attribute("aria-label") == "Drift alarm: the scores of blobs have drifted"
    assert badge.locator("svg.alarm").count() == 1
    badge.click()
    page.locator("#model .readout", has_text="The scores have drifted").wait_for()
    page.get_by_role("button", name="Start the watch anew").click()
    page.get_by_role("button", name="Leave it as it is").click()
    assert badge.is_visible()
    page.get_by_role("button", name="Start the watch anew").click()
    page.get_by_role("button", name="Start anew", exact=True).click()
    page.locator("#model .readout", has_text="No drift seen").wait_for()
    badge.wait_for(state="hidden")


def test_a_reset_that_is_refused_says_why(page: Any, station: Station) -> None:
    visit(page, station, "model")
    station.refuse("POST", "/drift/reset", 403, "Only an admin may.")
    page.get_by_role("button", name="Start the watch anew").click()
    page.get_by_role("button", name="Start anew", exact=True).click()
    page.locator(
        "#model [role=alert]", has_text="Nothing was changed. Only an admin may."
    ).wait_for()


def test_who_is_no_admin_cannot_reset(page: Any, station: Station) -> None:
    station.session = station.session.model_copy(update={"role": "reader"})
    visit(page, station, "model")
    page.locator(".model-work").wait_for()
    assert page.get_by_role("button", name="Start the watch anew").count() == 0


def test_the_chosen_model_is_remembered(page: Any, station: Station) -> None:
    station.models["other"] = detail("other")
    visit(page, station, "model")
    page.locator(".model-name", has_text="blobs").wait_for()
    page.locator("#chooser").select_option("other")
    page.locator(".model-name", has_text="other").wait_for()
    page.reload()
    page.locator(".model-name", has_text="other").wait_for()


def test_a_model_that_is_no_longer_served_gives_way_to_another(page: Any, station: Station) -> None:
    station.models["other"] = detail("other")
    visit(page, station, "model")
    page.locator("#chooser").select_option("other")
    page.locator(".model-name", has_text="other").wait_for()
    del station.models["other"]
    page.reload()
    page.locator(".model-name", has_text="blobs").wait_for()
    assert page.locator("#chooser").is_hidden()
    assert page.inner_text(".single") == "blobs"
