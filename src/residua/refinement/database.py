"""What goes wrong with the database of a study, in a line."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import optuna

from residua.errors import OutputError


@contextlib.contextmanager
def study_errors(storage: str) -> Iterator[None]:
    """Name the study whose database fails in the middle of a search."""
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (SQLAlchemyError, optuna.exceptions.StorageInternalError) as error:
        raise OutputError(
            f"{shown(storage)} cannot be written: {cause(error)}; the trials that are done are "
            f"kept, and the same command goes on with the search"
        ) from error


def shown(storage: str) -> str:
    """Return a study's database in words, without its password."""
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    with contextlib.suppress(ArgumentError):
        return f"the study {make_url(storage).render_as_string(hide_password=True)}"
    return "the study"


def cause(error: BaseException) -> str:
    """Return what the database's driver says, without the statement and its parameters."""
    while error.__cause__ is not None:
        error = error.__cause__
    return " ".join(str(error).split())
