"""Who may come in, how the page is found through, and what holds for all of its views."""

from __future__ import annotations

import re
from typing import Any

import pytest

from .stand_in import Station, detail, drift, picture
from .visiting import PAGE, both, narrow, visit

VIEWS = ("inspect", "review", "model")


def test_a_station_that_wants_a_token_asks_for_it_and_sends_it(page: Any, station: Station) -> None:
    station.token = "secret"
    page.goto(station.url)
    page.get_by_label("Token").fill("wrong")
    page.keyboard.press("Enter")
    page.locator(".signin [role=alert]", has_text="The token is not known").wait_for()
    page.get_by_label("Token").fill("two words")
    page.keyboard.press("Enter")
    page.locator(".signin [role=alert]", has_text="without spaces").wait_for()
    page.get_by_label("Token").fill("secret")
    page.get_by_role("button", name="Go on").click()
    page.locator(".intake").wait_for()
    assert page.evaluate("sessionStorage.getItem('residua.token')") == "secret"
    assert page.evaluate("JSON.stringify(localStorage)").find("secret") == -1
    page.reload()
    page.locator(".intake").wait_for()


def test_who_signs_out_is_asked_again(page: Any, station: Station) -> None:
    station.token = "secret"
    page.goto(station.url)
    page.get_by_label("Token").fill("secret")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Sign out").click()
    page.get_by_label("Token").wait_for()
    assert page.locator(".intake").is_hidden()
    assert page.evaluate("sessionStorage.getItem('residua.token')") is None


def test_a_token_that_is_no_longer_good_is_asked_for_again(page: Any, station: Station) -> None:
    station.token = "secret"
    page.goto(station.url)
    page.get_by_label("Token").fill("secret")
    page.keyboard.press("Enter")
    page.locator(".intake").wait_for()
    station.token = "changed"
    page.set_input_files("input[type=file]", [picture("a_0.2.png")])
    page.get_by_label("Token").wait_for()
    page.get_by_label("Token").fill("changed")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Score the 1 picture without verdict").click()
    page.locator(".progress-said", has_text="1 of 1 picture scored").wait_for()


def test_a_service_that_is_not_ready_says_why_and_is_asked_again(
    page: Any, station: Station
) -> None:
    station.refuse("GET", "/session", 503, "The models are being loaded.")
    page.goto(station.url)
    page.locator("#notice", has_text="The models are being loaded.").wait_for()
    page.get_by_role("button", name="Try again").click()
    page.locator(".intake").wait_for()


def test_a_service_without_a_model_says_so(page: Any, station: Station) -> None:
    station.models.clear()
    page.goto(station.url)
    page.locator("#notice", has_text="No model is served").wait_for()
    station.models["blobs"] = detail("blobs")
    page.get_by_role("button", name="Try again").click()
    page.locator(".intake").wait_for()


@pytest.mark.parametrize(
    ("role", "keep", "there"),
    [
        ("reader", "all", False),
        ("reviewer", "off", False),
        ("reviewer", "flagged", True),
        ("admin", "all", True),
    ],
)
def test_reviews_are_there_for_who_may_review_what_is_kept(
    page: Any, station: Station, role: str, keep: str, there: bool
) -> None:
    station.session = station.session.model_copy(
        update={"role": role, "keep": keep, "name": "line 4"}
    )
    page.goto(f"{station.url}#/review")
    page.locator("#review" if there else "#inspect").wait_for()
    assert page.get_by_role("tab", name="Review").is_visible() is there
    assert page.inner_text(".role") == f"line 4 ({role})"


def test_tabs_are_walked_with_the_arrow_keys_and_kept_in_the_address(
    page: Any, station: Station
) -> None:
    visit(page, station)
    page.get_by_role("tab", name="Inspect").focus()
    for key, view in [
        ("ArrowRight", "review"),
        ("End", "model"),
        ("ArrowRight", "inspect"),
        ("ArrowLeft", "model"),
        ("Home", "inspect"),
    ]:
        page.keyboard.press(key)
        page.locator(f"#{view}").wait_for()
        assert page.url.endswith(f"#/{view}")
        assert page.evaluate("document.activeElement.id") == f"tab-{view}"
        assert page.title() == f"{view.capitalize()} · Residua"
        assert page.locator("[role=tab][aria-selected=true]").count() == 1
    page.go_back()
    page.locator("#model").wait_for()


def test_the_keys_are_listed_and_can_be_turned_off(page: Any, station: Station) -> None:
    station.keep(2)
    visit(page, station, "review")
    page.locator(".judge").wait_for()
    page.locator("body").press("?")
    keys = page.locator("#keys")
    keys.wait_for()
    assert re.search(r"R or →\s+the verdict is right", keys.inner_text())
    keys.get_by_label("Single keys act").uncheck()
    page.keyboard.press("Escape")
    keys.wait_for(state="hidden")
    page.locator("body").press("r")
    assert page.inner_text(".review-name") == "kept-1.png"
    page.get_by_role("button", name="Keys").click()
    keys.get_by_label("Single keys act").check()
    keys.get_by_role("button", name="Close").click()
    page.locator("body").press("r")
    assert page.inner_text(".review-name") == "kept-2.png"


