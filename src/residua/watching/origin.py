"""HTTP requests that stay with the host they were meant for."""

from __future__ import annotations

import re
import urllib.request
from http.client import HTTPMessage
from typing import IO
from urllib.parse import SplitResult, urlsplit

from residua.errors import ConfigurationError

_KEEP_METHOD = (307, 308)
_SCHEMES = {"http": 80, "https": 443}


def checked_url(url: str, what: str) -> SplitResult:
    """Return an address taken apart.

    Raises
    ------
    ConfigurationError
        It is not one of http or https, names no host, or holds characters that are to be escaped.
        The text shows scheme and host alone: all else may be a password.
    """
    try:
        parts = urlsplit(url)
        complete = parts.scheme in _SCHEMES and bool(parts.hostname) and parts.port != 0
    except ValueError:
        complete = False
    if not complete or any(one.isspace() or not one.isprintable() for one in url):
        raise ConfigurationError(
            f"{what} is {_shown(url)}; wanted an address such as https://host:8080/path"
        )
    if not (parts.path + parts.query).isascii():
        raise ConfigurationError(
            f"{what} is {_shown(url)}, with characters after the host that are not ASCII; escape "
            f"them, as %C3%BC for ü"
        )
    return parts


def _shown(url: str) -> str:
    """Return of an address what is no secret, however it is mistyped."""
    scheme = re.match(r"[a-z][a-z0-9+.-]*://", url, re.IGNORECASE)
    if scheme is None:
        return "an address without http:// or https:// at its beginning"
    try:
        parts = urlsplit(url)
    except ValueError:
        return repr(f"{scheme[0]}…")
    # Where a password holds a / or a #, what looks like the host is a part of it.
    hidden = "@" in url and "@" not in parts.netloc
    return repr(f"{scheme[0]}{'' if hidden else parts.hostname or ''}…")


def without_password(parts: SplitResult) -> str:
    """Return an address without the user and password that it may hold."""
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


class StaysThere(urllib.request.HTTPRedirectHandler):
    """Follows a redirect to the same scheme, host and port; any other is an `HTTPError`."""

    max_redirections = 3

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        """Return the request for the new address, with the same content; None: not followed."""
        if _origin(req.full_url) != _origin(newurl):
            return None
        if req.data is None:
            return super().redirect_request(req, fp, code, msg, headers, newurl)
        if code not in _KEEP_METHOD:
            return None  # would become a GET
        kept = {**req.headers, **req.unredirected_hdrs}
        return urllib.request.Request(newurl, req.data, kept, method=req.get_method())


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or _SCHEMES.get(parts.scheme)
