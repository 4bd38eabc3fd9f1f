"""Databases that are away, full, damaged or not ours."""

from __future__ import annotations

import os
import socket
import sqlite3
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, make_url

from residua.errors import ConfigurationError, StoreError, StoreFull, StoreUnavailable
from residua.service.store.addresses import address_of, existing_database
from residua.service.store.database import _set_up_sqlite
from residua.service.store.failures import store_errors
from residua.service.store.pictures import NewPicture
from residua.service.store.store import ReviewStore

Picture = Callable[..., NewPicture]


@contextmanager
def stopped(postgres: Any) -> Iterator[None]:
    postgres.stop()
    try:
        yield
    finally:
        postgres.start()


def test_a_store_works_again_once_its_database_is_back(
    postgres: Any, postgres_url: str, picture: Picture
) -> None:
    with closing(ReviewStore.open(postgres_url)) as store:
        (id,) = store.keep([picture()], max_bytes=None)
        assert id is not None
        with stopped(postgres):
            for call in (
                lambda: store.get(id),
                lambda: store.judge(id, correct=True, reviewer=None, order="random"),
                lambda: store.keep([picture()], max_bytes=None),
                lambda: ReviewStore.open(postgres_url),
            ):
                with pytest.raises(StoreUnavailable, match=r"127\.0\.0\.1"):
                    call()
        # At the first attempt, from whatever connections were open before.
        assert store.judge(id, correct=True, reviewer=None, order="random").correct


def test_a_restart_between_two_calls_goes_unnoticed(postgres: Any, postgres_url: str) -> None:
    with closing(ReviewStore.open(postgres_url)) as store:
        assert store.summary().kept == 0
        with stopped(postgres):
            pass
        assert store.summary().kept == 0


def test_a_connection_that_breaks_midway_leaves_nothing_behind(
    postgres: Any, postgres_url: str, picture: Picture
) -> None:
    with closing(ReviewStore.open(postgres_url)) as store:
        name = postgres_url.rpartition("/")[2]

        def write_while_the_connection_is_cut() -> None:
            with store._database.writing() as connection:
                connection.exec_driver_sql("UPDATE residua_usage SET size = 77")
                postgres.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    f"WHERE datname = '{name}' AND pid <> pg_backend_pid()"
                )
                connection.exec_driver_sql("SELECT 1")

        with pytest.raises(StoreUnavailable):
            write_while_the_connection_is_cut()
        assert store.summary().size == 0
        assert store.keep([picture()], max_bytes=None) != [None]


def test_a_server_that_does_not_answer_is_given_up_on() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        begun = time.monotonic()
        with pytest.raises(StoreUnavailable):
            ReviewStore.open(f"postgresql://u:p@127.0.0.1:{silent.getsockname()[1]}/d")
        # No measure of speed: without a limit it waits for ever.
        assert time.monotonic() - begun < 30


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:hunter2@127.0.0.1:1/d",
        "postgresql://u@127.0.0.1:1/d?password=hunter2",
        "postgresql://u:p@hunter2@127.0.0.1:1/d",
        "postgresql://u:hunter2@127.0.0.1:hunter2/d",
        "mysql://u:hunter2@127.0.0.1/d",
        "postgresql+psycopg2://u:hunter2@127.0.0.1/d",
        "hunter2",
    ],
)
def test_no_error_shows_the_password(url: str) -> None:
    with pytest.raises((StoreError, ConfigurationError)) as caught:
        ReviewStore.open(url)
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))


def test_a_wrong_password_is_not_shown(postgres_url: str) -> None:
    wrong = postgres_url.replace("s3cret-of-the-tests", "hunter2")
    with pytest.raises(StoreUnavailable, match="authentication") as caught:
        ReviewStore.open(wrong)
    assert "hunter2" not in "".join(traceback.format_exception_only(caught.value))
    assert caught.value.__cause__ is None


def test_a_driver_that_quotes_the_password_is_not_repeated() -> None:
    url = make_url("postgresql://u:hunter2@h/d?sslpassword=s3same")
    with pytest.raises(StoreUnavailable, match=r"\(no \*\*\* for \*\*\*\)"), store_errors(url):
        raise sqlite3.OperationalError("no hunter2 for s3same\nDETAIL: and more")


def test_a_store_shows_its_place_without_the_password(store: ReviewStore, url: str) -> None:
    assert "s3cret" not in repr(store) + repr(store._database)
    assert url.rpartition("/")[2] in repr(store)


def test_a_url_without_a_file_or_a_folder_is_refused(tmp_path: Path) -> None:
    for url in ("sqlite://", "sqlite:///:memory:", "sqlite:///x?mode=memory"):
        with pytest.raises(ConfigurationError, match="lost"):
            address_of(url, tmp_path)
    with pytest.raises(ConfigurationError, match="folder"):
        address_of(None, None)


