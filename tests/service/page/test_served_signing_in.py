"""Who comes in with which token, and what is there for them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from residua.service.settings import ServiceSettings

from .real_service import Service, files, progress, send
from .visiting import both


@pytest.fixture
def station(service: Service) -> Service:
    return service


TOKENS = {
    "reader": "reads-and-no-more-01",
    "reviewer": "says-right-or-wrong-02",
    "admin": "may-do-everything-03",
}


@pytest.fixture
def settings(settings: ServiceSettings, tmp_path: Path) -> ServiceSettings:
    tokens = tmp_path / "tokens"
    tokens.write_text("".join(f"{role} the-{role} {token}\n" for role, token in TOKENS.items()))
    tokens.chmod(0o600)
    return settings.model_copy(update={"tokens": tokens})


def sign_in(page: Any, station: Service, token: str) -> None:
    page.goto(station.url)
    page.get_by_label("Token").fill(token)
    page.keyboard.press("Enter")


@both
def test_a_wrong_token_is_refused_in_words_and_a_right_one_opens_the_page(
    page: Any, station: Service
) -> None:
    sign_in(page, station, "nobody-knows-this-one")
    page.locator(".signin [role=alert]", has_text="This token is not known; ask").wait_for()
    assert page.get_by_role("tab", name="Inspect").is_hidden()
    page.get_by_label("Token").fill(TOKENS["admin"])
    page.get_by_role("button", name="Go on").click()
    page.locator(".intake").wait_for()
    assert page.inner_text(".role") == "the-admin (admin)"
    page.get_by_role("button", name="Sign out").click()
    page.get_by_label("Token").wait_for()
    assert page.locator(".intake").is_hidden()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize(
    ("role", "reviews", "governs"),
    [("reader", False, False), ("reviewer", True, False), ("admin", True, True)],
)
def test_each_role_finds_what_it_may_do_and_no_more(
    page: Any,
    station: Service,
    blobs: NDArray[np.uint8],
    role: str,
    reviews: bool,
    governs: bool,
) -> None:
    sign_in(page, station, TOKENS[role])
    page.locator(".intake").wait_for()
    send(page, *files("blob", blobs[:1]))
    progress(page, "1 of 1 picture scored")
    assert page.inner_text(".role") == f"the-{role} ({role})"
    tab = page.get_by_role("tab", name="Review")
    assert tab.is_visible() is reviews
    if reviews:
        tab.click()
        page.locator(".judge canvas.heat").wait_for()
        page.locator("body").press("r")
        page.locator(".trail .saved").wait_for()
        assert page.locator(".recalibration").is_visible() is governs
    page.get_by_role("tab", name="Model").click()
    page.locator("#model .readout").wait_for()
    assert page.get_by_role("button", name="Start the watch anew").count() == governs


def test_the_export_comes_with_a_token_and_says_how_far_it_is(
    page: Any, station: Service, blobs: NDArray[np.uint8]
) -> None:
    sign_in(page, station, TOKENS["reviewer"])
    page.locator(".intake").wait_for()
    send(page, *files("blob", blobs[:1]))
    progress(page, "1 of 1 picture scored")
    page.get_by_role("tab", name="Review").click()
    page.locator(".judge").wait_for()
    page.locator("body").press("r")
    page.locator(".trail .saved").wait_for()
    with page.expect_download() as awaited:
        page.get_by_text("Export the judged pictures").click()
    content = Path(awaited.value.path()).read_bytes()
    assert content.startswith(b"PK\x03\x04")
    said = page.locator(".export-said", has_text="The export is there: ").inner_text()
    assert f": {len(content)} bytes." in said
