"""The durable record of a watcher: what was seen, which rows are not yet written, where they go.

One SQLite file. A picture, its row and what is to be called for it are recorded in one
transaction; a row leaves it when the output's new length is recorded.
"""

from __future__ import annotations

import contextlib
import enum
import json
import os
import sqlite3
import threading
import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from residua.errors import LedgerInUse, LedgerUnusable
from residua.locking import locked
from residua.watching.settling import Signature

# Tells SQLite files of this kind from all others: "RSDW".
_APPLICATION_ID = 0x52534457
_SCHEMA_VERSION = 1
_SCHEMA = """
CREATE TABLE about (name TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
CREATE TABLE pictures (
    path BLOB NOT NULL,          -- below the folder, with /
    sha256 BLOB NOT NULL,        -- of the content; empty: it could not be read
    outcome INTEGER NOT NULL,    -- 0 normal, 1 anomalous, 2 error
    score REAL,
    PRIMARY KEY (path, sha256)
) WITHOUT ROWID;
CREATE TABLE files (
    path BLOB PRIMARY KEY,       -- as in pictures
    size INTEGER, mtime INTEGER, ctime INTEGER  -- when it was last read, or skipped at the start
) WITHOUT ROWID;
CREATE TABLE rows (number INTEGER PRIMARY KEY, record TEXT NOT NULL);
CREATE TABLE outbox (
    number INTEGER PRIMARY KEY,
    channel TEXT NOT NULL,       -- webhook or command
    key TEXT NOT NULL,           -- the same in every attempt
    body TEXT NOT NULL,
    path BLOB,                   -- the file, where there is one
    born REAL NOT NULL,          -- seconds that the watcher had run
    attempts INTEGER NOT NULL DEFAULT 0,
    due REAL NOT NULL DEFAULT 0, -- as born: not to be tried before
    failed TEXT                  -- why it was given up
);
CREATE INDEX pending ON outbox (channel, attempts, number) WHERE failed IS NULL;
"""


class Outcome(enum.IntEnum):
    """What became of a picture."""

    NORMAL = 0
    ANOMALOUS = 1
    ERROR = 2


class Call(NamedTuple):
    """Something that is to be told of a picture."""

    channel: str
    key: str
    """The same in every attempt."""
    body: str
    """JSON."""
    path: bytes | None
    """The file; None: a camera's picture."""


class Entry(NamedTuple):
    """A picture as it is recorded."""

    key: bytes
    """Its path below the folder."""
    sha256: bytes
    """Of its content; empty: it could not be read."""
    signature: Signature | None
    """None: it is not remembered, since it cannot come again."""
    outcome: Outcome
    score: float | None
    record: str
    """Its row as JSON."""
    calls: Sequence[Call] = ()


class Position(NamedTuple):
    """How far an output file is accounted for."""

    path: str
    device: int
    inode: int
    length: int
    """Bytes of it that hold rows which are recorded as written."""


