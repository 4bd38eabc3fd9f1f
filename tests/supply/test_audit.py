"""What is made of pip-audit's report, and of its silence."""

from __future__ import annotations

import http.server
import socket
import threading
from collections.abc import Iterator
from datetime import date

import pytest

from supply.audit import ACCEPTED, Accepted, answers, judged
from supply.pins import Pin

TODAY = date(2026, 11, 22)
FOUND = {"id": "PYSEC-1", "aliases": ["CVE-1"], "fix_versions": ["13.0.1"]}
REPORT = {
    "dependencies": [
        {"name": "pillow", "version": "13.0.0", "vulns": [FOUND]},
        {"name": "numpy", "version": "2.4.6", "vulns": []},
        {"name": "private", "skip_reason": "Dependency not found on PyPI"},
    ]
}


def test_a_vulnerability_is_named_with_the_version_that_mends_it() -> None:
    assert judged(REPORT, {}, TODAY) == (["pillow 13.0.0: PYSEC-1, CVE-1; mended in 13.0.1"], 2)


@pytest.mark.parametrize("name", ["PYSEC-1", "CVE-1"])
def test_an_accepted_one_passes_until_its_day(name: str) -> None:
    accepted = {name: Accepted("it is not called", date(2026, 12, 1))}
    assert judged(REPORT, accepted, TODAY) == ([], 2)
    assert len(judged(REPORT, accepted, date(2026, 12, 1))[0]) == 1


def test_what_was_skipped_does_not_count_as_looked_up() -> None:
    skipped = {"dependencies": [{"name": "pillow", "skip_reason": "not found"}]}
    assert judged(skipped, {}, TODAY) == ([], 0)


def test_what_is_accepted_has_a_reason() -> None:
    assert all(one.reason for one in ACCEPTED.values())


@pytest.fixture
def service() -> Iterator[tuple[str, dict[str, bytes]]]:
    pages: dict[str, bytes] = {}

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path in pages else 404)
            self.end_headers()
            self.wfile.write(pages.get(self.path, b""))

        def log_message(self, *_: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", pages
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("page", "answered"),
    [(b'{"vulnerabilities": []}', True), (b"{}", False), (b"<html>", False), (None, False)],
)
def test_a_service_without_vulnerabilities_counts_as_silent(
    page: bytes | None, answered: bool, service: tuple[str, dict[str, bytes]]
) -> None:
    address, pages = service
    if page is not None:
        pages["/pip/26.3/json"] = page
    assert answers(Pin("pip", "26.3", frozenset()), address) == answered


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"])
def test_a_service_that_hangs_up_counts_as_silent(said: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def hang_up() -> None:
            caller, _ = server.accept()
            with caller:
                caller.recv(1000)
                caller.sendall(said)

        thread = threading.Thread(target=hang_up)
        thread.start()
        address = f"http://127.0.0.1:{server.getsockname()[1]}"
        assert not answers(Pin("pip", "26.3", frozenset()), address)
        thread.join()


def test_a_service_that_cannot_be_reached_counts_as_silent() -> None:
    assert not answers(Pin("pip", "26.3", frozenset()), "http://127.0.0.1:9")
