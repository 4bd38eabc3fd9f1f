"""From an empty database to the tables of today, once."""

from __future__ import annotations

import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from residua.errors import ConfigurationError, StoreTooNew
from residua.service.store.store import ReviewStore
from residua.service.store.tables import METADATA, VERSION_TABLE


def test_the_steps_make_the_tables_that_the_code_reads(store: ReviewStore) -> None:
    with store._database.writing() as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "version_table": VERSION_TABLE,
                "compare_type": True,
                "compare_server_default": True,
            },
        )
        assert compare_metadata(context, METADATA) == []
        # The comparison can see what is missing.
        connection.exec_driver_sql("DROP INDEX ix_residua_reviews_picture")
        assert compare_metadata(context, METADATA) != []


def test_opening_again_changes_nothing(url: str, picture: object) -> None:
    with closing(ReviewStore.open(url)) as store:
        (id,) = store.keep([picture()], max_bytes=None)  # type: ignore[operator]
    with closing(ReviewStore.open(url)) as store:
        assert store.get(id).name == "line/1.png"
        assert store.summary().kept == 1


def test_tables_of_a_later_version_are_refused(url: str) -> None:
    with closing(ReviewStore.open(url)) as store, store._database.writing() as connection:
        connection.exec_driver_sql(f"UPDATE {VERSION_TABLE} SET version_num = '0999'")
    with pytest.raises(StoreTooNew, match=r"0999.*up to 0001"):
        ReviewStore.open(url)


def test_a_step_that_fails_leaves_an_empty_database(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "alembic.op.bulk_insert", lambda *_: (_ for _ in ()).throw(RuntimeError("midway"))
    )
    with pytest.raises(RuntimeError, match="midway"):
        ReviewStore.open(url)
    monkeypatch.undo()
    with closing(ReviewStore.open(url)) as store:
        assert store.summary().kept == 0


def test_tables_of_other_programs_are_left_alone(url: str) -> None:
    with closing(ReviewStore.open(url)) as store, store._database.writing() as connection:
        connection.exec_driver_sql("CREATE TABLE alembic_version (version_num VARCHAR(32))")
        connection.exec_driver_sql("INSERT INTO alembic_version VALUES ('theirs')")
    with closing(ReviewStore.open(url)) as store, store._database.reading() as connection:
        found = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    assert found == "theirs"


def test_threads_may_open_several_empty_databases_at_once(tmp_path: Path) -> None:
    together = threading.Barrier(8)

    def open_it(number: int) -> int:
        folder = tmp_path / str(number)
        folder.mkdir()
        together.wait()
        with closing(ReviewStore.open(folder=folder)) as store:
            return store.summary().kept

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(open_it, range(8))) == [0] * 8


def test_threads_may_open_an_empty_database_at_once(url: str) -> None:
    together = threading.Barrier(6)

    def open_it(_: int) -> int:
        together.wait()
        with closing(ReviewStore.open(url)) as store:
            return store.summary().kept

    with ThreadPoolExecutor(6) as threads:
        assert list(threads.map(open_it, range(6))) == [0] * 6


def test_what_is_no_review_store_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    foreign = tmp_path / "foreign.sqlite"
    with closing(sqlite3.connect(foreign)) as connection:
        connection.execute("CREATE TABLE mine (a)")
    before = foreign.read_bytes()
    for make in (True, False):
        with pytest.raises(ConfigurationError, match="is no review store"):
            ReviewStore.open(f"sqlite:///{foreign}", make=make)
    with closing(sqlite3.connect(foreign)) as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("mine",)]
    assert len(before) == foreign.stat().st_size


def test_an_empty_database_becomes_a_store_only_where_that_is_wanted(url: str) -> None:
    with pytest.raises(ConfigurationError, match="is no review store"):
        ReviewStore.open(url, make=False)
    ReviewStore.open(url).close()
    ReviewStore.open(url, make=False).close()


def test_the_file_of_a_store_is_its_users_alone(tmp_path: Path) -> None:
    with closing(ReviewStore.open(folder=tmp_path)):
        modes = {file.name: file.stat().st_mode & 0o777 for file in tmp_path.iterdir()}
    assert set(modes.values()) == {0o600}, modes
