"""The service as a process: killed, told to stop, with its database away or its disk full."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from residua.service.store.store import ReviewStore

COMMAND = "from residua.cli import main; main()"
Start = Callable[..., Any]


class Process:
    """`residua serve` in a process of its own."""

    def __init__(self, *arguments: object) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", COMMAND, "serve", *map(str, arguments), "--port", "0"],
            stderr=subprocess.PIPE,
            text=True,
        )
        self.said: list[str] = []
        self.url = ""
        self._serving = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        assert self._serving.wait(30), self.said

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said.append(line)
            found = re.search(r"(http://127[\d.:]+)", line)
            if found:
                self.url = found[1]
                self._serving.set()

    def send(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        code = self.process.wait(30)
        self._reader.join(10)
        return code


@pytest.fixture
def start() -> Iterator[Start]:
    begun: list[Process] = []

    def begin(*arguments: object) -> Process:
        begun.append(Process(*arguments))
        return begun[-1]

    yield begin
    for one in begun:
        one.process.kill()
        one.process.wait(10)
        one._reader.join(10)
        assert one.process.stderr is not None
        one.process.stderr.close()


def post(client: httpx.Client, *contents: bytes) -> Any:
    return client.post("/v1/models/blobs/score", files=[("images", one) for one in contents])


def test_after_kill_9_every_acknowledged_review_is_there(
    start: Start, bundle: Path, tmp_path: Path, normal: list[bytes]
) -> None:
    service = start(bundle, "--keep", "all", "--data", tmp_path)
    said: dict[int, bool] = {}

    def review(seed: int) -> None:
        with httpx.Client(base_url=service.url, timeout=10) as client:
            for round_ in range(10_000):
                try:
                    picture = normal[(seed * 37 + round_) % len(normal)]
                    (result,) = post(client, picture).json()["results"]
                    correct = bool((seed + round_) % 2)
                    answer = client.put(
                        f"/v1/reviews/{result['kept']}/judgement", json={"correct": correct}
                    )
                except httpx.HTTPError:
                    return
                if answer.status_code == 200:
                    said[result["kept"]] = correct

    threads = [threading.Thread(target=review, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    until = time.monotonic() + 30
    while len(said) < 60:
        assert time.monotonic() < until, service.said
        time.sleep(0.01)
    assert service.send(signal.SIGKILL) == -signal.SIGKILL
    for thread in threads:
        thread.join(20)
    assert len(said) >= 60
    with closing(ReviewStore.open(folder=tmp_path)) as store:
        kept = {id: store.get(id).correct for id in said}
        assert all(store.content(id)[1] for id in said)
    assert kept == said


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_told_to_stop_it_answers_what_it_took_and_ends_well(
    start: Start, bundle: Path, tmp_path: Path, normal: list[bytes], number: signal.Signals
) -> None:
    service = start(bundle, "--keep", "all", "--data", tmp_path, "--log-format", "json")
    statuses: list[int | str] = []

    def load() -> None:
        with httpx.Client(base_url=service.url, timeout=20) as client:
            while True:
                try:
                    statuses.append(post(client, *normal[:8]).status_code)
                except httpx.ConnectError:
                    return
                except httpx.HTTPError as error:
                    statuses.append(repr(error))
                    return

    threads = [threading.Thread(target=load) for _ in range(3)]
    for thread in threads:
        thread.start()
    until = time.monotonic() + 20
    while len(statuses) < 10:
        assert time.monotonic() < until, service.said
        time.sleep(0.01)
    assert service.send(number) == 0
    for thread in threads:
        thread.join(20)
    answered = [one for one in statuses if one == 200]
    # A request may meet a connection that is being closed, before anything of it was taken.
    broken = [one for one in statuses if one != 200]
    assert len(answered) >= 10
    assert len(broken) <= len(threads)
    assert '"event": "stopped"' in service.said[-1]
    with closing(ReviewStore.open(folder=tmp_path)) as store:
        assert store.summary().kept >= 8 * len(answered)


def test_a_port_that_is_taken_is_said(bundle: Path, start: Start) -> None:
    service = start(bundle, "--keep", "off")
    port = httpx.URL(service.url).port
    second = subprocess.run(
        [sys.executable, "-c", COMMAND, "serve", str(bundle), "--port", str(port)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert second.returncode == 1
    assert "already in use" in second.stderr
    assert "Traceback" not in second.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["none.residua"], "there is no bundle"),
        (["BUNDLE", "BUNDLE"], "two models are called"),
        (["BUNDLE", "--keep", "some"], "write off, flagged or all"),
        (["BUNDLE", "--tokens", "none"], "cannot be read"),
        (["BUNDLE", "--database", "mysql://host/name"], "postgresql"),
        (["BUNDLE", "--log-format", "xml"], "write text or json"),
        (["BUNDLE", "--tls-key", "none"], "belong together"),
        (["BUNDLE", "--tls-key", "none", "--tls-cert", "none"], "there is no file none"),
        (["BUNDLE", "--tls-key", __file__, "--tls-cert", __file__], "as certificate and key"),
        (["BUNDLE", "--keep-days", "1e12"], "36500"),
        (["BUNDLE", "--keep-gib", "nan"], "keep-gib"),
        (["BUNDLE", "--max-mib", "inf"], "max-mib"),
        (["a/b=BUNDLE"], "no / in the name"),
        (["BUNDLE", "--allow-host", "https://here.example/"], "give a name alone"),
        (["BUNDLE", "--database", "postgresql://u:p@s/s:1%@127.0.0.1/r"], "more than one @"),
    ],
)
def test_what_cannot_be_served_is_said_in_a_line(
    bundle: Path, tmp_path: Path, arguments: list[str], said: str
) -> None:
    command = [str(bundle) if one == "BUNDLE" else one for one in arguments]
    done = subprocess.run(
        [sys.executable, "-c", COMMAND, "serve", *command, "--data", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode in (1, 2)
    assert said in done.stderr
    assert "Traceback" not in done.stderr
