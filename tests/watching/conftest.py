"""A ledger, a web server and a watcher in a thread of its own, for the tests of this folder."""

from __future__ import annotations

import contextlib
import io
import json
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from residua.watching.ledger import Ledger
from residua.watching.loop import Tally
from residua.watching.notices import Notices
from residua.watching.watch import watch


def until(holds: Callable[[], Any], seconds: float = 20.0) -> None:
    """Wait for something to hold; fail where it does not."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def encoded(picture: NDArray[np.uint8], kind: str = "PNG") -> bytes:
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, kind)
    return stream.getvalue()


def place(path: Path, content: bytes) -> Path:
    """Put a file there as a careful program does: written beside, then renamed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.new")
    beside.write_bytes(content)
    return beside.rename(path)


def rows_of(out: Path) -> list[dict[str, Any]]:
    """Return the rows of a .jsonl file; a row that is not whole yet is left out."""
    text = out.read_text(encoding="utf-8") if out.exists() else ""
    return [json.loads(line) for line in text.split("\n")[:-1]]


def ids_of(out: Path) -> list[str]:
    return [row["id"] for row in rows_of(out)]


def has_begun(ledger: Path) -> bool:
    try:
        with contextlib.closing(sqlite3.connect(f"file:{ledger}?mode=ro", uri=True)) as base:
            return bool(base.execute("SELECT 1 FROM about WHERE name = 'begun'").fetchall())
    except sqlite3.Error:  # it is not there yet
        return False


class Running:
    """A watcher in a thread."""

    def __init__(self, bundle: Path, source: Path | str, **options: Any) -> None:
        self.said: list[str] = []
        self.tally: Tally | None = None
        self.error: Exception | None = None
        self._stop = threading.Event()
        self._given = (bundle, source), options
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        given, options = self._given
        try:
            self.tally = watch(*given, say=self.said.append, stop=self._stop, **options)
        except Exception as error:
            self.error = error

    def ready(self) -> Running:
        """Wait until a first start listens and has looked through what is there."""
        until(lambda: has_begun(self._given[1]["ledger"]))
        time.sleep(0.1)
        return self

    def failure(self) -> Exception:
        """Wait for the error that ends it, and take it out."""
        until(lambda: self.error is not None)
        error, self.error, self.tally = self.error, None, Tally()
        assert error is not None
        return error

    def stop(self) -> Tally:
        self._stop.set()
        self._thread.join(20)
        if self.error is not None:
            raise self.error
        assert self.tally is not None, "it did not end"
        return self.tally


@pytest.fixture
def running(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Running]]:
    """Start watchers with little to wait for; all are stopped at the end."""
    monkeypatch.setattr("residua.watching.events._WAIT_MS", 20)
    monkeypatch.setattr("residua.watching.loop._LONGEST_WAIT", 0.02)
    monkeypatch.setattr("residua.watching.folder._CHECK_EVERY", 0.1)
    started: list[Running] = []

    def start(source: Path | str, **options: Any) -> Running:
        given = {
            "out": tmp_path / "scores.jsonl",
            "ledger": tmp_path / "ledger.sqlite",
            "settle": 0.05,
            "patience": 1.0,
            "threads": 1,
            "engine": "onnxruntime",
            **options,
        }
        started.append(Running(given.pop("bundle", bundle), source, **given))
        return started[-1]

    yield start
    for one in started:
        one.stop()


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def notices(said: list[str]) -> Notices:
    return Notices(said.append)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    ledger = Ledger(tmp_path / "ledger.sqlite", "a source")
    yield ledger
    ledger.close()


class Request:
    """What a server was asked."""

    def __init__(self, handler: BaseHTTPRequestHandler) -> None:
        self.method, self.path = handler.command, handler.path
        self.headers = handler.headers
        self.body = handler.rfile.read(int(handler.headers.get("Content-Length", 0)))


Answer = tuple[int, dict[str, str], bytes]


class Server:
    """A web server on this machine; what it answers may be changed while it runs."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.answer: Callable[[Request], Answer] = lambda _: (200, {}, b"")
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                request = Request(self)
                outer.requests.append(request)
                status, headers, body = outer.answer(request)
                self.send_response(status)
                for name, value in {"Content-Length": str(len(body)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST  # noqa: N815

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "*")
    server = Server()
    yield server
    server.close()


@pytest.fixture
def other_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    server = Server()
    yield server
    server.close()
