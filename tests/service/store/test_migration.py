"""From an empty database to the tables of today, once."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from residua.errors import StoreTooNew
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
