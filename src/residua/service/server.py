"""The process that serves: uvicorn, with clients that dawdle shown the door."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from residua.service.app import create_app
from residua.service.settings import ServiceSettings

# Seconds in which the header of a request has to come once the connection is open.
_HEADER_SECONDS = 20.0
_KEEP_ALIVE_SECONDS = 75


class ImpatientProtocol(HttpToolsProtocol):
    """HTTP/1.1 that closes a connection over which no request comes."""

    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for the first request's header."""
        super().connection_made(transport)
        self._deadline = self.loop.call_later(_HEADER_SECONDS, self._close_if_idle)

    def on_headers_complete(self) -> None:
        """End waiting."""
        self._end_waiting()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """End waiting."""
        self._end_waiting()
        super().connection_lost(exc)

    def _close_if_idle(self) -> None:
        if self.cycle is None and not self.transport.is_closing():
            self.transport.close()

    def _end_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


def config_for(
    settings: ServiceSettings,
    *,
    host: str,
    port: int,
    tls_cert: Path | None = None,
    tls_key: Path | None = None,
) -> uvicorn.Config:
    """Return how uvicorn is to serve.

    Parameters
    ----------
    settings : ServiceSettings
    host : str
        Address to listen on.
    port : int
        0: any that is free.
    tls_cert, tls_key : Path or None
        Certificate and key for https.

    Raises
    ------
    BundleError, ConfigurationError, StoreError
        It cannot serve as it is told to.
    """
    return uvicorn.Config(
        create_app(settings),
        host=host,
        port=port,
        http=ImpatientProtocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=settings.limits.drain_seconds,
        ssl_certfile=tls_cert,
        ssl_keyfile=None if tls_key is None else str(tls_key),
    )
