"""The web page: its files, and the rules by which a browser keeps to them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from types import MappingProxyType

from fastapi import APIRouter, HTTPException, Response

router = APIRouter(include_in_schema=False)
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; media-src 'self' blob:; form-action 'none'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Frame-Options": "DENY",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "Cache-Control": "no-cache",
}
# By the ending, whatever the machine's own table says.
_TYPES: Mapping[str, str] = MappingProxyType(
    {
        ".css": "text/css; charset=utf-8",
        ".html": "text/html; charset=utf-8",
        ".js": "text/javascript; charset=utf-8",
        ".svg": "image/svg+xml",
    }
)


@cache
def _files() -> Mapping[str, bytes]:
    folder = files("residua.service").joinpath("page")
    return {
        file.name: file.read_bytes()
        for file in folder.iterdir()
        if "." + file.name.rpartition(".")[2] in _TYPES
    }


@router.get("/")
async def page() -> Response:
    """Return the page."""
    return _sent("index.html")


@router.get("/static/{name}")
async def static(name: str) -> Response:
    """Return one of the page's files."""
    if name not in _files():
        raise HTTPException(404)
    return _sent(name)


def _sent(name: str) -> Response:
    media_type = _TYPES["." + name.rpartition(".")[2]]
    return Response(_files()[name], media_type=media_type, headers=_HEADERS)
