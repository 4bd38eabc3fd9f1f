"""The page alone: a stand-in for the service, which tests command, and a headless Chromium."""

from __future__ import annotations

import json
import mimetypes
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from residua.service import schemas
from residua.service.api.page import POLICY
from residua.service.settings import Limits, Retention, ServiceSettings

from .real_service import Service, copied
from .stand_in import Asked, Refusal, Station
from .visiting import PAGE

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("chrome")
_FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--renderer-process-limit=1",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
]


class _Server(ThreadingHTTPServer):
    """One address for all tests, so that the page's files are fetched once; each has a station."""

    daemon_threads = True
    station: Station

    def handle_error(self, *_: Any) -> None:
        """Stay silent where the page gave a request up."""


class _Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, *_: Any) -> None:
        pass

    def _send(self, status: int, kind: str, content: bytes, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(content)

    def _problem(self, status: int, detail: str, **headers: str) -> None:
        said = schemas.Problem(type="/problems/x", title="Refused", status=status, detail=detail)
        self._send(status, "application/problem+json", said.model_dump_json().encode(), **headers)

    def _asked(self) -> Asked:
        address = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        names: list[str] = []
        told = None
        if self.headers.get_content_type() == "multipart/form-data":
            found = re.findall(rb'name="images"; filename="([^\r\n]*)"\r\n', body)
            names = [name.decode() for name in found]
        elif body:
            told = json.loads(body)
        return Asked(self.command, address.path, parse_qs(address.query), names, told)

    def _refuse(self, refusal: Refusal) -> None:
        if refusal.raw is not None:
            self._send(refusal.status, "application/json", refusal.raw)
            return
        after = {} if refusal.retry_after is None else {"Retry_After": refusal.retry_after}
        self._problem(refusal.status, refusal.detail, **after)

    def _file(self, path: str) -> None:
        name = "index.html" if path == "/" else path.removeprefix("/static/")
        kind = mimetypes.guess_type(name)[0] or "text/plain"
        fresh = {"Content_Security_Policy": POLICY, "Cache_Control": "max-age=3600"}
        self._send(200, kind, (PAGE / name).read_bytes(), **fresh)

    def _any(self) -> None:
        station, asked = self.server.station, self._asked()
        if not asked.path.startswith("/v1/"):
            self._file(asked.path)
            return
        station.asked.append(asked)
        if station.gated and station.gated in asked.path:
            station.gate.wait(10)
        for refusal in station.refusals:
            if refusal.method == asked.method and refusal.part in asked.path:
                station.refusals.remove(refusal)
                self._refuse(refusal)
                return
        if station.token and self.headers.get("Authorization") != f"Bearer {station.token}":
            self._problem(401, "The token is not known; ask for another one.")
            return
        try:
            answer = station.answer(asked)
        except KeyError:
            self._problem(404, f"There is nothing at {asked.path}.")
            return
        if answer is None:
            self._send(204, "text/plain", b"")
        elif isinstance(answer, tuple):
            self._send(200, *answer)
        else:
            self._send(200, "application/json", answer.model_dump_json().encode())

    do_GET = do_POST = do_PUT = do_DELETE = _any  # noqa: N815


@pytest.fixture(scope="session")
def _server() -> Iterator[_Server]:
    server = _Server(("127.0.0.1", 0), _Answers)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def station(_server: _Server) -> Iterator[Station]:
    _server.station = Station(url=f"http://127.0.0.1:{_server.server_port}/")
    yield _server.station
    _server.station.gate.set()


@pytest.fixture
def settings(bundle: Path, tmp_path: Path) -> ServiceSettings:
    """What the real service is told; tests replace it where they need another one."""
    return ServiceSettings(
        bundles={"blobs": copied(bundle, tmp_path)},
        data=tmp_path,
        retention=Retention(keep="all"),
        limits=Limits(queue=8),
        reload_seconds=0.05,
        threads=1,
    )


@pytest.fixture
def service(settings: ServiceSettings) -> Iterator[Service]:
    """The real service; a module in which it takes the place of the stand-in says so."""
    running = Service(settings)
    yield running
    running.stop()


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip("there is no Chromium to look at the page with")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright drives Chromium")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=_FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def window(request: pytest.FixtureRequest, chromium: Any) -> Iterator[Any]:
    """A browser: wide with a mouse, or narrow with a finger where a test asks for that."""
    width = getattr(request, "param", 1280)
    narrow = width == 400
    context = chromium.new_context(
        viewport={"width": width, "height": 800},
        has_touch=narrow,
        is_mobile=narrow,
        permissions=["camera"],
        reduced_motion="reduce",
    )
    context.set_default_timeout(5000)
    yield context
    context.close()


@pytest.fixture
def page(window: Any, station: Station) -> Iterator[Any]:
    """An empty tab; what is amiss in it fails the test."""
    tab = window.new_page()
    amiss: list[str] = []

    def listen(message: Any) -> None:
        # The browser itself notes each refusal of the service; the page has to deal with those.
        refused = message.text.startswith("Failed to load resource")
        if message.type in ("error", "warning") and not (
            refused and "/v1/" in message.location["url"]
        ):
            amiss.append(f"{message.text} at {message.location}")

    def watch(asked: Any) -> None:
        if not asked.url.startswith((station.url, f"blob:{station.url}", "data:")):
            amiss.append(f"asked {asked.url}")

    tab.on("console", listen)
    tab.on("pageerror", lambda error: amiss.append(str(error)))
    tab.on("request", watch)
    yield tab
    if tab.url != "about:blank":
        tab.evaluate("localStorage.clear()")
    tab.close()
    assert amiss == []


@pytest.fixture
def until() -> Callable[[Callable[[], object]], None]:
    """Wait for something that the stand-in sees, as long as a page may take."""

    def wait(holds: Callable[[], object]) -> None:
        end = time.monotonic() + 5
        while not holds():
            assert time.monotonic() < end, "it never came true"
            time.sleep(0.01)

    return wait
