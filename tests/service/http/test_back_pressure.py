from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

Run = Callable[..., Any]
Running = Any


class Slow:
    """Makes a service's model wait until it may go on."""

    def __init__(self, running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
        self.may_go, self.begun = threading.Event(), threading.Semaphore(0)
        compute = running.station.models["blobs"].compute

        def wait(images: Any, *, at_once: int) -> Any:
            self.begun.release()
            assert self.may_go.wait(20)
            return compute(images, at_once=at_once)

        monkeypatch.setattr(running.station.models["blobs"], "compute", wait)


def send(running: Running, content: bytes) -> httpx.Response:
    return httpx.post(f"{running.url}/v1/models/blobs/score", files={"images": content}, timeout=20)


def wait_for(condition: Any) -> None:
    until = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.005)


def test_a_full_queue_sends_away_with_429_and_serves_all_it_took(
    run: Run, normal: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    running = run(limits={"queue": 4})
    slow = Slow(running, monkeypatch)
    with ThreadPoolExecutor(8) as pool:
        taken = [pool.submit(send, running, normal[n]) for n in range(4)]
        wait_for(lambda: running.station.admission.pictures == 4)
        refused = send(running, normal[4])
        slow.may_go.set()
        assert [one.result().status_code for one in taken] == [200] * 4
    assert refused.status_code == 429
    assert int(refused.headers["Retry-After"]) >= 1
    assert refused.json()["type"] == "/problems/too-busy"
    assert send(running, normal[4]).status_code == 200


def test_bodies_that_would_fill_the_memory_are_sent_away(
    run: Run, normal: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    running = run(limits={"bytes_in_flight": 5_000})
    slow = Slow(running, monkeypatch)
    padded = normal[0] + b"\0" * 3_000
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(send, running, padded)
        wait_for(lambda: running.station.admission.bytes > 3_000)
        assert send(running, padded).status_code == 429
        slow.may_go.set()
        assert first.result().status_code == 200
    assert send(running, padded).status_code == 200


def test_a_picture_whose_turn_does_not_come_gets_503(
    run: Run, normal: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    running = run(limits={"queue_seconds": 0.1}, threads=1)
    slow = Slow(running, monkeypatch)
    with ThreadPoolExecutor(3) as pool:
        # One more than there are processors is computed.
        first = []
        for n in range(2):
            first.append(pool.submit(send, running, normal[n]))
            assert slow.begun.acquire(timeout=10)
        second = pool.submit(send, running, normal[2])
        wait_for(lambda: running.station.batcher.waiting == 1)
        time.sleep(0.15)
        slow.may_go.set()
        assert [one.result().status_code for one in first] == [200, 200]
        late = second.result()
    assert late.status_code == 503
    assert late.json()["type"] == "/problems/waited-too-long"
    assert int(late.headers["Retry-After"]) >= 1


def test_what_was_taken_is_answered_when_the_service_stops(
    run: Run, normal: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    running = run()
    slow = Slow(running, monkeypatch)
    with ThreadPoolExecutor(6) as pool:
        taken = [pool.submit(send, running, normal[n]) for n in range(6)]
        wait_for(lambda: running.station.admission.pictures == 6)
        running.server.should_exit = True
        wait_for(lambda: not running.server.servers[0].is_serving())
        slow.may_go.set()
        answers = [one.result() for one in taken]
    assert [one.status_code for one in answers] == [200] * 6
    assert all(one.json()["results"][0]["kept"] is not None for one in answers)
    running.thread.join(20)
    with pytest.raises(httpx.ConnectError):
        send(running, normal[0])
