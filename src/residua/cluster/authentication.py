"""Ray's tokens: one is shown to a cluster that asks for it, if it is one of this machine's user."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_MODE, _TOKEN, _TOKEN_PATH = "RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"
WITH_TOKEN = "token"


def mode() -> str | None:
    """Return the way of authentication that Ray is told to take; None: it is not told."""
    told = os.environ.get(_MODE)
    return None if told is None else told.lower()


def asks_for_token(ray: Any, address: str) -> bool:
    """Tell whether a cluster refuses who shows no token; none is shown to find out.

    Parameters
    ----------
    ray : module
    address : str
        ``HOST:PORT`` at which a cluster's head answers.
    """
    refusal = getattr(ray.exceptions, "AuthenticationError", None)
    if refusal is None:  # a Ray that knows no tokens
        return False
    with as_before(ray):
        os.environ[_MODE] = "disabled"
        _read_anew(ray)
        try:
            ray._raylet.GcsClient(address=address)
        except refusal:
            return True
        except Exception:  # what else is wrong is told when it is connected to
            return False
        return False


@contextlib.contextmanager
def as_before(ray: Any) -> Iterator[None]:
    """Have Ray's way of authentication be that of before, which Ray changes for a cluster."""
    before = {name: os.environ.get(name) for name in (_MODE, _TOKEN, _TOKEN_PATH)}
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        _read_anew(ray)


@contextlib.contextmanager
def throwaway_token(ray: Any) -> Iterator[None]:
    """Have a cluster that is made here ask for a token, which is known here alone and then gone.

    Ray itself would leave one in the user's home, and each ``ray start`` to come would ask for it.
    """
    with as_before(ray):
        if mode() in (None, WITH_TOKEN) and not _has_token():
            os.environ[_TOKEN] = secrets.token_hex(32)
            _read_anew(ray)
        yield


def _has_token() -> bool:
    if os.environ.get(_TOKEN) or os.environ.get(_TOKEN_PATH):
        return True
    return (Path.home() / ".ray" / "auth_token").exists()


def _read_anew(ray: Any) -> None:
    """Have Ray's library, which remembers what it has read, read the variables again."""
    loader = getattr(ray._raylet, "AuthenticationTokenLoader", None)
    if loader is not None:
        ray._raylet.Config.initialize("")
        loader.instance().reset_cache()
