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
        state = scope.setdefault("state", {})
        state["request_id"] = request_id
        headers = Headers(scope=scope)
        limits = self._station.settings.limits
        scores = scope["path"].endswith("/score")
        body = BoundedBody(
            receive,
            max_bytes=allowance(limits.max_bytes, limits.max_pictures) if scores else _MOST_JSON,
            seconds=limits.upload_seconds,
            admission=self._station.admission,
        )
        state["body"] = body
        status = 0

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                found = MutableHeaders(scope=message)
                found[REQUEST_ID] = request_id
                for name, value in _SECURITY.items():
                    found.setdefault(name, value)
            try:
                async with asyncio.timeout(_SEND_SECONDS):
                    await send(message)
            except TimeoutError as error:
                raise ClientDisconnect from error

        try:
            if scope["path"] not in _OF_PROBES:
                check_site(scope["method"], headers, self._station.settings.hosts)
            if scope["path"].startswith(_GUARDED):
                # Before anything else is said of the request.
                state["caller"] = self._station.tokens.caller(headers.get("authorization"))
            body.check_length(headers.get("content-length"))
            await self._app(scope, body.receive, answer)
        except ClientDisconnect:
            status = status or _CLIENT_GONE
        except Exception as error:
            if kind_of(error).status == 500:
                log("failed", logging.ERROR, error=True, request=request_id)
            self._station.metrics.problems.labels(kind_of(error).slug).inc()
            if not status:  # else it has begun, and only breaking it off says that it is not whole
                with suppress(ClientDisconnect):
                    await problem_response(error, request_id)(scope, receive, answer)
        finally:
            body.release()
            self._note(scope, status, start, request_id)

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


def problem_response(error: BaseException, request_id: str | None) -> Response:
    """Return the answer that an error is."""
    document = problem_of(error, request_id)
    return Response(
        document.model_dump_json(exclude_none=True),
        status_code=document.status,
        media_type=MEDIA_TYPE,
        headers=headers_of(error),
    )
