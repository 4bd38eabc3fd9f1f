"""The HTTP interface as one ASGI application."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from types import MappingProxyType
from typing import Any

from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from starlette.exceptions import HTTPException
from starlette.responses import Response

from residua import __version__
from residua.errors import ResiduaError, StoreUnavailable
from residua.service.api import models, page, recalibrating, reviews, running, scoring
from residua.service.api.common import check_query
from residua.service.gate import Gate, problem_response
from residua.service.logs import log
from residua.service.problems import BY_STATUS, INTERNAL, MEDIA_TYPE, Kind, kind_of, problem
from residua.service.schemas import Problem
from residua.service.settings import ServiceSettings
from residua.service.station import Station

_ABOUT = """Finds the images that don't belong. Send pictures to `score`; each answer says how
suspect a picture is, where, and how sure that is. What was kept can be reviewed, and a threshold
be fitted anew on pictures that persons confirmed. Every refusal is a problem document, RFC 9457."""


_DETAILS: Mapping[int, str] = MappingProxyType(
    {
        404: "nothing is at this path; /openapi.json lists what there is",
        405: "this path is not asked for by this method; /openapi.json says by which",
    }
)


def create_app(settings: ServiceSettings) -> FastAPI:
    """Build the service; its models are opened at once, its threads end with its lifespan.

    Parameters
    ----------
    settings : ServiceSettings

    Raises
    ------
    BundleError, ConfigurationError, StoreError
        It cannot serve as it is told to.
    """
    station = Station(settings)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await station.close()

    app = FastAPI(
        title="Residua",
        version=__version__,
        description=_ABOUT,
        lifespan=lifespan,
        docs_url=None,  # they would fetch their scripts from elsewhere
        redoc_url=None,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
    )
    app.state.station = station
    for module in (scoring, models, reviews, recalibrating):
        app.include_router(module.router, dependencies=[Depends(check_query)])
    for beside in (running, page):
        app.include_router(beside.router)
    app.add_exception_handler(ResiduaError, _refused)
    app.add_exception_handler(HTTPException, _not_answered)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]
    app.add_middleware(Gate, station=station)
    return app


def _request_id(request: Request) -> str | None:
    return getattr(request.state, "request_id", None)


async def _refused(request: Request, error: Exception) -> Response:
    station: Station = request.app.state.station
    kind = kind_of(error)
    if kind is INTERNAL:
        raise error
    if kind.status == 500:
        log("failed", logging.ERROR, error=True, request=_request_id(request))
    if isinstance(error, StoreUnavailable):
        station.keeper.note(error)
    station.metrics.problems.labels(kind.slug).inc()
    return problem_response(error, _request_id(request))


async def _not_answered(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    cause = error.__cause__
    if isinstance(cause, ResiduaError):  # raised while the framework read the body
        return await _refused(request, cause)
    kind = BY_STATUS.get(error.status_code) or Kind("refused", error.status_code, "Refused")
    said = str(error.detail)
    if said == HTTPStatus(error.status_code).phrase:
        said = _DETAILS.get(error.status_code, said)
    return _document(request, kind, said, dict(error.headers or {}))


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    found = "; ".join(
        f"{'.'.join(str(part) for part in one['loc'])}: {one['msg']}, not {one['input']!r:.100}"
        for one in error.errors()
    )
    return _document(request, BY_STATUS[422], found, {})


def _document(request: Request, kind: Kind, detail: str, headers: dict[str, str]) -> Response:
    station: Station = request.app.state.station
    station.metrics.problems.labels(kind.slug).inc()
    return Response(
        problem(kind, detail[:2_000], _request_id(request)).model_dump_json(exclude_none=True),
        status_code=kind.status,
        media_type=MEDIA_TYPE,
        headers=headers,
    )


def _openapi(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI document; every refusal in it is a problem document."""
    if app.openapi_schema is None:
        schema = get_openapi(
            title=app.title,
            version=app.version,
            description=app.description,
            routes=app.routes,
            license_info=app.license_info,
        )
        schemas = schema["components"]["schemas"]
        schemas[Problem.__name__] = Problem.model_json_schema()
        for unused in ("HTTPValidationError", "ValidationError"):
            schemas.pop(unused, None)
        station: Station = app.state.station
        if not station.tokens.wanted:
            for methods in schema["paths"].values():
                for operation in methods.values():
                    operation.pop("security", None)
        app.openapi_schema = schema
    return app.openapi_schema
