"""Who may do what: bearer tokens with roles, and no pages of other sites."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple, get_args
from urllib.parse import urlsplit

from residua.errors import (
    ConfigurationError,
    ForeignPage,
    NotAllowed,
    TokenNeeded,
    nearest_names,
)
from residua.service.schemas import Role

ROLES: tuple[Role, ...] = get_args(Role)
_SHORTEST = 16
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")


class Caller(NamedTuple):
    """Who sent a request."""

    role: Role
    name: str | None
    """The token's name. None: no tokens are asked for."""

    def require(self, role: Role) -> None:
        """Refuse what this role does not reach.

        Raises
        ------
        NotAllowed
        """
        if ROLES.index(self.role) < ROLES.index(role):
            raise NotAllowed(f"this needs the role {role}, and the token's is {self.role}")


class Tokens:
    """Bearer tokens, kept as digests and compared in constant time.

    Parameters
    ----------
    callers : mapping of bytes to Caller, or None
        By the SHA-256 of their tokens. None: nobody is asked for one.
    """

    def __init__(self, callers: Mapping[bytes, Caller] | None) -> None:
        self._callers = callers

    @classmethod
    def read(cls, path: Path | None) -> Tokens:
        """Read a file with a line ``ROLE NAME TOKEN`` for each; ``#`` begins a comment.

        Raises
        ------
        ConfigurationError
            The file cannot be read or others than its owner and group may, or a line is no token.
        """
        if path is None:
            return cls(None)
        try:
            mode = path.stat().st_mode
            lines = path.read_text(encoding="utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"the tokens in {path} cannot be read: {error}") from error
        if stat.S_ISREG(mode) and mode & stat.S_IROTH:
            raise ConfigurationError(
                f"everybody on this machine may read the tokens in {path}; run: chmod 640 {path}"
            )
        callers: dict[bytes, Caller] = {}
        for number, line in enumerate(lines, 1):
            words = line.partition("#")[0].split()
            if not words:
                continue
            digest, caller = _parsed(words, f"{path}, line {number}")
            if digest in callers:
                raise ConfigurationError(
                    f"{path}, line {number}: {caller.name!r} has the token of "
                    f"{callers[digest].name!r}; make each one of its own"
                )
            callers[digest] = caller
        if not callers:
            raise ConfigurationError(f"{path} holds no token; write lines: ROLE NAME TOKEN")
        return cls(callers)

    @property
    def wanted(self) -> bool:
        """Whether a token is asked for."""
        return self._callers is not None

    def caller(self, authorization: str | None) -> Caller:
        """Return who sent the header field ``Authorization``.

        Raises
        ------
        TokenNeeded
            It is missing, or the token is not known.
        """
        if self._callers is None:
            return Caller("admin", None)
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise TokenNeeded("send a token: Authorization: Bearer TOKEN")
        digest = _digest(token.strip())
        # All are compared, so that time tells nothing of which one is near.
        found = [
            caller for known, caller in self._callers.items() if hmac.compare_digest(known, digest)
        ]
        if not found:
            raise TokenNeeded("this token is not known; ask who runs the service for one")
        return found[0]


def check_site(method: str, headers: Mapping[str, str], hosts: Iterable[str] | None) -> None:
    """Refuse what the page of another site had a browser send.

    Parameters
    ----------
    method : str
    headers : mapping of str to str
        By lower-case name.
    hosts : iterable of str or None
        Names under which the service is reached; None: any. With them a foreign name that was made
        to point here ("DNS rebinding") is of no use.

    Raises
    ------
    ForeignPage
    """
    host = headers.get("host", "")
    if hosts is not None and _name_of(f"//{host}") not in tuple(hosts):
        raise ForeignPage(
            f"this service is not called {host[:100]!r}; allow the name with --allow-host"
        )
    if method in _SAFE:
        return
    if headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
        raise ForeignPage("the page of another site sent this; open the service's own page")
    origin = headers.get("origin")
    if origin is not None and origin.partition("://")[2] != host:
        raise ForeignPage(
            f"a page of {origin[:100]!r} sent this, and the service is {host[:100]!r}; open its "
            f"own page"
        )


def hosts_for(bound: str, allowed: Iterable[str]) -> tuple[str, ...] | None:
    """Return the names under which a service is reached that listens on an address.

    None: any, where other machines may reach it and no names are given.

    Raises
    ------
    ConfigurationError
        A name is none, but an address with more to it.
    """
    given = tuple(name.lower() for name in allowed)
    for name in given:
        if not name or "*" in name or _name_of(f"//{name}") != name.strip("[]"):
            raise ConfigurationError(
                f"--allow-host is {name!r}; give a name alone, such as inspection.example.org"
            )
    if given or is_loopback(bound):
        return (*given, *LOOPBACK_NAMES, bound)
    return None


def is_loopback(host: str) -> bool:
    """Say whether only this machine reaches an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _parsed(words: list[str], where: str) -> tuple[bytes, Caller]:
    if len(words) != 3:
        raise ConfigurationError(f"{where} has {len(words)} words; write three: ROLE NAME TOKEN")
    role, name, token = words
    if role not in ROLES:
        raise ConfigurationError(
            f"{where}: no role is called {role!r}; {nearest_names(role, ROLES)}"
        )
    if len(token) < _SHORTEST:
        raise ConfigurationError(
            f"{where}: the token has {len(token)} characters and needs at least {_SHORTEST}; make "
            f"one with: python3 -c 'import secrets; print(secrets.token_urlsafe(32))'"
        )
    return _digest(token), Caller(role, name)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


def _name_of(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
