"""One picture, one key; and nothing looks saved that the service has not acknowledged."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from residua.service import schemas

from .stand_in import Station, detail, quality
from .visiting import both, visit

Until = Callable[[Callable[[], object]], None]


@pytest.fixture
def reviewed(page: Any, station: Station) -> Any:
    """The view of reviews with six pictures that wait."""
    station.keep(6)
    visit(page, station, "review")
    page.locator(".judge").wait_for()
    return page


def title(page: Any, name: str) -> None:
    page.locator(".review-name", has_text=name).wait_for()


def saved(page: Any, count: int) -> None:
    page.locator(".trail .saved").nth(count - 1).wait_for()


def test_the_most_uncertain_comes_first_with_its_verdict_and_its_maps(
    reviewed: Any, station: Station
) -> None:
    title(reviewed, "kept-1.png")
    assert reviewed.inner_text(".judge .verdict").lower() == "normal"
    reviewed.locator(".judge canvas.heat").wait_for()
    reviewed.locator(".judge .seen img").wait_for()
    assert station.calls("GET", "/queue")[0].query["order"] == ["uncertain"]
    assert reviewed.inner_text(".waiting-count") == "6 wait"


@pytest.mark.parametrize(
    ("key", "correct"), [("r", True), ("w", False), ("ArrowRight", True), ("ArrowLeft", False)]
)
def test_one_key_judges_and_the_next_picture_is_there(
    reviewed: Any, station: Station, key: str, correct: bool
) -> None:
    reviewed.locator("body").press(key)
    assert reviewed.inner_text(".review-name") == "kept-2.png"
    saved(reviewed, 1)
    assert station.kept[1].correct is correct
    assert station.calls("PUT", "/1/judgement")[0].body == {
        "correct": correct,
        "order": "uncertain",
    }
    assert reviewed.inner_text(".waiting-count") == "5 wait"


@pytest.mark.parametrize(("word", "truth"), [("Right", "normal"), ("Wrong", "anomalous")])
@both
def test_a_large_button_judges(reviewed: Any, station: Station, word: str, truth: str) -> None:
    button = reviewed.locator(".big", has_text=word)
    assert f"it is {truth}" in button.inner_text()
    assert button.bounding_box()["height"] >= 70
    button.click()
    saved(reviewed, 1)
    assert station.kept[1].truth == truth


def test_a_key_held_down_judges_once(reviewed: Any, station: Station) -> None:
    for _ in range(4):
        reviewed.keyboard.down("r")
    reviewed.keyboard.up("r")
    saved(reviewed, 1)
    title(reviewed, "kept-2.png")
    assert len(station.calls("PUT", "judgement")) == 1


def test_nothing_looks_saved_before_it_is_acknowledged(reviewed: Any, station: Station) -> None:
    station.hold("/judgement")
    reviewed.locator("body").press("r")
    title(reviewed, "kept-2.png")
    assert "saving" in reviewed.inner_text(".trail li")
    assert reviewed.inner_text(".waiting-count") == "6 wait"
    assert reviewed.locator(".trail .saved").count() == 0
    station.gate.set()
    saved(reviewed, 1)
    assert reviewed.inner_text(".waiting-count") == "5 wait"


def test_what_the_service_refuses_comes_up_again_with_the_reason(
    reviewed: Any, station: Station
) -> None:
    station.refuse("PUT", "/1/judgement", 507, "The disk of the store is full.")
    reviewed.locator("body").press("r")
    alert = reviewed.locator("#review [role=alert]", has_text="The disk of the store is full.")
    alert.wait_for()
    assert "kept-1.png" in alert.inner_text()
    assert reviewed.inner_text(".waiting-count") == "6 wait"
    # The picture in sight does not change under the finger; the refused one is the next.
    title(reviewed, "kept-2.png")
    reviewed.locator("body").press("r")
    title(reviewed, "kept-1.png")
    reviewed.locator("body").press("w")
    saved(reviewed, 2)
    assert station.kept[1].correct is False


def test_a_picture_that_is_gone_does_not_come_up_again(reviewed: Any, station: Station) -> None:
    del station.kept[1]
    reviewed.locator("body").press("r")
    reviewed.locator("[role=alert]", has_text="no longer kept").wait_for()
    reviewed.locator("body").press("r")
    title(reviewed, "kept-3.png")
    reviewed.get_by_role("button", name="Dismiss").click()
    assert reviewed.locator(".trouble-box").inner_text() == ""


def test_a_judgement_waits_for_a_busy_service(reviewed: Any, station: Station) -> None:
    station.refuse("PUT", "/1/judgement", 503, "Busy.", retry_after="0.2")
    reviewed.locator("body").press("r")
    saved(reviewed, 1)
    assert len(station.calls("PUT", "/1/judgement")) == 2


@pytest.mark.parametrize("by", ["key", "button"])
def test_the_last_judgement_is_taken_back(reviewed: Any, station: Station, by: str) -> None:
    reviewed.locator("body").press("r")
    title(reviewed, "kept-2.png")
    if by == "key":
        reviewed.locator("body").press("u")
    else:
        reviewed.get_by_role("button", name="Undo").click()
    title(reviewed, "kept-1.png")
    assert station.kept[1].truth is None
    assert reviewed.get_by_role("button", name="Undo").is_disabled()
    assert reviewed.inner_text(".waiting-count") == "6 wait"


def test_an_undo_that_is_refused_leaves_the_judgement_saved(
    reviewed: Any, station: Station
) -> None:
    station.refuse("DELETE", "/1/judgement", 500, "The store cannot be reached.")
    reviewed.locator("body").press("r")
    saved(reviewed, 1)
    reviewed.locator("body").press("u")
    reviewed.locator("[role=alert]", has_text="Not taken back: kept-1.png").wait_for()
    title(reviewed, "kept-2.png")
    saved(reviewed, 1)


@pytest.mark.parametrize("by", ["key", "button"])
def test_skipped_pictures_come_up_when_asked_for(reviewed: Any, station: Station, by: str) -> None:
    for _ in range(6):
        if by == "key":
            reviewed.locator("body").press("s")
        else:
            reviewed.get_by_role("button", name="Skip").click()
    reviewed.locator(".nothing", has_text="6 pictures were skipped").wait_for()
    reviewed.get_by_role("button", name="Show them again").click()
    title(reviewed, "kept-1.png")
    assert station.calls("PUT", "judgement") == []


def test_random_order_is_explained_and_goes_with_the_judgement(
    reviewed: Any, station: Station
) -> None:
    reviewed.get_by_label("Order").select_option("random")
    assert "stand fairly for all that were kept" in reviewed.inner_text(".why-order")
    title(reviewed, "kept-1.png")
    reviewed.locator(".big.right").click()
    saved(reviewed, 1)
    assert station.calls("PUT", "judgement")[0].body["order"] == "random"


def test_the_latest_come_first_when_asked_for(reviewed: Any, station: Station) -> None:
    reviewed.get_by_label("Order").select_option("latest")
    title(reviewed, "kept-6.png")


def test_the_next_pictures_are_fetched_before_they_are_needed(
    reviewed: Any, station: Station, until: Until
) -> None:
    until(
        lambda: (
            {one.path for one in station.calls("GET", "/views")}
            >= {f"/v1/reviews/{k}/views" for k in (1, 2, 3)}
        )
    )


def test_a_long_queue_is_fetched_in_parts_and_judged_to_its_end(
    page: Any, station: Station
) -> None:
    station.keep(24)
    visit(page, station, "review")
    for k in range(24):
        title(page, f"kept-{k + 1}.png")
        page.locator("body").press("r")
    page.locator(".nothing", has_text="Nothing waits").wait_for()
    saved(page, 6)
    page.locator(".waiting-count", has_text="0 wait").wait_for()
    assert len(station.calls("PUT", "judgement")) == 24


def test_a_queue_that_cannot_be_fetched_says_why(page: Any, station: Station) -> None:
    station.keep(1)
    station.refuse("GET", "/queue", 500, "The store cannot be reached.")
    visit(page, station, "review")
    page.locator(".nothing", has_text="The store cannot be reached.").wait_for()
    page.get_by_role("button", name="Try again").click()
    title(page, "kept-1.png")


def test_a_heat_map_that_cannot_be_had_leaves_the_picture_to_judge(
    page: Any, station: Station
) -> None:
    station.keep(1)
    station.refuse("GET", "/1/views", 409, "The model is not served any more.")
    visit(page, station, "review")
    page.locator(".judge", has_text="There is no heat map: The model is not served").wait_for()
    assert page.locator(".judge .stage .below").is_visible()


def test_precision_and_recall_stand_with_interval_and_caveat(page: Any, station: Station) -> None:
    station.random = quality(18, 4, caveat="Only 44 were judged.")
    visit(page, station, "review")
    fair = page.locator(".quality").first
    fair.wait_for()
    text = fair.inner_text().replace("\u00a0", " ")
    assert "81.8 %" in text
    assert "95 % interval: 55.0 % to 93.0 %" in text
    assert "Only 44 were judged." in text
    assert "cannot be told yet" in page.locator(".quality").nth(1).inner_text()


def test_the_figures_follow_the_judgements(reviewed: Any, station: Station, until: Until) -> None:
    before = len(station.calls("GET", "/summary"))
    reviewed.locator("body").press("r")
    until(lambda: len(station.calls("GET", "/summary")) > before)
    reviewed.locator(".quality", has_text="2 judged pictures").wait_for()


@pytest.mark.parametrize("token", [None, "secret"])
def test_the_judged_pictures_are_exported(page: Any, station: Station, token: str | None) -> None:
    visit(page, station, "review")
    if token:
        station.token = token
        page.reload()
        page.get_by_label("Token").fill(token)
        page.keyboard.press("Enter")
    page.locator(".quality").first.wait_for()
    with page.expect_download() as awaited:
        page.get_by_text("Export the judged pictures").click()
    assert Path(awaited.value.path()).read_bytes().startswith(b"PK")
    assert station.calls("GET", "/export")[0].query == {"model": ["blobs"]}


def test_a_picture_is_deleted_when_that_is_confirmed(
    reviewed: Any, station: Station, until: Until
) -> None:
    delete = reviewed.get_by_role("button", name="Delete this picture")
    delete.click()
    reviewed.get_by_role("button", name="Leave it as it is").click()
    assert 1 in station.kept
    delete.click()
    reviewed.get_by_role("button", name="Delete it").click()
    title(reviewed, "kept-2.png")
    assert 1 not in station.kept


def test_who_is_no_admin_neither_deletes_nor_recalibrates(page: Any, station: Station) -> None:
    station.session = station.session.model_copy(update={"role": "reviewer"})
    station.keep(1)
    visit(page, station, "review")
    page.locator(".judge").wait_for()
    assert page.get_by_role("button", name="Delete this picture").count() == 0
    assert page.locator(".recalibration").is_hidden()


def preview(**changes: Any) -> schemas.RecalibrationPreview:
    before = detail("x").threshold
    fields: dict[str, Any] = {
        "confirmation": "yes-of-a1b2",
        "revision": "a1b2c3d4e5f6",
        "pictures": 120,
        "before": before,
        "after": before.model_copy(update={"upper": 0.61}),
        "flagged_before": 9,
        "flagged_after": 1,
        "reviewed_right_before": 140,
        "reviewed_right_after": 147,
        "reviewed": 160,
        "warnings": ["They came from two days only."],
    }
    return schemas.RecalibrationPreview(**(fields | changes))


def ask_for_preview(page: Any) -> None:
    page.locator(".recalibration summary").click()
    page.get_by_label("Threshold rule").fill("conformal(0.02)")
    page.get_by_label("Pictures", exact=True).select_option("all")
    page.get_by_role("button", name="Show what it would change").click()


def test_a_recalibration_is_seen_before_it_is_confirmed(page: Any, station: Station) -> None:
    station.preview = preview()
    visit(page, station, "review")
    ask_for_preview(page)
    table = page.locator(".comparison")
    table.wait_for()
    assert "Threshold\t0.5\t0.61" in table.inner_text()
    assert "They came from two days only." in page.inner_text(".preview")
    asked = station.calls("POST", "/recalibration/preview")
    assert asked[0].body == {"sample": "all", "threshold": "conformal(0.02)"}
    page.get_by_role("button", name="Serve blobs with the new threshold").click()
    page.get_by_role("button", name="Leave it as it is").click()
    assert len(station.calls("POST", "/recalibration")) == 1
    page.get_by_role("button", name="Serve blobs with the new threshold").click()
    page.get_by_role("button", name="Serve the new threshold", exact=True).click()
    page.locator(".done", has_text="ffff00001111").wait_for()
    assert station.models["blobs"].threshold.upper == 0.61


def test_another_rule_takes_the_preview_away(page: Any, station: Station) -> None:
    station.preview = preview()
    visit(page, station, "review")
    ask_for_preview(page)
    page.locator(".comparison").wait_for()
    page.get_by_label("Threshold rule").fill("median")
    assert page.locator(".preview").inner_text() == ""


@pytest.mark.parametrize("step", ["preview", "confirmation"])
def test_a_refused_recalibration_says_why_and_changes_nothing(
    page: Any, station: Station, step: str
) -> None:
    station.preview = preview()
    visit(page, station, "review")
    if step == "preview":
        station.refuse("POST", "/preview", 422, "There are 3 pictures; wanted 20 at least.")
    ask_for_preview(page)
    if step == "confirmation":
        page.locator(".comparison").wait_for()
        station.refuse("POST", "/recalibration", 409, "There are 3 pictures; wanted 20 at least.")
        page.get_by_role("button", name="Serve blobs with the new threshold").click()
        page.get_by_role("button", name="Serve the new threshold", exact=True).click()
    page.locator(".recalibration [role=alert]", has_text="wanted 20 at least").wait_for()
    assert station.models["blobs"].threshold.upper == 0.5


def test_leaving_while_something_is_unsaved_is_asked_about(reviewed: Any, station: Station) -> None:
    asks = """() => { const event = new Event("beforeunload", {cancelable: true});
        window.dispatchEvent(event); return event.defaultPrevented; }"""
    assert reviewed.evaluate(asks) is False
    station.hold("/judgement")
    reviewed.locator("body").press("r")
    assert reviewed.evaluate(asks) is True
    station.gate.set()
    saved(reviewed, 1)
    assert reviewed.evaluate(asks) is False
