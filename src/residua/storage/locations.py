"""Locations: paths of this machine, and URLs of object stores; nothing here asks a store."""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

from residua.errors import ConfigurationError

Location = str | os.PathLike[str]

# Two letters at least: C:// is a Windows drive.
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")
LOCAL = "file"


def is_url(location: object) -> bool:
    """Tell whether a location is text of the form ``scheme://…``; ``file://`` counts too.

    A local file of such a name is meant by ``./scheme:/…``.
    """
    # Asked of a million paths: to look for :// is quicker than the pattern.
    return isinstance(location, str) and "://" in location and _URL.match(location) is not None


def as_local(location: Location) -> str | None:
    """Return the local path that a path or ``file://`` URL names; None for other URLs.

    Raises
    ------
    ConfigurationError
        A ``file://`` URL names another machine.
    """
    if not is_url(location):
        return os.fspath(location)
    text = os.fspath(location)
    if scheme_of(text) != LOCAL:
        return None
    host, slash, rest = text.partition("://")[2].partition("/")
    if host not in ("", "localhost"):
        raise ConfigurationError(
            f"{text} names the machine {host!r}; a file of this one is file:///folder/file"
        )
    return unquote(slash + rest)


def is_remote(location: object) -> bool:
    """Tell whether a location is a URL of something that is not a local file."""
    return is_url(location) and scheme_of(str(location)) != LOCAL


def local_path(location: Location, what: str) -> Path:
    """Return the path of what can only lie on a disk of this machine.

    Parameters
    ----------
    location : str or path-like
    what : str
        What it is, for the error: "the review store".

    Raises
    ------
    ConfigurationError
        It is the URL of an object store.
    """
    local = as_local(location)
    if local is None:
        raise ConfigurationError(
            f"{location}: {what} needs a disk of this machine; name a folder or file of it, and "
            "copy what comes of it"
        )
    return Path(local)


def name_of(location: Location) -> str:
    """Return the last part of a location."""
    return (PurePosixPath if is_remote(location) else Path)(as_local(location) or location).name


def parent_of(location: Location) -> str:
    """Return the location of the folder in which a location lies."""
    if is_remote(location):
        return os.fspath(location).rstrip("/").rpartition("/")[0]
    return str(Path(as_local(location) or "").parent)


def beside_or_here(location: Location, suffix: str, *, instead: bool = False) -> Path:
    """Return a path beside a location, or for a URL one of its name in the current folder.

    Parameters
    ----------
    location : str or path-like
    suffix : str
        What is added to its name.
    instead : bool, default=False
        Whether it takes the place of the suffix that the name has.
    """
    local = as_local(location)
    path = Path(name_of(location)) if local is None else Path(local)
    return path.with_suffix(suffix) if instead else path.with_name(f"{path.name}{suffix}")


def joined(location: Location, *parts: str) -> str:
    """Return the location of something below a location, parts with / between."""
    if is_remote(location):
        return "/".join((os.fspath(location).rstrip("/"), *parts))
    return str(Path(as_local(location) or "", *parts))


def without_password(url: str) -> str:
    """Return a URL as it may be shown: nothing but its scheme where a password may be in it."""
    scheme, separator, rest = url.partition("://")
    # A password may hold slashes itself: where it ends is not known.
    return f"{scheme}{separator}…" if ":" in rest.partition("/")[0] else url


def scheme_of(url: str) -> str:
    """Return what stands before ://, in lower case."""
    return url.partition("://")[0].lower()
