"""A service that listens on a real port, and pictures to send it."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import uvicorn
from numpy.typing import NDArray
from PIL import Image

from residua.service.server import config_for
from residua.service.settings import Limits, Retention, ServiceSettings
from residua.service.station import Station


@dataclass
class Running:
    """A service in a thread."""

    url: str
    server: uvicorn.Server
    station: Station
    thread: threading.Thread
    client: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        self.client = httpx.Client(base_url=self.url, timeout=20)

    @property
    def address(self) -> tuple[str, int]:
        url = httpx.URL(self.url)
        return url.host, url.port or 80

    def score(self, *contents: bytes, name: str = "blobs", **params: Any) -> httpx.Response:
        """Send pictures as a form."""
        files = [("images", (f"{n}.png", content)) for n, content in enumerate(contents)]
        return self.client.post(f"/v1/models/{name}/score", files=files, params=params)

    def stop(self) -> None:
        self.client.close()
        self.server.should_exit = True
        self.thread.join(20)
        assert not self.thread.is_alive()


Run = Callable[..., Running]


def begin(settings: ServiceSettings) -> Running:
    """Start a service on a free port."""
    config = config_for(settings, host="127.0.0.1", port=0)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    until = time.monotonic() + 20
    while not server.started:
        assert time.monotonic() < until
        assert thread.is_alive()
        time.sleep(0.005)
    port = server.servers[0].sockets[0].getsockname()[1]
    station: Station = config.app.state.station  # type: ignore[union-attr]
    return Running(f"http://127.0.0.1:{port}", server, station, thread)


@pytest.fixture(scope="module")
def run_once(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A service for a whole module, which keeps all and asks for a token."""
    folder = tmp_path_factory.mktemp("data")
    tokens = folder / "tokens"
    tokens.write_text("admin tester 0123456789abcdef")
    tokens.chmod(0o600)
    running = begin(
        ServiceSettings(
            bundles={"blobs": bundle},
            data=folder,
            tokens=tokens,
            retention=Retention(keep="all"),
        )
    )
    running.client.headers["Authorization"] = "Bearer 0123456789abcdef"
    yield running
    running.stop()


@pytest.fixture
def run(bundle: Path, tmp_path: Path) -> Iterator[Run]:
    """Start a service with the bundle of blobs; `limits` and `retention` as dicts."""
    begun: list[Running] = []

    def start(
        limits: dict[str, Any] | None = None,
        retention: dict[str, Any] | None = None,
        **settings: Any,
    ) -> Running:
        options: dict[str, Any] = {
            "bundles": {"blobs": bundle},
            "data": tmp_path / "data",
            "limits": Limits(**(limits or {})),
            "retention": Retention(**(retention or {"keep": "all"})),
            **settings,
        }
        begun.append(begin(ServiceSettings(**options)))
        return begun[-1]

    yield start
    for one in begun:
        one.stop()


def encoded(pixels: NDArray[np.uint8], form: str = "PNG") -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, form)
    return file.getvalue()


@pytest.fixture(scope="session")
def normal(blobs: NDArray[np.uint8]) -> list[bytes]:
    """Normal pictures as PNG."""
    return [encoded(one) for one in blobs]


@pytest.fixture(scope="session")
def odd(stripes: NDArray[np.uint8]) -> list[bytes]:
    """Anomalous pictures as PNG."""
    return [encoded(one) for one in stripes]
