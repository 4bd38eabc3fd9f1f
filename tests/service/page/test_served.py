"""The page as the service itself serves it: pictures go in, and one of them is judged."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uvicorn
from numpy.typing import NDArray
from PIL import Image

from residua.service.server import config_for
from residua.service.settings import Retention, ServiceSettings

from .visiting import visit


class Served:
    """What the tab of the tests has to know of a service: where it is."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.gate = threading.Event()


@pytest.fixture
def station(bundle: Path, tmp_path: Path) -> Iterator[Served]:
    """The real service, in the place of the stand-in."""
    kept = Retention(keep="all")
    settings = ServiceSettings(bundles={"blobs": bundle}, data=tmp_path, retention=kept)
    server = uvicorn.Server(config_for(settings, host="127.0.0.1", port=0))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    end = time.monotonic() + 20
    while not server.started:
        assert time.monotonic() < end
        assert thread.is_alive()
        time.sleep(0.01)
    yield Served(f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/")
    server.should_exit = True
    thread.join(20)


def files(kind: str, pictures: NDArray[np.uint8]) -> list[dict[str, Any]]:
    found = []
    for k, pixels in enumerate(pictures):
        content = io.BytesIO()
        Image.fromarray(pixels).save(content, "PNG")
        name = f"{kind}-{k}.png"
        found.append({"name": name, "mimeType": "image/png", "buffer": content.getvalue()})
    return found


def test_pictures_are_scored_judged_and_counted(
    page: Any, station: Any, blobs: NDArray[np.uint8], stripes: NDArray[np.uint8]
) -> None:
    visit(page, station)
    page.set_input_files(
        "input[type=file]", files("blob", blobs[:4]) + files("stripe", stripes[:3])
    )
    page.locator(".progress-said", has_text="7 of 7 pictures scored").wait_for(timeout=20_000)
    assert page.locator(".batch tbody .name").first.text_content().startswith("stripe-")
    page.locator(".result canvas.heat").wait_for()
    page.get_by_role("tab", name="Review").click()
    page.locator(".waiting-count", has_text="7 wait").wait_for()
    page.locator(".judge canvas.heat").wait_for()
    page.locator("body").press("r")
    page.locator(".trail .saved").wait_for()
    page.locator(".quality", has_text="1 judged picture").first.wait_for()
    page.locator("body").press("u")
    page.locator(".waiting-count", has_text="7 wait").wait_for()
    page.get_by_role("tab", name="Model").click()
    page.locator("#model .facts.wide dd").first.wait_for()
