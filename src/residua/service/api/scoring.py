"""`POST /v1/models/{name}/score`."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from residua.service.api.common import Include, ModelName, Reader, TheStation, json_of, refusals
from residua.service.bodies import read_uploads
from residua.service.pictures import answer_bytes
from residua.service.problems import MEDIA_TYPE
from residua.service.schemas import PictureResult, ScoreResponse

router = APIRouter(tags=["scoring"])
_BODY: dict[str, Any] = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": ["images"],
                "properties": {
                    "images": {
                        "type": "array",
                        "minItems": 1,
                        "items": {"type": "string", "format": "binary"},
                        "description": "One part a picture; its file name comes back as `name`.",
                    }
                },
            }
        },
        **{
            media_type: {"schema": {"type": "string", "format": "binary"}}
            for media_type in ("image/*", "application/octet-stream")
        },
    },
}
_EXAMPLE = {
    "model": "part",
    "revision": "05f2bead12ad",
    "results": [
        {
            "index": 0,
            "name": "0001.png",
            "score": 4.71,
            "verdict": "anomalous",
            "threshold": 2.93,
            "lower": None,
            "p_value": 0.004,
            "width": 1024,
            "height": 768,
            "heatmap": None,
            "reconstruction": None,
            "input": None,
            "kept": 17,
            "keeping_failed": None,
            "error": None,
        }
    ],
}
_ANSWER: dict[int | str, dict[str, Any]] = {
    200: {"content": {"application/json": {"example": _EXAMPLE}}}
}


@router.post(
    "/v1/models/{name}/score",
    response_model=ScoreResponse,
    responses={**_ANSWER, **refusals(400, 404, 408, 413, 415, 422, 429, 503)},
    openapi_extra={"requestBody": _BODY},
)
async def score(
    name: ModelName,
    request: Request,
    station: TheStation,
    caller: Reader,
    include: Include = (),
    called: Annotated[
        str, Query(alias="filename", description="Name of the picture, where it is the body.")
    ] = "",
) -> Response:
    """Score one picture or many.

    One picture goes as the body, with its own content type; many go as a form. Of a form with
    several pictures, one that cannot be read is a result with an `error`; of a single picture that
    is the answer. `429` and `503` say when to come again.
    """
    model = station.models[name]
    station.admission.check_room()
    limits = station.settings.limits
    uploads = await read_uploads(request, called=called, max_pictures=limits.max_pictures)
    request.state.body.hold(answer_bytes(model.manifest.input, include) * len(uploads))
    noted = request.state.noted = {
        "model": name,
        "pictures": len(uploads),
        "bytes": sum(len(upload.content) for upload in uploads),
    }
    results = await _unless_gone(
        request,
        station.scoring.score(
            model, uploads, frozenset(include), request_id=request.state.request_id
        ),
    )
    noted["anomalous"] = sum(result.verdict == "anomalous" for result in results)
    noted["unreadable"] = sum(result.error is not None for result in results)
    if len(results) == 1 and results[0].error is not None:
        error = results[0].error
        return Response(
            error.model_dump_json(exclude_none=True),
            status_code=error.status,
            media_type=MEDIA_TYPE,
        )
    answer = ScoreResponse(model=name, revision=model.revision, results=results)
    # Many pictures as text take the loop longer than handing them to a thread.
    return await run_in_threadpool(json_of, answer) if include else json_of(answer)


async def _unless_gone(request: Request, scoring: Any) -> list[PictureResult]:
    """Return what is scored; given up when the client goes away, as nobody waits for it."""
    work: asyncio.Task[list[PictureResult]] = asyncio.ensure_future(scoring)
    gone = asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait({work, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            raise ClientDisconnect
        return work.result()
    finally:
        gone.cancel()
        work.cancel()


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
