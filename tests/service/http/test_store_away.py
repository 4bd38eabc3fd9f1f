"""The database goes and comes back; the disk is full: scoring goes on, and nothing is pretended."""

from __future__ import annotations

import socket
import sqlite3
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from sqlalchemy import event
from tests.conftest import finished

from residua.errors import ConfigurationError, StoreFull, StoreUnavailable
from residua.service.forms import Upload
from residua.service.pictures import Decoded
from residua.service.schemas import PictureResult
from residua.service.scoring import _new_picture
from residua.service.store.store import ReviewStore

Run = Callable[..., Any]


def wait_until(condition: Callable[[], bool], seconds: float = 20) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.05)


def test_the_database_goes_and_comes_back(
    run: Run, postgres: Any, postgres_url: str, odd: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("residua.service.keeping._RESPITE", 0.2)
    running = run(database=postgres_url)
    (first,) = running.score(odd[0]).json()["results"]
    judged = running.client.put(f"/v1/reviews/{first['kept']}/judgement", json={"correct": False})
    assert judged.status_code == 200
    postgres.stop()
    try:
        (result,) = running.score(odd[1]).json()["results"]
        assert result["verdict"] == "anomalous"
        assert result["kept"] is None
        assert "127.0.0.1" in result["keeping_failed"]
        answer = running.client.put(
            f"/v1/reviews/{first['kept']}/judgement", json={"correct": True}
        )
        assert answer.status_code == 503
        assert int(answer.headers["Retry-After"]) >= 1
        assert answer.json()["type"] == "/problems/store-unavailable"
        assert running.client.get("/readyz").json()["status"] == "degraded"
        assert running.client.get("/healthz").status_code == 200
        assert "s3cret" not in answer.text + result["keeping_failed"]
    finally:
        postgres.start()
    wait_until(lambda: running.score(odd[2]).json()["results"][0]["kept"] is not None)
    assert running.client.get("/readyz").json()["status"] == "ok"
    assert running.client.get(f"/v1/reviews/{first['kept']}").json()["correct"] is False


def test_a_service_that_starts_while_the_database_is_away_finds_it_later(
    run: Run, postgres: Any, postgres_url: str, odd: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("residua.service.keeping._RESPITE", 0.2)
    postgres.stop()
    try:
        running = run(database=postgres_url)
        (result,) = running.score(odd[0]).json()["results"]
        assert result["verdict"] == "anomalous"
        assert result["kept"] is None
    finally:
        postgres.start()
    wait_until(lambda: running.score(odd[1]).json()["results"][0]["kept"] is not None)


def test_a_full_disk_stops_keeping_and_nothing_else(
    run: Run, normal: list[bytes], odd: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("residua.service.keeping._RESPITE", 0.0)
    running = run()
    (first,) = running.score(odd[0]).json()["results"]
    database = running.station.keeper.store._database

    with database.writing() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()

    def full(connection: Any, _: Any) -> None:
        connection.execute(f"PRAGMA max_page_count = {pages}")

    engine = database.engine
    event.listen(engine, "connect", full)
    engine.dispose()
    noise = bytes(200_000)
    answer = running.score(odd[1] + noise)
    (result,) = answer.json()["results"]
    assert result["verdict"] == "anomalous"
    assert result["kept"] is None
    assert "full" in result["keeping_failed"] or "space" in result["keeping_failed"]
    assert running.client.get("/readyz").json()["status"] == "degraded"
    event.remove(engine, "connect", full)
    engine.dispose()
    assert running.score(odd[2]).json()["results"][0]["kept"] is not None
    assert running.client.get(f"/v1/reviews/{first['kept']}").status_code == 200


def test_a_folder_that_cannot_be_written_is_said_at_the_start(run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(ConfigurationError, match="cannot be made"):
        run(data=tmp_path / "file" / "data")


def test_a_disk_that_is_full_at_the_start_keeps_nobody_from_scoring(
    run: Run, odd: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("residua.service.keeping._RESPITE", 0.2)
    opened = ReviewStore.open

    def full(*_: Any, **__: Any) -> None:
        raise StoreFull("the disk is full")

    monkeypatch.setattr(ReviewStore, "open", full)
    running = run()
    (result,) = running.score(odd[0]).json()["results"]
    assert result["verdict"] == "anomalous"
    assert result["keeping_failed"] == "the disk is full"
    monkeypatch.setattr(ReviewStore, "open", opened)
    wait_until(lambda: running.score(odd[1]).json()["results"][0]["kept"] is not None)


def test_failures_do_not_grow_with_the_requests_that_meet_them(
    run: Run, odd: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    running = run()
    keeper = running.station.keeper

    async def meet() -> int:
        try:
            await keeper.keep([picture])
        except StoreUnavailable as error:
            return len(traceback.extract_tb(error.__traceback__))
        raise AssertionError

    picture = _new_picture(
        running.station.models["blobs"],
        Upload("a", odd[0]),
        PictureResult.model_validate(running.score(odd[0]).json()["results"][0]),
        Decoded(np.zeros((16, 16, 1), np.uint8), 16, 16, "image/png"),
    )
    keeper.note(StoreUnavailable("away"))
    depths = [finished(meet()) for _ in range(5)]
    assert len(set(depths)) == 1


def test_a_store_that_is_blocked_holds_up_neither_health_nor_scoring(
    run: Run, normal: list[bytes], odd: list[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("residua.service.keeping._PATIENCE", 0.5)
    running = run()
    (first,) = running.score(odd[0]).json()["results"]
    statuses: list[int] = []

    def judge() -> None:
        path = f"{running.url}/v1/reviews/{first['kept']}/judgement"
        statuses.append(httpx.put(path, json={"correct": True}, timeout=60).status_code)

    with closing(sqlite3.connect(tmp_path / "data" / "reviews.sqlite")) as other:
        other.execute("BEGIN IMMEDIATE")
        threads = [threading.Thread(target=judge) for _ in range(45)]
        for thread in threads:
            thread.start()
        time.sleep(0.3)
        begun = time.monotonic()
        assert running.client.get("/healthz").status_code == 200
        assert running.client.get("/v1/models").status_code == 200
        assert time.monotonic() - begun < 2
        (result,) = running.score(odd[1]).json()["results"]
        assert result["verdict"] == "anomalous"
        assert "has not answered within 0.5 s" in result["keeping_failed"]
        other.rollback()
    for thread in threads:
        thread.join(60)
    assert set(statuses) <= {200, 503}
    assert len(statuses) == 45


def test_a_client_that_goes_away_takes_nobody_elses_pictures_with_it(
    run: Run, odd: list[bytes]
) -> None:
    running = run()
    host, port = running.address
    head = (
        f"POST /v1/models/blobs/score HTTP/1.1\r\nHost: {host}\r\nContent-Type: image/png\r\n"
        f"Content-Length: {len(odd[0])}\r\n\r\n"
    ).encode()
    for number in range(60):
        with socket.create_connection((host, port), timeout=10) as connection:
            connection.sendall(head + odd[0])
            time.sleep(0.0005 * (number % 20))
    (result,) = running.score(odd[1]).json()["results"]
    assert result["kept"] is not None
    assert running.client.get("/readyz").json()["status"] == "ok"