def test_a_folder_with_odd_characters_is_a_place(tmp_path: Path, picture: Picture) -> None:
    odd = tmp_path / "50% #1?"
    odd.mkdir()
    with closing(ReviewStore.open(folder=odd)) as store:
        store.keep([picture()], max_bytes=None)
    assert (odd / "reviews.sqlite").is_file()
    with closing(ReviewStore.open(existing_database(str(odd / "reviews.sqlite")))) as store:
        assert store.summary().kept == 1


def test_a_database_that_is_not_there_is_not_made_for_reading(tmp_path: Path) -> None:
    for given in (str(tmp_path / "no.sqlite"), f"sqlite:///{tmp_path}/no.sqlite", str(tmp_path)):
        with pytest.raises(StoreUnavailable, match="no file"):
            existing_database(given)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_missing_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="unable to open"):
        ReviewStore.open(folder=tmp_path / "missing")


def test_a_file_of_another_kind_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "reviews.sqlite"
    file.write_bytes(b"my diary\n" * 1000)
    with pytest.raises(StoreUnavailable, match="not a database"):
        ReviewStore.open(folder=tmp_path)
    assert file.read_bytes() == b"my diary\n" * 1000


def test_a_database_that_another_program_holds_is_given_up_on(
    tmp_path: Path, picture: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("residua.service.store.database._LOCK_S", 0.2)
    with closing(ReviewStore.open(folder=tmp_path)) as store:
        other = sqlite3.connect(tmp_path / "reviews.sqlite", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable, match="locked"):
            store.keep([picture()], max_bytes=None)
        assert store.summary().kept == 0
        other.execute("ROLLBACK")
        other.close()
        assert store.keep([picture()], max_bytes=None) != [None]


def test_a_file_that_is_still_being_made_is_waited_for(tmp_path: Path) -> None:
    other = sqlite3.connect(
        tmp_path / "reviews.sqlite", isolation_level=None, check_same_thread=False
    )
    other.execute("BEGIN EXCLUSIVE")
    other.execute("PRAGMA user_version = 0")  # a write, of which no table is left
    done = threading.Timer(0.5, other.execute, ("COMMIT",))
    done.start()
    with closing(ReviewStore.open(folder=tmp_path)) as store:
        assert store.summary().kept == 0
    done.join()
    other.close()


def test_a_file_that_another_process_turns_to_wal_is_waited_for() -> None:
    class Busy(sqlite3.Connection):
        refused = 0

        def execute(self, statement: str, *parameters: Any) -> sqlite3.Cursor:
            if "journal_mode" in statement and self.refused < 2:
                self.refused += 1
                error = sqlite3.OperationalError("database is locked")
                error.sqlite_errorcode = sqlite3.SQLITE_BUSY
                raise error
            return super().execute(statement, *parameters)

    with closing(sqlite3.connect(":memory:", factory=Busy)) as connection:
        _set_up_sqlite(connection, None)
        assert connection.refused == 2


def test_a_full_disk_keeps_what_it_has_and_takes_more_once_there_is_space(
    tmp_path: Path, picture: Picture
) -> None:
    with closing(ReviewStore.open(folder=tmp_path)) as store:
        engine = store._database.engine
        (id,) = store.keep([picture()], max_bytes=None)
        assert id is not None
        pages = 100

        def limit(connection: Any, *_: object) -> None:
            connection.execute(f"PRAGMA max_page_count = {pages}")

        event.listen(engine, "checkout", limit)
        with pytest.raises(StoreFull, match="full"):
            store.keep([picture(b"small"), picture(os.urandom(1_000_000))], max_bytes=None)
        assert store.summary().kept == 1
        assert store.judge(id, correct=True, reviewer=None, order="random").correct
        pages = 100_000
        assert None not in store.keep([picture(os.urandom(1_000_000))], max_bytes=None)


def test_a_database_that_may_only_be_read_takes_nothing(
    tmp_path: Path, picture: Picture, postgres: Any, postgres_url: str
) -> None:
    name = postgres_url.rpartition("/")[2]
    with closing(ReviewStore.open(postgres_url)) as store:
        store.keep([picture()], max_bytes=None)
    postgres.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    with closing(ReviewStore.open(postgres_url)) as store:
        with pytest.raises(StoreFull, match="read-only"):
            store.keep([picture()], max_bytes=None)
        assert store.summary().kept == 1
    with closing(ReviewStore.open(folder=tmp_path)) as store:
        event.listen(
            store._database.engine,
            "checkout",
            lambda connection, *_: connection.execute("PRAGMA query_only = ON"),
        )
        assert store.summary().kept == 0
        with pytest.raises(StoreFull, match="readonly"):
            store.keep([picture()], max_bytes=None)
