"""What the routes share: the station, who calls, and how refusals look in the OpenAPI document."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import Annotated, Any, get_origin

from fastapi import Depends, Path, Query, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.responses import Response

from residua.errors import BadRequest, UnknownName
from residua.service.access import Caller
from residua.service.problems import ALL_KINDS, MEDIA_TYPE
from residua.service.schemas import Problem, Role, View
from residua.service.station import Station

_bearer = HTTPBearer(auto_error=False, description="A token of the file given with --tokens.")


# Of coroutines, since anything else that a route depends on is sent through a thread.
async def station_of(request: Request) -> Station:
    """Return the service that answers."""
    station: Station = request.app.state.station
    return station


def _caller_with(role: Role) -> Callable[..., Coroutine[Any, Any, Caller]]:
    async def caller(
        request: Request, _: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
    ) -> Caller:
        found: Caller = request.state.caller  # the gate has asked for the token
        found.require(role)
        return found

    return caller


TheStation = Annotated[Station, Depends(station_of)]
Reader = Annotated[Caller, Depends(_caller_with("reader"))]
Reviewer = Annotated[Caller, Depends(_caller_with("reviewer"))]
Admin = Annotated[Caller, Depends(_caller_with("admin"))]
ModelName = Annotated[str, Path(description="Name of a served model.", examples=["part"])]
Include = Annotated[
    Sequence[View],
    Query(description="Pictures to send with each result, as PNG in a data URL."),
]


async def check_query(request: Request) -> None:
    """Refuse a query parameter that the route does not have, or has once: it is most often a slip.

    Raises
    ------
    UnknownName, BadRequest
    """
    known = {
        field.alias: get_origin(field.field_info.annotation)
        for field in request.scope["route"].dependant.query_params
    }
    for name in request.query_params:
        if name not in known:
            raise UnknownName.among("query parameter", name[:100], known)
        if known[name] is not Sequence and len(request.query_params.getlist(name)) > 1:
            raise BadRequest(f"the query parameter {name!r} is given twice; give it once")


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return how the OpenAPI document describes refusals of these statuses."""
    found: dict[int | str, dict[str, Any]] = {}
    for status in sorted({400, 401, 403, 500, *statuses}):
        kinds = [kind for kind in ALL_KINDS.values() if kind.status == status]
        example = {
            "type": f"/problems/{kinds[0].slug}",
            "title": kinds[0].title,
            "status": status,
            "detail": "What went wrong this time, and the way out.",
            "instance": "5c0f3f4e8b4a4f0e9d6f2f7f0b1c2d3e",
        }
        found[status] = {
            "description": "; ".join(kind.title for kind in kinds),
            "content": {
                MEDIA_TYPE: {
                    "schema": {"$ref": f"#/components/schemas/{Problem.__name__}"},
                    "example": example,
                }
            },
        }
        if status in (429, 503):
            found[status]["headers"] = {
                "Retry-After": {
                    "description": "Seconds to wait before sending it again.",
                    "schema": {"type": "integer"},
                }
            }
    return found


def json_of(record: Any) -> Response:
    """Return a record as JSON without validating it again."""
    return Response(record.model_dump_json(), media_type="application/json")
