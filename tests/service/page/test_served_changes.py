"""What happens to the service while the page is open: another model, its limit, its end."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from residua.recalibration import recalibrate

from .real_service import Service, files, look_again, progress, send
from .visiting import both, visit

Pictures = NDArray[np.uint8]


@pytest.fixture
def station(service: Service) -> Service:
    return service


def replace(station: Service, pictures: Pictures) -> str:
    """Put another bundle in the place of the one served, as the command line does."""
    before = station.station.models["blobs"].revision
    recalibrate(station.bundle, pictures, threshold="percentile(60)", threads=1)
    station.station.models.refresh("blobs")
    after = station.station.models["blobs"].revision
    assert after != before
    return after


def test_a_replaced_bundle_is_noticed_and_said_quietly(
    page: Any, station: Service, blobs: Pictures
) -> None:
    visit(page, station, "model")
    page.locator("#model .readout").wait_for()
    revision = replace(station, blobs[:60])
    news = page.locator("#news", has_text=f"blobs was replaced: revision {revision} is served now")
    news.wait_for(timeout=20_000)
    page.locator("#model .subject", has_text=revision).wait_for()
    page.locator("#model", has_text="The rule percentile(60)").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    news.get_by_role("button", name="Dismiss").click()
    news.wait_for(state="hidden")
    with page.expect_response("**/v1/models"):
        look_again(page)
    assert page.locator("#news").is_hidden()


def test_verdicts_of_an_earlier_revision_are_said_and_can_be_had_anew(
    page: Any, station: Service, blobs: Pictures
) -> None:
    visit(page, station)
    send(page, *files("blob", blobs[:3]))
    progress(page, "3 of 3 pictures scored")
    first = station.station.models["blobs"].revision
    revision = replace(station, blobs[:60])
    look_again(page)
    page.locator(".revisions", has_text=f"these verdicts are by its revision {first}").wait_for()
    page.get_by_role("button", name="Score all again").click()
    page.locator(".result .facts", has_text=revision).wait_for()
    page.locator(".revisions").wait_for(state="hidden")


def test_a_replaced_bundle_is_noticed_at_the_next_score(
    page: Any, station: Service, blobs: Pictures
) -> None:
    visit(page, station)
    send(page, *files("blob", blobs[:1]))
    progress(page, "1 of 1 picture scored")
    # The page must not notice it by looking: what it finds, it finds by the answer.
    page.route("**/v1/models", lambda route: route.fulfill(status=503))
    revision = replace(station, blobs[:60])
    page.unroute("**/v1/models")
    send(page, *files("more", blobs[1:2]))
    page.locator("#news", has_text=revision).wait_for()
    page.locator(".revisions", has_text="not all verdicts are by the same revision").wait_for()


def test_a_full_service_is_waited_for_as_long_as_it_says(
    page: Any, station: Service, blobs: Pictures, monkeypatch: pytest.MonkeyPatch
) -> None:
    visit(page, station)
    page.locator(".intake").wait_for()
    with station.held(monkeypatch) as hold, ThreadPoolExecutor(1) as pool:
        taken = pool.submit(station.score, blobs[:1])
        assert hold.waits.wait(10)
        # With one picture inside, a request of eight is one too many.
        send(page, *files("blob", blobs[:8]))
        page.locator(".waiting", has_text="at its limit; trying again in 1 s.").wait_for()
        assert page.get_by_role("button", name="Cancel").is_visible()
        hold.may_go.set()
        taken.result()
        progress(page, "8 of 8 pictures scored")
    assert page.locator(".waiting").inner_text() == ""


@both
def test_a_service_that_stops_in_mid_batch_leaves_the_rest_to_be_sent_when_it_is_back(
    page: Any, station: Service, blobs: Pictures, monkeypatch: pytest.MonkeyPatch
) -> None:
    visit(page, station)
    page.locator(".intake").wait_for()
    with station.held(monkeypatch, free=8) as hold:
        send(page, *files("blob", blobs[:20]))
        assert hold.waits.wait(10)
        station.tell_to_stop()
    progress(page, "16 of 20 pictures scored")
    page.locator(".progress-said", has_text="4 not scored").wait_for()
    assert "cannot be reached" in page.inner_text(".waiting")
    page.locator("#news", has_text="cannot be reached").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    station.stop()
    station.start()
    look_again(page)
    page.locator("#news").wait_for(state="hidden")
    page.get_by_role("button", name="Score the 4 pictures without verdict").click()
    progress(page, "20 of 20 pictures scored")
    assert page.locator(".waiting").inner_text() == ""
    page.get_by_role("tab", name="Review").click()
    page.locator(".waiting-count", has_text="20 wait").wait_for()
