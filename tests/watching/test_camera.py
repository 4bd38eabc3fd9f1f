from __future__ import annotations

import base64
import contextlib
import itertools
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.watching.conftest import Request, Running, Server, encoded, rows_of, until

from residua.errors import ConfigurationError, UnreadableFile
from residua.watching import camera
from residua.watching.camera import CameraSource
from residua.watching.ledger import Ledger
from residua.watching.notices import Notices
from residua.watching.source import Candidate

Start = Callable[..., Running]


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "scores.jsonl"


@pytest.fixture
def pictures(blobs: NDArray[np.uint8], stripes: NDArray[np.uint8]) -> list[bytes]:
    return [encoded(one, "JPEG") for one in (blobs[0], stripes[0], blobs[1])]


def shows(server: Server, content: bytes) -> None:
    server.answer = lambda _: (200, {"Content-Type": "image/jpeg"}, content)


def test_each_new_snapshot_is_scored_and_one_like_the_last_is_not(
    running: Start, server: Server, pictures: list[bytes], out: Path
) -> None:
    shows(server, pictures[0])
    watcher = running(f"{server.url}/snapshot.jpg", every=0.05)
    until(lambda: len(server.requests) >= 4)
    shows(server, pictures[1])
    until(lambda: len(rows_of(out)) == 2)
    shows(server, pictures[0])
    until(lambda: len(rows_of(out)) == 3)
    assert watcher.stop().scored == 3
    assert [row["anomalous"] for row in rows_of(out)] == [False, True, False]
    assert len({row["id"] for row in rows_of(out)}) == 3


def test_the_last_snapshot_is_remembered_through_a_restart(
    running: Start, server: Server, pictures: list[bytes], out: Path
) -> None:
    shows(server, pictures[0])
    first = running(server.url, every=0.05)
    until(lambda: len(rows_of(out)) == 1)
    first.stop()
    asked = len(server.requests)
    second = running(server.url, every=0.05)
    until(lambda: len(server.requests) >= asked + 3)
    assert second.stop().scored == 0


def test_a_camera_that_is_away_is_said_once_and_asked_less_and_less(
    running: Start, server: Server, pictures: list[bytes], out: Path
) -> None:
    server.answer = lambda _: (503, {}, b"")
    watcher = running(server.url, every=0.05)
    until(lambda: len(server.requests) >= 3)
    shows(server, pictures[0])
    until(lambda: len(rows_of(out)) == 1)
    away, back = watcher.said
    assert "gives no picture: it answers 503" in away
    assert "answers again" in back


def test_the_pause_grows_while_it_is_away(server: Server, ledger: Ledger, notices: Notices) -> None:
    server.answer = lambda _: (503, {}, b"")
    source = CameraSource(server.url, ledger, notices, every=1.0, timeout=1.0)
    now, asked = 0.0, []
    for _ in range(5):
        assert source.take(now, 1) == []
        source.wake.wait(5)
        source.wake.clear()
        assert source.take(now, 1) == []
        asked.append(now)
        now = source.next_take(now)
    assert [b - a for a, b in itertools.pairwise(asked)] == [2.0, 4.0, 8.0, 16.0]


def test_a_page_instead_of_a_picture_is_no_row(running: Start, server: Server, out: Path) -> None:
    server.answer = lambda _: (200, {"Content-Type": "text/html"}, b"<html>log in</html>")
    watcher = running(server.url, every=0.05)
    until(lambda: watcher.said)
    assert "no picture (text/html)" in watcher.said[0]
    assert watcher.stop().failed == 0


def test_a_damaged_snapshot_is_one_row(
    running: Start, server: Server, pictures: list[bytes], out: Path
) -> None:
    shows(server, pictures[0][:-20])
    running(server.url, every=0.05)
    until(lambda: len(server.requests) >= 5)
    (row,) = rows_of(out)
    assert "cut short or corrupt" in row["error"]


