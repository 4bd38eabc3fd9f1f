"""The service killed again and again while it is told what is right: no answer was a lie."""

from __future__ import annotations

import json
import re
import sqlite3
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

from reliability.check import Check, Finding
from reliability.killing import NotKept, Room, kill, moments, write_pictures
from reliability.kills import model_for
from residua.service.store.store import ReviewStore

_MOMENTS, _SEED = 10, 20_261_123
_CLIENTS = 4
# Seconds after its first answer in which a service is killed.
_SPAN = 1.5
# Seconds after which a client that was refused asks again.
_PAUSE = 0.1
# Seconds after which a service that does not begin to serve hangs.
_PATIENCE = 120

Acknowledged = dict[int, bool]


def checks() -> Iterator[Check]:
    """Yield the one check."""
    yield Check(
        "kill-serve",
        "every review that a killed `serve` had acknowledged is in its store, with its picture",
        _tried,
    )


def _tried() -> Finding:
    with tempfile.TemporaryDirectory(prefix="reliability-") as name:
        home = Path(name)
        kills, reviews, pictures = killed_again_and_again(home, model_for(home), _MOMENTS)
    return Finding(
        kept=True,
        figures=f"{kills} kills, {reviews:,} acknowledged reviews of {pictures:,} kept pictures: "
        f"none lost, the database whole",
    )


def killed_again_and_again(home: Path, model: Path, times: int) -> tuple[int, int, int]:
    """Serve, review from several clients and kill, so many times with one store.

    Returns
    -------
    kills, reviews, pictures : int
        How often it was killed, reviews it had acknowledged, pictures that the store holds.

    Raises
    ------
    NotKept
        A review or a picture is lost.
    """
    room = Room(home / "serve")
    contents = [path.read_bytes() for path in sorted(write_pictures(home / "sent", 200).iterdir())]
    said: Acknowledged = {}
    for number, moment in enumerate(moments(times, _SPAN, _SEED)):
        _served_until_killed(room, model, contents, said, moment, number)
        with closing(ReviewStore.open(folder=room.folder)) as store:
            lost = [id for id, correct in said.items() if store.get(id).correct != correct]
            empty = [id for id in said if not store.content(id)[1]]
            kept = store.summary().kept
        if lost or empty:
            raise NotKept(
                f"kill {number}, {moment:.3f} s after the first answer: of {len(said)} "
                f"acknowledged reviews {len(lost)} are lost, and {len(empty)} lack their picture"
            )
        with closing(sqlite3.connect(room.folder / "reviews.sqlite")) as base:
            (whole,) = base.execute("PRAGMA integrity_check").fetchone()
        if whole != "ok":
            raise NotKept(f"kill {number}: the database is damaged: {whole}")
    if not said:
        raise NotKept("not one review was acknowledged: nothing was tried")
    return times, len(said), kept


def _served_until_killed(
    room: Room,
    model: Path,
    contents: list[bytes],
    said: Acknowledged,
    moment: float,
    number: int,
) -> None:
    given = ("serve", model, "--keep", "all", "--data", room.folder, "--port", 0)
    process = room.start(given)
    try:
        url = _url_of(process)
        answered, refused = threading.Event(), list[int]()
        clients = [
            threading.Thread(
                target=_review, args=(url, contents, said, refused, answered, number + one)
            )
            for one in range(_CLIENTS)
        ]
        for client in clients:
            client.start()
        if not answered.wait(_PATIENCE):
            raise NotKept(
                f"start {number}: no review was acknowledged in {_PATIENCE} s; answers other than "
                f"200: {sorted(set(refused))}"
            )
        threading.Event().wait(moment)
    finally:
        kill(process)
    for client in clients:
        client.join(_PATIENCE)


def _review(
    url: str,
    contents: list[bytes],
    said: Acknowledged,
    refused: list[int],
    answered: threading.Event,
    seed: int,
) -> None:
    """Send pictures and judge them until the service is gone; a refusal is noted."""
    ask = _asking(url)
    for turn in range(1_000_000):
        picture, correct = contents[(37 * seed + turn) % len(contents)], bool((seed + turn) % 2)
        try:
            (result,) = ask("POST", "models/m/score", picture, "image/png")["results"]
            id = result["kept"]
            judgement = json.dumps({"correct": correct}).encode()
            ask("PUT", f"reviews/{id}/judgement", judgement, "application/json")
        except HTTPError as error:  # it still answers
            error.close()
            refused.append(error.code)
            threading.Event().wait(_PAUSE)
            continue
        except (OSError, HTTPException, ValueError):
            return
        said[id] = correct
        answered.set()


def _asking(url: str) -> Callable[[str, str, bytes, str], Any]:
    opener = build_opener(ProxyHandler({}))

    def ask(method: str, path: str, body: bytes, kind: str) -> Any:
        request = Request(
            f"{url}/v1/{path}", data=body, method=method, headers={"Content-Type": kind}
        )
        with opener.open(request, timeout=30) as answer:
            return json.loads(answer.read())

    return ask


def _url_of(process: subprocess.Popen[str]) -> str:
    assert process.stderr is not None
    said: list[str] = []
    for line in process.stderr:
        said.append(line)
        found = re.search(r"http://127[\d.:]+", line)
        if found:
            # What it says later is read too, or it would wait for us.
            threading.Thread(target=process.stderr.read, daemon=True).start()
            return found[0]
    raise NotKept(f"residua serve ends with {process.wait()}: {''.join(said)[-2000:]}")
