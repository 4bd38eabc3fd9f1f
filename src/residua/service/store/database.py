"""A database that is open: its connections, and the two kinds of transaction on it."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from functools import partial
from typing import Any

from sqlalchemy import URL, Connection, create_engine, event, text

from residua.errors import StoreError, StoreUnavailable
from residua.service.store.failures import place_of, store_errors

_CONNECT_S = 3
_LOCK_S = 10
_RETRY_S = 0.05
# Some 64 MB of SQLite's pages of 4 kB.
_PAGES_GIVEN_BACK = 16_384
_WRITES = "residua_writes"
# A server that went away without a word is noticed after about 5 s.
_POSTGRESQL = {
    "connect_timeout": str(_CONNECT_S),
    "tcp_user_timeout": "5000",
    "keepalives_idle": "5",
    "keepalives_interval": "2",
    "keepalives_count": "2",
    "application_name": "residua",
}


class Database:
    """Connections to one database, to be used by many threads.

    Parameters
    ----------
    url : sqlalchemy.URL
        Of SQLite or PostgreSQL. Nothing is opened before the first transaction.
    """

    def __init__(self, url: URL) -> None:
        self.url = url
        self.is_sqlite = url.get_backend_name() == "sqlite"
        options: dict[str, Any] = {}
        if self.is_sqlite:
            options["connect_args"] = {"timeout": _LOCK_S}
        else:
            url = url.set(query={**_POSTGRESQL, **url.query})
        self.engine = create_engine(
            url,
            pool_pre_ping=True,
            pool_timeout=_LOCK_S,
            # Errors would show pictures and names.
            hide_parameters=True,
            **options,
        )
        self._writers = self.engine.execution_options(**{_WRITES: True})
        self._readers = self.engine
        # SQLite has one writer at a time and lets the others poll: here they wait in turn.
        self._turn: AbstractContextManager[Any] = nullcontext()
        if self.is_sqlite:
            self._turn = _Turn(place_of(url))
            event.listen(self.engine, "connect", _set_up_sqlite)
            event.listen(self.engine, "begin", _begin_sqlite)
        else:
            self._readers = self.engine.execution_options(
                isolation_level="REPEATABLE READ", postgresql_readonly=True
            )

    def make_private(self) -> None:
        """Have SQLite's file, which holds pictures, made for this user alone; one there stays."""
        if self.is_sqlite:
            with suppress(OSError):  # which the first transaction names better
                os.close(os.open(str(self.url.database), os.O_RDWR | os.O_CREAT, 0o600))

    def __repr__(self) -> str:
        return f"<{place_of(self.url).rstrip(',')}>"

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Begin a transaction that sees one state of the database.

        Raises
        ------
        StoreError
            The database failed.
        """
        with store_errors(self.url), self._readers.begin() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Begin a transaction that may write; what it wrote is durable once the block has ended.

        Raises
        ------
        StoreError
            The database failed; nothing of the block was written.
        """
        with store_errors(self.url), self._turn, self._writers.begin() as connection:
            if not self.is_sqlite:
                connection.execute(
                    text("SELECT set_config('lock_timeout', :wait, true)"), {"wait": f"{_LOCK_S}s"}
                )
            yield connection

    def give_space_back(self) -> None:
        """Let SQLite's file shrink by what was deleted, 64 MB at most.

        Where it cannot now, as others hold the file, the next call does. PostgreSQL cleans up by
        itself: space is used again, and returned where it can be.
        """
        if not self.is_sqlite:
            return
        with (
            suppress(StoreError),
            store_errors(self.url),
            self._turn,
            self.engine.connect() as connection,
        ):
            # A script, since a page is freed with each step, and a statement takes but the first.
            # Then the log is moved into the file, which gets shorter; what readers use stays.
            connection.connection.executescript(
                f"PRAGMA incremental_vacuum({_PAGES_GIVEN_BACK}); PRAGMA wal_checkpoint(PASSIVE)"
            )

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()


class _Turn:
    """A lock for which nobody waits longer than for the database's own."""

    def __init__(self, place: str) -> None:
        self._lock, self._place = threading.Lock(), place

    def __enter__(self) -> None:
        if not self._lock.acquire(timeout=_LOCK_S):
            raise StoreUnavailable(
                f"{self._place} others have been writing for {_LOCK_S} s; try again"
            )

    def __exit__(self, *_: object) -> None:
        self._lock.release()


def _set_up_sqlite(connection: Any, _record: Any) -> None:
    # We begin transactions ourselves, in `_begin_sqlite`: sqlite3 would begin them too late.
    connection.isolation_level = None
    for pragma in (
        # Before anything is written, or it does not count.
        "auto_vacuum = INCREMENTAL",
        "journal_mode = WAL",
        # A commit is on disk when it returns; WAL alone would only be safe against our own crash.
        "synchronous = FULL",
        "foreign_keys = ON",
        "journal_size_limit = 67108864",
    ):
        _patiently(partial(connection.execute, f"PRAGMA {pragma}"))


def _patiently(step: Callable[[], object]) -> None:
    """Repeat a step while others have the file: SQLite does not wait for the change to WAL."""
    last = time.monotonic() + _LOCK_S
    while True:
        try:
            step()
            return
        except sqlite3.OperationalError as error:
            busy = getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY
            if not busy or time.monotonic() > last:
                raise
        time.sleep(_RETRY_S)


def _begin_sqlite(connection: Connection) -> None:
    # A writer that began as a reader could not wait for another one: its state would be old.
    writes = connection.get_execution_options().get(_WRITES)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
