"""`/healthz`, `/readyz`, `/metrics` and what kinds of problems there are."""

from __future__ import annotations

from fastapi import APIRouter, HTTPException, Response
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.responses import PlainTextResponse

from residua.service.api.common import Reader, TheStation, refusals
from residua.service.problems import ALL_KINDS
from residua.service.schemas import Health, Problem

router = APIRouter(tags=["running"])


@router.head("/healthz", include_in_schema=False)
@router.get("/healthz")
async def healthz() -> Health:
    """Say that the process lives."""
    return Health(status="ok")


@router.head("/readyz", include_in_schema=False)
@router.get("/readyz")
async def readyz(station: TheStation) -> Health:
    """Say whether pictures can be scored, and what is amiss beside that; the log says why."""
    amiss = [
        f"{model.name}: the bundle on disk cannot be used, the one before it still is"
        for model in station.models
        if station.models.failure(model.name) is not None
    ]
    if station.keeper.failure is not None:
        amiss.append("the review store cannot be used")
    return Health(status="degraded" if amiss else "ok", detail=amiss)


@router.get("/metrics", response_class=PlainTextResponse, responses=refusals())
async def metrics(station: TheStation, caller: Reader) -> Response:
    """Return the running figures in Prometheus's text format."""
    return Response(station.metrics.text(), media_type=CONTENT_TYPE_LATEST)


@router.get("/problems/{slug}", responses=refusals(404))
async def problem(slug: str) -> Problem:
    """Say what a kind of problem is."""
    kind = ALL_KINDS.get(slug)
    if kind is None:
        raise HTTPException(404, f"no kind of problem is called {slug[:100]!r}")
    return Problem(
        type=f"/problems/{slug}",
        title=kind.title,
        status=kind.status,
        detail="The problem itself says what went wrong, and the way out.",
    )