def test_an_answer_without_end_is_broken_off(
    running: Start, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(camera, "MAX_BYTES", 10_000)
    shows(server, bytes(50_000))
    watcher = running(server.url, every=0.05)
    until(lambda: watcher.said)
    assert "more than 10,000 bytes" in watcher.said[0]


def test_a_camera_that_does_not_answer_holds_up_nothing(running: Start, server: Server) -> None:
    def slow(_: Request) -> tuple[int, dict[str, str], bytes]:
        time.sleep(3)
        return 200, {}, b""

    server.answer = slow
    watcher = running(server.url, every=0.05, timeout=30.0)
    until(lambda: server.requests)
    begun = time.monotonic()
    watcher.stop()
    assert time.monotonic() - begun < 2


def test_a_user_and_password_answer_the_camera_and_are_never_said(
    running: Start, server: Server, pictures: list[bytes], out: Path
) -> None:
    expected = "Basic " + base64.b64encode(b"eve:p@ss").decode()

    def guarded(request: Request) -> tuple[int, dict[str, str], bytes]:
        if request.headers.get("Authorization") == expected:
            return 200, {}, pictures[0]
        return 401, {"WWW-Authenticate": 'Basic realm="camera"'}, b""

    server.answer = guarded
    watcher = running(server.url.replace("://", "://eve:p%40ss@") + "/snap.jpg", every=0.05)
    until(lambda: len(rows_of(out)) == 1)
    watcher.stop()
    server.answer = lambda _: (401, {"WWW-Authenticate": 'Basic realm="camera"'}, b"")
    watcher = running(server.url.replace("://", "://eve:p%40ss@") + "/snap.jpg", every=0.05)
    until(lambda: watcher.said)
    assert "eve" not in " ".join([*watcher.said, out.read_text(encoding="utf-8")])
    assert "p@ss" not in " ".join(watcher.said)
    assert b"p@ss" not in (out.parent / "ledger.sqlite").read_bytes()
    assert b"p%40ss" not in (out.parent / "ledger.sqlite").read_bytes()


def test_no_redirect_to_another_host_is_followed(
    running: Start, server: Server, other_server: Server
) -> None:
    server.answer = lambda _: (302, {"Location": f"{other_server.url}/x.jpg"}, b"")
    watcher = running(server.url, every=0.05)
    until(lambda: watcher.said)
    assert other_server.requests == []


def test_once_asks_once(running: Start, server: Server, pictures: list[bytes], out: Path) -> None:
    shows(server, pictures[0])
    watcher = running(server.url, once=True)
    until(lambda: watcher.tally is not None)
    assert len(server.requests) == len(rows_of(out)) == 1


def test_once_with_the_camera_away_is_an_error(running: Start, server: Server) -> None:
    server.answer = lambda _: (503, {}, b"")
    assert isinstance(running(server.url, once=True).failure(), UnreadableFile)


@pytest.mark.parametrize("url", ["ftp://camera/x.jpg", "file:///etc/passwd", "rtsp://camera/1"])
def test_only_http_and_https_are_asked(url: str, ledger: Ledger, notices: Notices) -> None:
    with pytest.raises(ConfigurationError, match="wanted an address such as"):
        CameraSource(url, ledger, notices, every=1.0, timeout=1.0)


def asked_once(source: CameraSource, now: float) -> list[Candidate]:
    """Let the camera be asked, and return what came of it."""
    assert source.take(now, 1) == []
    source.wake.wait(5)
    source.wake.clear()
    return source.take(now, 1)


def test_a_camera_that_asks_for_a_password_may_fail_as_often_as_it_likes(
    server: Server, ledger: Ledger, notices: Notices, pictures: list[bytes]
) -> None:
    works = False

    def guarded(request: Request) -> tuple[int, dict[str, str], bytes]:
        if "Authorization" not in request.headers:
            return 401, {"WWW-Authenticate": 'Digest realm="camera", nonce="n", qop="auth"'}, b""
        return (200, {}, pictures[0]) if works else (503, {}, b"")

    server.answer = guarded
    source = CameraSource(
        server.url, ledger, notices, every=1.0, timeout=5.0, login=("eve", "p@ss")
    )
    now = 0.0
    for _ in range(9):
        assert asked_once(source, now) == []
        now = source.next_take(now)
    works = True
    assert len(asked_once(source, now)) == 1


def test_an_answer_that_trickles_is_cut_off_and_another_one_asked_for(
    running: Start, server: Server
) -> None:
    cut = threading.Event()
    connections: list[socket.socket] = []

    def trickle(line: socket.socket) -> None:
        with contextlib.suppress(OSError):
            line.sendall(b"HTTP/1.1 200 OK\r\nX-Long: ")
            while True:
                line.sendall(b"x")
                time.sleep(0.02)
        cut.set()

    def serve(listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                connections.append(listener.accept()[0])
                threading.Thread(target=trickle, args=connections[-1:], daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, args=(listener,), daemon=True).start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        watcher = running(url, every=0.05, timeout=0.2)
        assert cut.wait(10)
        until(lambda: len(connections) > 1)
        assert "does not come to an end" in watcher.said[0]
        watcher.stop()
    for line in connections:
        line.close()


def test_what_follows_the_host_is_neither_stored_nor_said(
    running: Start, server: Server, pictures: list[bytes], out: Path
) -> None:
    shows(server, pictures[0])
    watcher = running(f"{server.url}/snap?user=eve&password=hunter2", every=0.05)
    until(lambda: len(rows_of(out)) == 1)
    watcher.stop()
    assert b"hunter2" not in (out.parent / "ledger.sqlite").read_bytes()
    error = running(f"{server.url}/snap?user=eve&password=hunter3").failure()
    assert "wanted one of http://127.0.0.1" in str(error)
    assert "hunter3" not in str(error)