class Ledger:
    """The record, held by one process at a time. Its methods may be called from any thread.

    Parameters
    ----------
    path : Path
        The SQLite file; made, with its folder, where it is missing.
    source : str
        The folder or camera that it is of.

    Raises
    ------
    LedgerInUse
        Another process works on it.
    LedgerUnusable
        It cannot be read or written, is no ledger, or is that of another source.
    """

    def __init__(self, path: Path, source: str) -> None:
        self.path = path
        self._lock = threading.RLock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            held = locked(path.with_name(f"{path.name}.lock"))
        except OSError as error:
            raise LedgerUnusable(
                f"the ledger {path} cannot be made: {error.strerror}; name another with --ledger"
            ) from error
        if held is None:
            raise LedgerInUse(
                f"another process watches with the ledger {path}; stop that one first, or name "
                f"another file with --ledger"
            )
        self._held = held
        with contextlib.ExitStack() as undo:
            undo.callback(os.close, held)
            self._base = self._connected()
            undo.callback(self._base.close)
            self._open(source)
            undo.pop_all()
        self._started = time.monotonic()
        self._ran_before = float(self._about("ran") or 0)

    def _connected(self) -> sqlite3.Connection:
        try:
            # What it holds is this user's alone; SQLite's files beside it take its rights.
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))
            return sqlite3.connect(
                self.path, isolation_level=None, check_same_thread=False, timeout=10
            )
        except (OSError, sqlite3.Error) as error:
            raise self.unusable(error) from error

    def unusable(self, error: Exception) -> LedgerUnusable:
        """Return what to raise where SQLite fails."""
        return LedgerUnusable(
            f"the ledger {self.path} cannot be used ({error}); move it away to begin anew, or "
            f"name another with --ledger"
        )

    def _open(self, source: str) -> None:
        try:
            (version,) = self._base.execute("PRAGMA user_version").fetchone()
            (owner,) = self._base.execute("PRAGMA application_id").fetchone()
            (tables,) = self._base.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
            if owner != _APPLICATION_ID and (owner, version, tables) != (0, 0, 0):
                raise LedgerUnusable(
                    f"{self.path} is a database, but no ledger of residua watch; name another file "
                    f"with --ledger"
                )
            self._base.execute("PRAGMA journal_mode = WAL")
            self._base.execute("PRAGMA synchronous = FULL")
            if not tables:
                self._make(source)
            elif version > _SCHEMA_VERSION:
                raise LedgerUnusable(
                    f"the ledger {self.path} is of schema version {version} and this Residua "
                    f"reads up to {_SCHEMA_VERSION}; upgrade with: pip install -U residua"
                )
            its_own = self._about("source")
        except sqlite3.Error as error:
            raise self.unusable(error) from error
        if its_own != source:
            raise LedgerUnusable(
                f"the ledger {self.path} is that of {its_own}, wanted one of {source}; name "
                f"another with --ledger"
            )

    def _make(self, source: str) -> None:
        with self._transaction() as base:
            for statement in _SCHEMA.split(";\n"):
                base.execute(statement)
            base.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
            base.execute(f"PRAGMA user_version = {_SCHEMA_VERSION}")
            values = [("source", source), ("id", uuid.uuid4().hex)]
            base.executemany("INSERT INTO about VALUES (?, ?)", values)

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            self._base.execute("BEGIN IMMEDIATE")
            try:
                yield self._base
                self._base.execute("COMMIT")
            except BaseException:
                # A full disk may have ended it already.
                with contextlib.suppress(sqlite3.Error):
                    self._base.execute("ROLLBACK")
                raise

    def _about(self, name: str) -> str | None:
        with self.reading() as base:
            found = base.execute("SELECT value FROM about WHERE name = ?", (name,)).fetchone()
        return None if found is None else found[0]

    @property
    def running(self) -> float:
        """Seconds that watchers with this ledger have run; no clock that is set can change it."""
        return self._ran_before + time.monotonic() - self._started

    @property
    def begun(self) -> bool:
        """Whether the first start is over, at which the files that were there can be skipped."""
        return self._about("begun") is not None

    @property
    def last_snapshot(self) -> str | None:
        """SHA-256 of the camera's last picture, hexadecimal."""
        return self._about("snapshot")

    def knows(self, key: bytes, sha256: bytes) -> bool:
        """Say whether a picture of this path and content is recorded.

        With an empty ``sha256``: whether it is recorded that the file could not be read.
        """
        with self.reading() as base:
            found = base.execute(
                "SELECT 1 FROM pictures WHERE path = ? AND sha256 = ?", (key, sha256)
            ).fetchone()
        return found is not None

    def knows_signature(self, key: bytes, signature: Signature) -> bool:
        """Say whether the file was read, or skipped, just as it lies there now."""
        with self.reading() as base:
            found = base.execute(
                "SELECT 1 FROM files WHERE path = ? AND size = ? AND mtime = ? AND ctime = ?",
                (key, *signature),
            ).fetchone()
        return found is not None

    def begin(self, skipped: Iterable[tuple[bytes, Signature]]) -> None:
        """Record that the first start is over, and the files skipped at it: all of them or none."""
        with self._transaction() as base:
            base.executemany(
                "INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?)",
                ((key, *signature) for key, signature in skipped),
            )
            _put(base, "begun", "yes")

    def record(
        self,
        entries: Sequence[Entry],
        seen_again: Sequence[tuple[bytes, bytes, Signature]] = (),
        snapshot: str | None = None,
    ) -> None:
        """Record pictures with their rows and calls: all of it or nothing.

        Parameters
        ----------
        entries : sequence of Entry
        seen_again : sequence of (key, sha256, signature)
            Files that were touched, their content being recorded already.
        snapshot : str or None
            SHA-256 of the camera's last picture, hexadecimal.

        Raises
        ------
        sqlite3.Error
            Nothing is recorded; most often the disk is full.
        """
        with self._transaction() as base:
            for one in entries:
                if one.signature is not None:
                    _see(base, one.key, one.sha256, one.signature)
                    base.execute(
                        "INSERT OR REPLACE INTO pictures VALUES (?, ?, ?, ?)",
                        (one.key, one.sha256, int(one.outcome), one.score),
                    )
                base.execute("INSERT INTO rows (record) VALUES (?)", (one.record,))
                base.executemany(
                    "INSERT INTO outbox (channel, key, body, path, born) VALUES (?, ?, ?, ?, ?)",
                    [(*call, self.running) for call in one.calls],
                )
            for key, sha256, signature in seen_again:
                _see(base, key, sha256, signature)
            if snapshot is not None:
                _put(base, "snapshot", snapshot)
            _put(base, "ran", repr(self.running))

    def rows(self, most: int) -> list[tuple[int, dict[str, Any]]]:
        """Return the first rows that are not written yet, each with its number."""
        with self.reading() as base:
            found = base.execute(
                "SELECT number, record FROM rows ORDER BY number LIMIT ?", (most,)
            ).fetchall()
        return [(number, json.loads(record)) for number, record in found]

    @property
    def output(self) -> Position | None:
        """How far the output file is accounted for; None: there was none yet."""
        text = self._about("output")
        return None if text is None else Position(*json.loads(text))

    def account(self, position: Position | None, upto: int = 0) -> None:
        """Record that the rows up to this number are written, and how long the output is now."""
        with self._transaction() as base:
            base.execute("DELETE FROM rows WHERE number <= ?", (upto,))
            if position is not None:
                _put(base, "output", json.dumps(position))

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Yield the connection, to read from."""
        with self._lock:
            yield self._base

    @contextlib.contextmanager
    def changing(self) -> Iterator[sqlite3.Connection]:
        """Yield the connection within a transaction, in which the running time is kept as well."""
        with self._transaction() as base:
            yield base
            _put(base, "ran", repr(self.running))

    def close(self) -> None:
        """Keep the running time, close the file and let the lock go."""
        with self._lock:
            with contextlib.suppress(sqlite3.Error), self.changing():
                pass
            self._base.close()
            os.close(self._held)


def _see(base: sqlite3.Connection, key: bytes, sha256: bytes, signature: Signature) -> None:
    """Remember what a file that was read looked like; one that could not be is read again."""
    if sha256:
        base.execute("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?)", (key, *signature))
        base.execute("DELETE FROM pictures WHERE path = ? AND sha256 = x''", (key,))


def _put(base: sqlite3.Connection, name: str, value: str) -> None:
    base.execute("INSERT OR REPLACE INTO about VALUES (?, ?)", (name, value))