def test_letters_typed_into_a_field_judge_nothing(page: Any, station: Station) -> None:
    station.keep(2)
    visit(page, station, "review")
    page.locator(".judge").wait_for()
    page.locator(".recalibration summary").click()
    page.get_by_label("Threshold rule").press_sequentially("rws?")
    assert page.inner_text(".review-name") == "kept-1.png"
    assert station.calls("PUT", "judgement") == []


@both
def test_no_control_is_a_trap_and_each_has_a_name(page: Any, station: Station) -> None:
    station.keep(2)
    station.models["blobs"] = detail("blobs", drift=drift(alarm=True))
    visit(page, station)
    page.set_input_files("input[type=file]", [picture("a_0.6.png"), picture("b_0.2.png")])
    page.locator(".progress-said", has_text="2 of 2").wait_for()
    for view in VIEWS:
        page.get_by_role("tab", name=view.capitalize()).click()
        page.locator(f"#{view} .panel:visible").first.wait_for()
        page.locator("#skip").focus()
        reached = []
        for _ in range(60):
            page.keyboard.press("Tab")
            told = page.evaluate(
                """() => { const e = document.activeElement;
                const said = [e.tagName, e.id, e.className, e.ariaLabel, e.textContent];
                return e === document.body || e.id === "skip" ? null : said.join(" "); }"""
            )
            if told is None:
                break
            reached.append(told)
        else:
            pytest.fail(f"the focus never left {view}: {reached}")
        assert len(reached) == len(set(reached)) > 3
    nameless = page.evaluate(
        """() => [...document.querySelectorAll("button, select, input, a[href], summary")]
            .filter((e) => !(e.ariaLabel || e.textContent.trim() || e.labels?.length))
            .map((e) => e.outerHTML)"""
    )
    assert nameless == []


@narrow
def test_targets_are_large_enough_for_a_finger(page: Any, station: Station) -> None:
    station.keep(2)
    station.models["other"] = detail("other", drift=drift(alarm=True))
    station.models["blobs"] = detail("blobs", drift=drift(alarm=True))
    visit(page, station)
    page.set_input_files("input[type=file]", [picture("a_0.6.png"), picture("b_0.2.png")])
    page.locator(".progress-said", has_text="2 of 2").wait_for()
    for view in VIEWS:
        page.get_by_role("tab", name=view.capitalize()).click()
        page.locator(f"#{view} .panel:visible").first.wait_for()
        small = page.evaluate(
            """() => [...document.querySelectorAll("button, select, input, a[href], summary")]
                .filter((e) => e.checkVisibility() && !e.matches(".spoken, .skip"))
                .map((e) => [e.closest("label") ?? e, e])
                .map(([l, e]) => [l.getBoundingClientRect(), e.outerHTML])
                .filter(([box]) => box.height < 43.5).map(([box, html]) => [box.height, html])"""
        )
        assert small == []


@both
def test_no_view_is_wider_than_its_window(page: Any, station: Station) -> None:
    long = "a-name-without-any-place-to-break-it-" * 5
    station.models = {long: detail(long, drift=drift(alarm=True))}
    station.keep(2)
    visit(page, station)
    page.set_input_files("input[type=file]", [picture(f"{long}_0.6.png")])
    page.locator(".progress-said", has_text="1 of 1").wait_for()
    for view in VIEWS:
        page.get_by_role("tab", name=view.capitalize()).click()
        page.locator(f"#{view} .panel:visible").first.wait_for()
        # After two frames whatever was still to be laid out is.
        page.evaluate("new Promise((f) => requestAnimationFrame(() => requestAnimationFrame(f)))")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), view


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground(scheme: str) -> None:
    blocks = re.findall(r":root \{(.*?)\}", (PAGE / "app.css").read_text(), re.DOTALL)
    tokens = dict(re.findall(r"--([\w-]+): (#\w{6})", blocks[0]))
    if scheme == "dark":
        tokens |= dict(re.findall(r"--([\w-]+): (#\w{6})", blocks[1]))

    def light(token: str) -> float:
        parts = [int(tokens[token][k : k + 2], 16) / 255 for k in (1, 3, 5)]
        linear = [x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    def contrast(one: str, other: str) -> float:
        high, low = sorted((light(one), light(other)), reverse=True)
        return (high + 0.05) / (low + 0.05)

    grounds = ("page", "panel", "tint", "warn", "good-tint")
    for ink in ("ink", "soft", "bad-ink", "good-ink", "link"):
        for ground in grounds:
            assert contrast(ink, ground) >= 4.5, (ink, ground)
    assert contrast("on-strong", "good-ink") >= 4.5
    for line in ("good", "bad", "edge", "focus"):
        assert contrast(line, "panel") >= 3, line


def test_nothing_of_the_page_is_markup_from_text_or_from_elsewhere() -> None:
    for file in PAGE.iterdir():
        if file.suffix not in (".js", ".css", ".html"):
            continue
        text = file.read_text()
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", text)
        assert not re.search(r"""["'(]https?://(?!www\.w3\.org)""", text), file.name
        assert text.count("\n") <= 300, file.name
    assert not re.search(r"\sstyle=|\son\w+=", (PAGE / "index.html").read_text())
