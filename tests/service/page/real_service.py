"""The service itself, which tests start, hold up, stop and start again."""

from __future__ import annotations

import io
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import uvicorn
from numpy.typing import NDArray
from PIL import Image

from residua.service.server import config_for
from residua.service.settings import ServiceSettings
from residua.service.station import Station


class Hold:
    """Lets a model compute some pictures, and then makes it wait."""

    def __init__(self, free: int) -> None:
        self.free = free
        self.may_go, self.waits = threading.Event(), threading.Event()
        self._count = threading.Lock()

    def wait(self, pictures: int) -> None:
        with self._count:
            self.free -= pictures
        if self.free < 0 and not self.may_go.is_set():
            self.waits.set()
            assert self.may_go.wait(30)


class Service:
    """A service in a thread of its own; what it keeps outlives it."""

    def __init__(self, settings: ServiceSettings) -> None:
        self.settings = settings
        self._port = 0
        self._server: uvicorn.Server
        self._thread: threading.Thread
        self.start()

    def start(self) -> None:
        config = config_for(self.settings, host="127.0.0.1", port=self._port)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        end = time.monotonic() + 30
        while not self._server.started:
            assert time.monotonic() < end
            assert self._thread.is_alive()
            time.sleep(0.005)
        self._port = self._server.servers[0].sockets[0].getsockname()[1]
        self.station: Station = config.app.state.station  # type: ignore[union-attr]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}/"

    @property
    def bundle(self) -> Path:
        return self.settings.bundles["blobs"]

    def tell_to_stop(self) -> None:
        """Have it take no more requests, and finish those it took."""
        self._server.should_exit = True
        end = time.monotonic() + 10
        while self._listens():
            assert time.monotonic() < end
            time.sleep(0.01)

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(30)
        assert not self._thread.is_alive()

    @contextmanager
    def held(self, monkeypatch: pytest.MonkeyPatch, *, free: int = 0) -> Iterator[Hold]:
        """Have the model wait after ``free`` pictures, until it may go on."""
        hold = Hold(free)
        model = self.station.models["blobs"]
        compute = model.compute

        def slow(images: Any, **how: Any) -> Any:
            hold.wait(len(images))
            return compute(images, **how)

        monkeypatch.setattr(model, "compute", slow)
        try:
            yield hold
        finally:
            hold.may_go.set()

    def score(self, pictures: NDArray[np.uint8], name: str = "kept") -> None:
        """Have pictures scored, and kept, without the page."""
        sent = [("images", (f"{name}-{k}.png", png(one))) for k, one in enumerate(pictures)]
        answer = httpx.post(f"{self.url}v1/models/blobs/score", files=sent, timeout=30)
        assert answer.status_code == 200, answer.text

    def judge(self, count: int, *, correct: bool = True) -> None:
        """Judge the next pictures in random order, without the page."""
        with httpx.Client(base_url=self.url, timeout=30) as client:
            queue = client.get("v1/reviews/queue?model=blobs&order=random&limit=100").json()
            for one in queue["items"][:count]:
                said = {"correct": correct, "order": "random"}
                client.put(f"v1/reviews/{one['id']}/judgement", json=said).raise_for_status()

    def _listens(self) -> bool:
        return any(server.is_serving() for server in self._server.servers)


def copied(bundle: Path, folder: Path, name: str = "blobs") -> Path:
    """A bundle that a test may replace."""
    return Path(shutil.copytree(bundle, folder / f"{name}.residua"))


def png(pixels: NDArray[np.uint8]) -> bytes:
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "PNG")
    return content.getvalue()


def files(kind: str, pictures: NDArray[np.uint8]) -> list[dict[str, Any]]:
    """Pictures as files that Playwright gives to a page."""
    return [
        {"name": f"{kind}-{k}.png", "mimeType": "image/png", "buffer": png(pixels)}
        for k, pixels in enumerate(pictures)
    ]


def send(page: Any, *given: dict[str, Any]) -> None:
    page.set_input_files("input[type=file]", list(given))


def progress(page: Any, words: str) -> None:
    page.locator(".progress-said", has_text=words).wait_for()


def look_again(page: Any) -> None:
    """Have the page look at the service at once, as it does when a person comes back to it."""
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
