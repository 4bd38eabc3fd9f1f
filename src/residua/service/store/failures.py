"""What a database says when it fails, as one of our errors and without its password."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import URL
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as NoFreeConnection

from residua.errors import StoreError, StoreFull, StoreUnavailable

# https://www.sqlite.org/rescode.html; the low byte of a code is its kind.
_SQLITE_FULL = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY)
# A value or a rule that was broken is our own mistake, and trying again is no way out.
_SQLITE_OURS = (sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISMATCH, sqlite3.SQLITE_TOOBIG)
# https://www.postgresql.org/docs/current/errcodes-appendix.html
_POSTGRESQL_FULL = ("53100", "25006")
_POSTGRESQL_OURS = ("22", "23")
_REASON_LENGTH = 300


def place_of(url: URL) -> str:
    """Return which database a URL names, without user, password and options."""
    if url.get_backend_name() == "sqlite":
        return f"the review store {url.database}"
    host = url.host or url.query.get("host") or "the local socket"
    port = f", port {url.port}" if url.port else ""
    database = url.database or "of the user's name"
    return f"the review store, PostgreSQL database {database} at {host}{port},"


@contextmanager
def store_errors(url: URL) -> Iterator[None]:
    """Turn each error of SQLAlchemy, or of SQLite itself, in the block into a `StoreError`."""
    try:
        yield
    except (SQLAlchemyError, sqlite3.Error) as error:
        # Not `from error`: drivers may quote what they were given, the password with it.
        raise _store_error(error, url) from None


def _store_error(error: Exception, url: URL) -> StoreError:
    place = place_of(url)
    if isinstance(error, NoFreeConnection):
        return StoreUnavailable(
            f"{place} has not been free in time: all connections to it are in use; try again"
        )
    reason = _reason(error, url)
    kind = _kind(error)
    if kind is StoreFull:
        return StoreFull(
            f"{place} takes nothing more ({reason}); free space on its disk, or let it be "
            "written, and try again"
        )
    if kind is StoreUnavailable:
        return StoreUnavailable(
            f"{place} cannot be used ({reason}); see that it is there and lets us in, and try again"
        )
    return StoreError(f"{place} refused what it was given ({reason})")


def _kind(error: Exception) -> type[StoreError]:
    original = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(original, SQLAlchemyError):
        return StoreError
    if isinstance(original, sqlite3.Error):
        code = getattr(original, "sqlite_errorcode", sqlite3.SQLITE_CANTOPEN) & 0xFF
        if code in _SQLITE_FULL:
            return StoreFull
        return StoreError if code in _SQLITE_OURS else StoreUnavailable
    state = getattr(original, "sqlstate", None) or ""
    if state in _POSTGRESQL_FULL:
        return StoreFull
    return StoreError if state.startswith(_POSTGRESQL_OURS) else StoreUnavailable


def _reason(error: Exception, url: URL) -> str:
    original = error.orig if isinstance(error, DBAPIError) else error
    # The first line: the others quote values.
    lines = str(original).strip().splitlines()
    reason = lines[0] if lines else type(error).__name__
    for secret in (url.password, url.query.get("password"), url.query.get("sslpassword")):
        if secret:
            reason = reason.replace(str(secret), "***")
    return reason[:_REASON_LENGTH]
