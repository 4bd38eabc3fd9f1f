"""`/v1/reviews`: what was kept, what persons say of it, how right the verdicts are."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response
from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from residua.service.api.common import Admin, Include, Reviewer, TheStation, refusals
from residua.service.logs import log
from residua.service.pictures import SHOWN, UNKNOWN
from residua.service.schemas import (
    Judgement,
    KeptPicture,
    Order,
    PictureResult,
    ReviewQueue,
    ReviewSummary,
)
from residua.service.store.exporting import export_zip

router = APIRouter(prefix="/v1/reviews", tags=["reviews"])
# The greatest number that both databases take.
Id = Annotated[int, Path(description="Number of a kept picture.", ge=1, le=2**63 - 1)]
OfModel = Annotated[str | None, Query(description="Of this model only.", max_length=200)]
_FILE: dict[int | str, dict[str, Any]] = {
    200: {"content": {"application/octet-stream": {}, "image/*": {}}}
}
_ZIP: dict[int | str, dict[str, Any]] = {200: {"content": {"application/zip": {}}}}


@router.get("/queue", responses=refusals(409, 422, 503))
def queue(
    station: TheStation,
    caller: Reviewer,
    model: OfModel = None,
    order: Order = "uncertain",
    limit: Annotated[int, Query(ge=1, le=200)] = 20,
) -> ReviewQueue:
    """List what waits for a person: the least certain verdicts first, or at random, or the latest.

    Only pictures of random order are a fair sample, from which precision and recall of all can be
    told.
    """
    return station.keeper.store.queue(model=model, order=order, limit=limit)


@router.get("/summary", responses=refusals(409, 422, 503))
def summary(station: TheStation, caller: Reviewer, model: OfModel = None) -> ReviewSummary:
    """Count what was kept and reviewed, with precision and recall and their intervals."""
    limit = station.settings.retention.max_bytes
    return station.keeper.store.summary(model, max_bytes=limit)


@router.get(
    "/export", response_class=StreamingResponse, responses={**refusals(409, 422, 503), **_ZIP}
)
def export(station: TheStation, caller: Reviewer, model: OfModel = None) -> StreamingResponse:
    """Download what was reviewed as a ZIP: folders normal and anomalous, and reviews.csv."""
    parts = export_zip(station.keeper.store, model=model)
    log("reviews_exported", model=model, caller=caller.name)
    return StreamingResponse(
        parts,
        media_type="application/zip",
        headers={"Content-Disposition": 'attachment; filename="reviewed.zip"'},
    )


@router.get("/{id}", responses=refusals(404, 409, 422, 503))
def get_kept(id: Id, station: TheStation, caller: Reviewer) -> KeptPicture:
    """Return what is known of a kept picture."""
    return station.keeper.store.get(id)


@router.get(
    "/{id}/picture",
    response_class=Response,
    responses={**refusals(404, 409, 422, 503), **_FILE},
)
def picture(id: Id, station: TheStation, caller: Reviewer) -> Response:
    """Return a kept picture as it was sent; a browser shows it as a picture or not at all."""
    media_type, content = station.keeper.store.content(id)
    return Response(
        content,
        media_type=media_type if media_type in SHOWN else UNKNOWN,
        headers={
            "Content-Disposition": f'attachment; filename="{id}"',
            "Content-Security-Policy": "default-src 'none'; sandbox",
            "Cache-Control": "private, no-store",
        },
    )


@router.get("/{id}/views", responses=refusals(404, 409, 422, 429, 503))
async def views(
    id: Id, station: TheStation, caller: Reviewer, include: Include = ()
) -> PictureResult:
    """Score a kept picture with the model as it is now, to see where it is suspect."""
    store = await run_in_threadpool(lambda: station.keeper.store)
    kept = await run_in_threadpool(store.get, id)
    _, content = await run_in_threadpool(store.content, id)
    model = station.models[kept.model]
    return await station.scoring.look(model, kept.name, content, frozenset(include))


@router.put("/{id}/judgement", responses=refusals(400, 404, 409, 422, 503, 507))
def judge(id: Id, judgement: Judgement, station: TheStation, caller: Reviewer) -> KeptPicture:
    """Say whether a verdict is right. The answer comes when it is safely written."""
    kept = station.keeper.store.judge(
        id, correct=judgement.correct, reviewer=caller.name, order=judgement.order
    )
    station.metrics.reviews.labels(str(judgement.correct).lower()).inc()
    return kept


@router.delete("/{id}/judgement", responses=refusals(404, 409, 422, 503, 507))
def withdraw(id: Id, station: TheStation, caller: Reviewer) -> KeptPicture:
    """Take back what was said of a picture."""
    return station.keeper.store.withdraw(id, reviewer=caller.name)


@router.delete(
    "/{id}", status_code=204, response_model=None, responses=refusals(404, 409, 422, 503, 507)
)
def remove(id: Id, station: TheStation, caller: Admin) -> None:
    """Remove a kept picture with all that was said of it."""
    station.keeper.store.remove(id)
    log("picture_removed", picture=id, caller=caller.name)
