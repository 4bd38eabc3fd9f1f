"""The first and last thing of every request: its id, its bounds, its problem document, its line."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from typing import Any
from uuid import uuid4

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from residua.service.access import check_site
from residua.service.bodies import BoundedBody, allowance
from residua.service.logs import log
from residua.service.problems import MEDIA_TYPE, headers_of, kind_of, problem_of
from residua.service.station import Station

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

REQUEST_ID = "X-Request-ID"
# JSON that the interface takes is a few words.
_MOST_JSON = 16_384
_CLIENT_GONE = 499
# Time in which a client takes a piece of its answer.
_SEND_SECONDS = 30.0
_GUARDED = ("/v1/", "/metrics")
# Asked by the machine's own address, whatever the service is called.
_OF_PROBES = ("/healthz", "/readyz")
_SECURITY = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class Gate:
    """ASGI middleware around the whole interface.

    Parameters
    ----------
    app : ASGI application
    station : Station
    """

    def __init__(self, app: App, station: Station) -> None:
        self._app, self._station = app, station

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start, request_id = time.perf_counter(), uuid4().hex
        body = self._body(scope, receive)
        scope.setdefault("state", {}).update(request_id=request_id, body=body)
        answer = _Answer(send, request_id)
        try:
            self._check(scope, body)
            await self._app(scope, body.receive, answer.send)
        except ClientDisconnect:
            answer.status = answer.status or _CLIENT_GONE
        except Exception as error:
            if kind_of(error).status == 500:
                log("failed", logging.ERROR, error=True, request=request_id)
            self._station.metrics.problems.labels(kind_of(error).slug).inc()
            if not answer.status:  # else only breaking it off says that it is not whole
                with suppress(ClientDisconnect):
                    await problem_response(error, request_id)(scope, receive, answer.send)
        finally:
            body.release()
            self._note(scope, answer.status, start, request_id)

    def _body(self, scope: Scope, receive: Receive) -> BoundedBody:
        limits = self._station.settings.limits
        scores = scope["path"].endswith("/score")
        return BoundedBody(
            receive,
            max_bytes=allowance(limits.max_bytes, limits.max_pictures) if scores else _MOST_JSON,
            seconds=limits.upload_seconds,
            admission=self._station.admission,
        )

    def _check(self, scope: Scope, body: BoundedBody) -> None:
        """Refuse, before anything else is said of the request, who may not ask."""
        headers = Headers(scope=scope)
        if scope["path"] not in _OF_PROBES:
            check_site(scope["method"], headers, self._station.settings.hosts)
        if scope["path"].startswith(_GUARDED):
            caller = self._station.tokens.caller(headers.get("authorization"))
            scope["state"]["caller"] = caller
        body.check_length(headers.get("content-length"))

    def _note(self, scope: Scope, status: int, start: float, request_id: str) -> None:
        seconds = time.perf_counter() - start
        route = getattr(scope.get("route"), "path", "other")
        method = scope["method"] if status != 405 else "other"
        self._station.metrics.requests.labels(method, route, str(status)).inc()
        self._station.metrics.seconds.labels(route).observe(seconds)
        caller = scope["state"].get("caller")
        log(
            "request",
            request=request_id,
            method=method,
            route=route,
            status=status,
            milliseconds=round(1000 * seconds, 1),
            caller=None if caller is None else caller.name,
            **scope["state"].get("noted", {}),
        )


class _Answer:
    """An answer on its way: its status, and what every answer has in its header."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send, self._request_id = send, request_id
        self.status = 0
        """0: it has not begun."""

    async def send(self, message: Message) -> None:
        """Send a piece, as ASGI does; a client that does not take it is gone."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            headers[REQUEST_ID] = self._request_id
            for name, value in _SECURITY.items():
                headers.setdefault(name, value)
        try:
            async with asyncio.timeout(_SEND_SECONDS):
                await self._send(message)
        except TimeoutError as error:
            raise ClientDisconnect from error


def problem_response(error: BaseException, request_id: str | None) -> Response:
    """Return the answer that an error is."""
    document = problem_of(error, request_id)
    return Response(
        document.model_dump_json(exclude_none=True),
        status_code=document.status,
        media_type=MEDIA_TYPE,
        headers=headers_of(error),
    )
