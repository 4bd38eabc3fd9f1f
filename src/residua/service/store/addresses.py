"""Which database is meant: a URL, a file, or the default in a folder."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from residua.errors import ConfigurationError, StoreUnavailable

FILE_NAME = "reviews.sqlite"
_DRIVERS = {
    "sqlite": "sqlite",
    "sqlite+pysqlite": "sqlite",
    "postgresql": "postgresql+psycopg",
    "postgresql+psycopg": "postgresql+psycopg",
    "postgres": "postgresql+psycopg",
}
_WANTED = (
    "wanted sqlite:////folder/reviews.sqlite or postgresql://user:password@host/database, in which "
    "@, : and / of a password are written %40, %3A and %2F"
)


def address_of(url: str | None, folder: Path | None) -> URL:
    """Return the address of a store.

    Parameters
    ----------
    url : str or None
        ``sqlite:///…`` or ``postgresql://…``. None: reviews.sqlite in the folder.
    folder : Path or None
        Where the default lies.

    Raises
    ------
    ConfigurationError
        Neither is given, or the URL is of no database that can be used. The URL is not quoted.
    """
    if url is None:
        if folder is None:
            raise ConfigurationError("the review store has no place; give its URL or a folder")
        return URL.create("sqlite", database=str(folder.absolute() / FILE_NAME))
    try:
        address = make_url(url)
    except (ArgumentError, ValueError):  # both may quote the password
        raise ConfigurationError(f"the review store's URL cannot be read; {_WANTED}") from None
    driver = _DRIVERS.get(address.drivername)
    if driver is None:
        raise ConfigurationError(
            f"the review store's URL is of {address.drivername!r}, no known kind; {_WANTED}"
        )
    # What is behind an @ in the password is taken for the host, and would be shown.
    if "@" in (address.host or "") + (address.database or ""):
        raise ConfigurationError(f"the review store's URL has more than one @; {_WANTED}")
    address = address.set(drivername=driver)
    return address if driver != "sqlite" else _with_file(address)


def existing_database(given: str) -> str:
    """Return the URL of a database that is there, from a URL or an SQLite file's path.

    Raises
    ------
    StoreUnavailable
        There is no such file, which opening it would make.
    """
    if "://" in given:
        address = address_of(given, None)
        url, file = given, address.database if address.drivername == "sqlite" else None
    else:
        file = given
        url = URL.create("sqlite", database=str(Path(given).absolute())).render_as_string()
    if file is not None and not Path(file).is_file():
        raise StoreUnavailable(
            f"{file} is no file; name the review store's SQLite file or its URL, such as "
            f"folder/{FILE_NAME}"
        )
    return url


def _with_file(address: URL) -> URL:
    if not address.database or address.database == ":memory:" or address.query:
        raise ConfigurationError(
            "the review store's URL names no plain SQLite file, so that reviews would be lost; "
            f"{_WANTED}"
        )
    return address
