"""Pictures go in by every way there is, and each comes out with its verdict or with a reason."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .giving import give
from .stand_in import Station, detail, picture, png
from .visiting import both, narrow, visit

Until = Callable[[Callable[[], object]], None]


def send(page: Any, *names: str) -> None:
    page.set_input_files("input[type=file]", [picture(name, k) for k, name in enumerate(names)])


def names(page: Any) -> list[str]:
    # Rows out of sight are not laid out, and have no inner text.
    return page.locator(".batch tbody .name").all_text_contents()


def progress(page: Any, words: str) -> None:
    page.locator(".progress-said", has_text=words).wait_for()


def test_a_picked_picture_is_shown_with_its_verdict_in_words_shape_and_number(
    page: Any, station: Station
) -> None:
    visit(page, station)
    send(page, "spot_0.7.png")
    progress(page, "1 of 1")
    verdict = page.locator(".result .readout .verdict")
    assert verdict.inner_text().lower() == "anomalous"
    assert verdict.locator("svg.shape.anomalous").count() == 1
    assert "None of the 199 held-out normal pictures" in page.inner_text(".result .readout")
    assert page.inner_text(".result h2") == "spot_0.7.png"
    reading = page.get_attribute(".result .histogram", "aria-label")
    assert "lies above the threshold" in reading
    assert page.locator("#spoken").inner_text().startswith("spot_0.7.png: anomalous; score 0.7")
    assert station.calls("POST", "/score")[0].query == {
        "include": ["heatmap", "reconstruction", "input"]
    }


def test_a_dropped_picture_is_scored(page: Any, station: Station) -> None:
    visit(page, station)
    page.locator(".intake").wait_for()
    give(page, "drop", "dataTransfer", "dropped_0.2.png", png())
    progress(page, "1 of 1 picture scored")
    assert names(page) == ["dropped_0.2.png"]


def test_a_pasted_picture_without_a_name_gets_one(page: Any, station: Station) -> None:
    visit(page, station)
    page.locator(".intake").wait_for()
    give(page, "paste", "clipboardData", "image.png", png())
    progress(page, "1 of 1 picture scored")
    assert names(page)[0].startswith("pasted-")


def test_a_dropped_folder_gives_its_pictures(page: Any, station: Station) -> None:
    visit(page, station)
    found = page.evaluate(
        """async () => {
            const file = (name) => ({isFile: true, file: (done) => done(new File([], name))});
            const folder = (...inside) => ({isDirectory: true, createReader: () => {
                const left = [inside.slice(0, 1), inside.slice(1), []];
                return {readEntries: (done) => done(left.shift())};
            }});
            const inner = folder(file("b.png"), file(".hidden"));
            const all = folder(file("a.png"), inner, file("c.png"));
            const {dropped} = await import("/static/files.js");
            const transfer = {files: [], items: [{webkitGetAsEntry: () => all}]};
            return (await dropped(transfer)).map(({name}) => name);
        }"""
    )
    assert found == ["a.png", "b.png", "c.png"]


def test_a_batch_goes_in_small_requests_and_the_highest_score_comes_first(
    page: Any, station: Station
) -> None:
    visit(page, station)
    send(page, *(f"p_{k / 40}.png" for k in range(30)))
    progress(page, "30 of 30 pictures scored, 9 anomalous")
    assert [len(one.names) for one in station.calls("POST", "/score")] == [8, 8, 8, 6]
    assert names(page)[:2] == ["p_0.725.png", "p_0.7.png"]
    assert page.inner_text(".result h2") == "p_0.725.png"


def test_no_request_carries_more_than_the_service_takes(page: Any, station: Station) -> None:
    visit(page, station)
    size = len(png())
    room = 2 * size + 1300
    station.session = station.session.model_copy(update={"max_pictures": 3, "max_bytes": room})
    page.reload()
    page.locator(".intake").wait_for()
    large = {"name": "large_0.9.png", "mimeType": "image/png", "buffer": bytes(room + 1)}
    page.set_input_files("input[type=file]", [*(picture(f"p_{k}.png", 0) for k in range(3)), large])
    progress(page, "3 of 4 pictures scored, 2 anomalous, 1 without verdict")
    assert [len(one.names) for one in station.calls("POST", "/score")] == [2, 1]
    page.get_by_role("button", name="large_0.9.png").click()
    assert "the service takes" in page.inner_text(".result .readout")


def test_the_table_is_sorted_by_what_one_asks_for(page: Any, station: Station) -> None:
    visit(page, station)
    send(page, "b_0.3.png", "c_0.1.png", "a10_0.2.png", "a9_0.4.png", "broken.png")
    progress(page, "4 of 5 pictures scored, 0 anomalous, 1 without verdict")
    head = page.locator("th[aria-sort]")
    page.get_by_role("button", name="Picture", exact=True).click()
    assert names(page) == ["a9_0.4.png", "a10_0.2.png", "b_0.3.png", "broken.png", "c_0.1.png"]
    assert head.nth(0).get_attribute("aria-sort") == "ascending"
    page.get_by_role("button", name="Score", exact=True).click()
    assert head.nth(1).get_attribute("aria-sort") == "descending"
    page.get_by_role("button", name="Score", exact=True).click()
    assert head.nth(1).get_attribute("aria-sort") == "ascending"
    assert names(page) == ["c_0.1.png", "a10_0.2.png", "b_0.3.png", "a9_0.4.png", "broken.png"]
    if page.viewport_size["width"] > 600:
        page.get_by_role("button", name="p-value").click()
        assert names(page)[0] == "a9_0.4.png"


def test_flagged_pictures_can_be_seen_alone(page: Any, station: Station) -> None:
    visit(page, station)
    send(page, "a_0.3.png", "b_0.6.png")
    progress(page, "2 of 2")
    page.get_by_label("Flagged only").check()
    page.locator(".batch tbody tr").nth(1).wait_for(state="detached")
    assert names(page) == ["b_0.6.png"]
    page.locator("body").press("f")
    assert names(page) == ["b_0.6.png", "a_0.3.png"]


@both
def test_rows_and_results_are_walked_through_with_keys(page: Any, station: Station) -> None:
    visit(page, station)
    send(page, "a_0.3.png", "b_0.6.png", "c_0.1.png")
    progress(page, "3 of 3")
    title = page.locator(".result h2")
    page.locator("body").press("j")
    assert title.inner_text() == "a_0.3.png"
    page.locator("body").press("k")
    assert title.inner_text() == "b_0.6.png"
    page.get_by_role("button", name="b_0.6.png").focus()
    page.keyboard.press("End")
    assert title.inner_text() == "c_0.1.png"
    assert page.evaluate("document.activeElement.textContent") == "c_0.1.png"
    page.keyboard.press("ArrowUp")
    assert title.inner_text() == "a_0.3.png"
    page.get_by_role("button", name="Next result").click()
    assert title.inner_text() == "c_0.1.png"
    assert page.get_by_role("button", name="Next result").is_disabled()


@narrow
def test_what_would_change_is_said_within_its_row(page: Any, station: Station) -> None:
    visit(page, station)
    send(page, "a_0.3.png", "b_0.6.png", "c_0.1.png")
    progress(page, "3 of 3")
    page.locator(".whatif summary").click()
    exact = page.get_by_label("Threshold to try, as a number")
    exact.fill("0.05")
    exact.press("Enter")
    page.locator(".would-change .would").nth(1).wait_for()
    outside = page.evaluate(
        """() => [...document.querySelectorAll(".would")].map((would) => {
            const [box, row, next] = [would, would.closest("tr"),
                would.closest("td").nextElementSibling].map((e) => e.getBoundingClientRect());
            return [box.top - row.top, row.bottom - box.bottom, next.left - box.right];
        }).filter((room) => Math.min(...room) < 0)"""
    )
    assert outside == []


def test_a_threshold_can_be_tried_and_nothing_of_it_reaches_the_service(
    page: Any, station: Station
) -> None:
    visit(page, station)
    send(page, "a_0.3.png", "b_0.6.png", "c_0.1.png")
    progress(page, "3 of 3")
    page.locator(".whatif summary").click()
    before = len(station.asked)
    slider = page.get_by_label("Threshold to try", exact=True)
    exact = page.get_by_label("Threshold to try, as a number")
    exact.fill("0.25")
    exact.press("Enter")
    said = page.locator("#whatif-said")
    share = sum(at > 0.25 for at in detail("x").calibration.quantiles)
    assert said.inner_text().startswith("At 0.25, 2 of 3 pictures here and about")
    percent = float(said.inner_text().split("about ")[1].split("\u00a0")[0])
    assert percent == pytest.approx(share, abs=1.5)
    assert "1 verdict would change" in said.inner_text()
    page.locator(".would-change").wait_for()
    assert page.text_content(".would-change .would") == "would be anomalous"
    slider.press("End")
    assert "0 of 3 pictures here" in said.inner_text()
    page.get_by_role("button", name="Back to the model's own").click()
    assert "No verdict would change" in said.inner_text()
    page.locator(".would-change").wait_for(state="detached")
    assert len(station.asked) == before


def test_the_heat_map_is_as_strong_as_the_slider_says(page: Any, station: Station) -> None:
    visit(page, station)
    send(page, "a_0.6.png")
    heat = page.locator(".result canvas.heat")
    heat.wait_for()
    slider = page.locator(".result").get_by_label("Strength of the heat map")
    slider.press("Home")
    assert heat.evaluate("(e) => getComputedStyle(e).opacity") == "0"
    slider.press("End")
    assert heat.evaluate("(e) => getComputedStyle(e).opacity") == "1"
    clear = """(e) => { const d = e.getContext('2d').getImageData(0, 0, e.width, e.height).data;
        const at = (x, y) => d[4 * (y * e.width + x) + 3]; return [at(20, 12), at(0, 31)]; }"""
    hot, cold = heat.evaluate(clear)
    assert hot == 255
    assert cold < 40


def test_reconstruction_and_input_stand_beside_the_picture(page: Any, station: Station) -> None:
    visit(page, station)
    send(page, "a_0.6.png")
    page.locator(".beside figcaption", has_text="What it rebuilt").wait_for()
    for image in page.locator(".result img").all():
        image.evaluate("(e) => e.decode()")
        assert image.evaluate("(e) => e.naturalWidth") in (48, 32)


def test_a_picture_that_the_browser_cannot_draw_is_shown_as_the_model_saw_it(
    page: Any, station: Station
) -> None:
    visit(page, station)
    page.set_input_files(
        "input[type=file]", {"name": "x_0.6.tif", "mimeType": "image/tiff", "buffer": b"II*\0"}
    )
    progress(page, "1 of 1")
    below = page.locator(".result .stage .below")
    below.wait_for()
    page.wait_for_function("(e) => e.naturalWidth === 32", arg=below.element_handle())


def test_a_picture_without_verdict_says_why(page: Any, station: Station) -> None:
    visit(page, station)
    send(page, "broken.png")
    page.locator(".result .readout", has_text="Not an image").wait_for()
    assert "It ends after 12 bytes; send the whole file." in page.inner_text(".result")
    assert page.locator(".batch .verdict.none").count() == 1


def test_a_name_that_is_markup_stays_a_name(page: Any, station: Station) -> None:
    visit(page, station)
    name = "<img src=x onerror=alert(1)>_0.6.png"
    send(page, name)
    progress(page, "1 of 1")
    assert names(page) == [name]
    assert page.inner_text(".result h2") == name
    assert page.locator("img[src=x]").count() == 0


@pytest.mark.parametrize("status", [429, 503])
def test_a_service_at_its_limit_is_asked_again_when_it_said(
    page: Any, station: Station, status: int
) -> None:
    visit(page, station)
    station.refuse("POST", "/score", status, "Too many at once.", retry_after="0.2")
    send(page, "a_0.6.png")
    page.locator(".waiting", has_text="trying again in 1 s").wait_for()
    progress(page, "1 of 1 picture scored")
    assert page.locator(".waiting").inner_text() == ""
    assert len(station.calls("POST", "/score")) == 2


def test_a_batch_can_be_cancelled_and_taken_up_again(page: Any, station: Station) -> None:
    visit(page, station)
    station.hold("/score")
    send(page, *(f"p{k}_0.1.png" for k in range(10)))
    page.get_by_role("button", name="Cancel").click()
    progress(page, "0 of 10 pictures scored, 0 anomalous, 10 not scored")
    station.gated = None
    station.gate.set()
    page.get_by_role("button", name="Score the 10 pictures without verdict").click()
    progress(page, "10 of 10 pictures scored")


def test_a_refused_request_leaves_its_reason_with_each_picture(page: Any, station: Station) -> None:
    visit(page, station)
    station.refuse("POST", "/score", 500, "The engine failed; the log has the rest.")
    send(page, "a_0.6.png")
    page.locator(".result", has_text="The engine failed; the log has the rest.").wait_for()
    page.get_by_role("button", name="Score the 1 picture without verdict").click()
    progress(page, "1 of 1 picture scored")


def test_a_proxy_that_takes_less_gets_less(page: Any, station: Station) -> None:
    visit(page, station)
    station.refuse("POST", "/score", 413, raw=b"<html>413</html>")
    send(page, *(f"p{k}_0.1.png" for k in range(8)))
    progress(page, "8 of 8 pictures scored")
    assert [len(one.names) for one in station.calls("POST", "/score")] == [8, 4, 4]


@pytest.mark.parametrize("raw", [b"{", b'{"results": []}', b"null"])
def test_a_broken_answer_is_no_verdict(page: Any, station: Station, raw: bytes) -> None:
    visit(page, station)
    station.refuse("POST", "/score", 200, raw=raw)
    send(page, "a_0.6.png")
    page.locator(".result .readout", has_text="Not an answer").wait_for()
    progress(page, "0 of 1 picture scored, 0 anomalous, 1 not scored")


def test_results_are_downloaded_as_a_table_that_no_spreadsheet_computes(
    page: Any, station: Station
) -> None:
    visit(page, station)
    send(page, "=cmd()_0.6.png", 'quo"te,d_0.3.png', "broken.png")
    progress(page, "2 of 3")
    with page.expect_download() as awaited:
        page.get_by_role("button", name="Results as CSV").click()
    text = Path(awaited.value.path()).read_text("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert [row["verdict"] for row in rows] == ["anomalous", "normal", ""]
    assert rows[0]["name"] == "'=cmd()_0.6.png"
    assert float(rows[0]["score"]) == 0.6
    assert rows[2]["error"].startswith("Not an image: ")


def test_a_cleared_batch_leaves_nothing(page: Any, station: Station) -> None:
    visit(page, station)
    send(page, "a_0.6.png")
    progress(page, "1 of 1")
    page.get_by_role("button", name="Clear").click()
    page.locator(".work").wait_for(state="hidden")
    send(page, "b_0.2.png")
    progress(page, "1 of 1 picture scored, 0 anomalous")
    assert names(page) == ["b_0.2.png"]


def test_a_score_below_the_lower_limit_is_explained(page: Any, station: Station) -> None:
    limits = detail("x").threshold.model_copy(update={"lower": 0.1})
    station.models["blobs"] = detail("blobs", threshold=limits)
    visit(page, station)
    send(page, "a_0.02.png")
    page.locator(".readout", has_text="below the lower limit").wait_for()
    assert "lower 0.1" in page.text_content(".result .limits")


def test_another_model_takes_the_verdicts_of_the_first_away(page: Any, station: Station) -> None:
    station.models["other"] = detail("other")
    visit(page, station)
    send(page, "a_0.6.png")
    progress(page, "1 of 1 picture scored")
    page.locator("#chooser").select_option("other")
    progress(page, "0 of 1 picture scored")
    page.get_by_role("button", name="Score the 1 picture without verdict").click()
    progress(page, "1 of 1 picture scored")
    assert station.calls("POST", "/score")[-1].path == "/v1/models/other/score"


def test_a_model_replaced_meanwhile_is_said_and_its_card_fetched(
    page: Any, station: Station, until: Until
) -> None:
    visit(page, station)
    send(page, "a_0.6.png")
    progress(page, "1 of 1 picture scored")
    station.models["blobs"] = detail("blobs", revision="b" * 12)
    send(page, "b_0.2.png")
    page.locator(".note", has_text="not all verdicts are by the same revision").wait_for()
    until(lambda: len(station.calls("GET", "/models/blobs")) >= 2)
    page.locator(".facts", has_text="b" * 12).wait_for()


def test_hundreds_of_pictures_keep_few_thumbnails_alive(page: Any, station: Station) -> None:
    visit(page, station)
    page.evaluate(
        """() => { const {createObjectURL, revokeObjectURL} = URL; window.alive = 0;
        URL.createObjectURL = (b) => { window.alive++; return createObjectURL(b); };
        URL.revokeObjectURL = (a) => { window.alive--; revokeObjectURL(a); }; }"""
    )
    content = png(0, 16, 16)
    page.set_input_files(
        "input[type=file]",
        [
            {"name": f"p{k}_{k / 1000}.png", "mimeType": "image/png", "buffer": content}
            for k in range(240)
        ],
    )
    page.locator(".progress-said", has_text="240 of 240").wait_for(timeout=20_000)
    drawn = """(at) => { const list = document.querySelector(".batch-scroll");
        if (list.scrollTop !== at) { list.scrollTop = at; return false; }
        const [box, rows] = [list.getBoundingClientRect(), [...list.querySelectorAll("tbody img")]];
        const inside = ({top, bottom}) => top > box.top && bottom < box.bottom;
        const seen = rows.filter((image) => inside(image.getBoundingClientRect()));
        return seen.length > 3 && seen.every((image) => image.src) && window.alive < 60; }"""
    for place in (0, 4000, 8000, 4000):
        page.wait_for_function(drawn, arg=place)
    assert page.locator(".batch tbody tr").count() == 240
