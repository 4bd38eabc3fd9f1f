"""The process that serves: uvicorn, where who dawdles or never ends is shown the door."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from pathlib import Path
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from residua.service.app import create_app
from residua.service.problems import BY_STATUS, MEDIA_TYPE, Kind, problem
from residua.service.settings import ServiceSettings

# Seconds in which the header of a request has to come once the connection is open.
_HEADER_SECONDS = 20.0
# Bytes of a request beside its body: headers, the framing of chunks, trailers.
_MOST_BESIDE_BODY = 1 << 16
_KEEP_ALIVE_SECONDS = 75


class ImpatientProtocol(HttpToolsProtocol):
    """HTTP/1.1 that closes a connection over which a header comes slowly or without end."""

    _deadline: asyncio.TimerHandle | None = None
    _beside_body = 0

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for the first request's header."""
        super().connection_made(transport)
        self._wait_for_header()

    def connection_lost(self, exc: Exception | None) -> None:
        """End waiting."""
        self._end_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Count what is not the body."""
        self._beside_body += len(data)
        super().data_received(data)
        self._beside_body = max(self._beside_body, 0)
        if self._beside_body > _MOST_BESIDE_BODY and not self.transport.is_closing():
            self._refuse(Kind("header-too-large", 431, "Too large a header"))

    def on_message_begin(self) -> None:
        """Begin to wait for this request's header."""
        super().on_message_begin()
        self._beside_body = 0
        self._wait_for_header()

    def on_headers_complete(self) -> None:
        """End waiting."""
        self._end_waiting()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Allow as much framing as there is body."""
        self._beside_body -= 2 * len(body)
        super().on_body(body)

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP, as everything is refused."""
        self._refuse(BY_STATUS[400], msg)

    def _refuse(self, kind: Kind, detail: str = "") -> None:
        document = problem(kind, detail or kind.title).model_dump_json(exclude_none=True).encode()
        phrase = HTTPStatus(kind.status).phrase
        head = (
            f"HTTP/1.1 {kind.status} {phrase}\r\nContent-Type: {MEDIA_TYPE}\r\n"
            f"Content-Length: {len(document)}\r\nConnection: close\r\n\r\n"
        )
        self.transport.write(head.encode("ascii") + document)
        self.transport.close()

    def _wait_for_header(self) -> None:
        self._end_waiting()
        self._deadline = self.loop.call_later(_HEADER_SECONDS, self.transport.close)

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
