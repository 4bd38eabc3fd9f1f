"""The database goes and comes back; the disk is full: scoring goes on, and nothing is pretended."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from residua.errors import StoreFull

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
    with pytest.raises(StoreFull, match="cannot be made"):
        run(data=tmp_path / "file" / "data")
