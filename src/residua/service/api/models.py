"""`/v1/models`, what a model is and how its scores do; `/v1/session`, who asks."""

from __future__ import annotations

from fastapi import APIRouter

from residua.service.api.common import Admin, ModelName, Reader, TheStation, refusals
from residua.service.cards import detail_of, summary_of
from residua.service.logs import log
from residua.service.schemas import ModelDetail, ModelList, Session

router = APIRouter(tags=["models"])


@router.get("/v1/session", responses=refusals())
async def session(station: TheStation, caller: Reader) -> Session:
    """Say what the caller may do, and what the service takes."""
    settings = station.settings
    return Session(
        role=caller.role,
        name=caller.name,
        keep=settings.retention.keep,
        max_bytes=settings.limits.max_bytes,
        max_pictures=settings.limits.max_pictures,
    )


@router.get("/v1/models", responses=refusals())
async def list_models(station: TheStation, caller: Reader) -> ModelList:
    """List the models that are served."""
    return ModelList(models=[summary_of(model, station.models) for model in station.models])


@router.get("/v1/models/{name}", responses=refusals(404))
def get_model(name: ModelName, station: TheStation, caller: Reader) -> ModelDetail:
    """Return a model's card: what it is, what to know of it, and its calibration scores."""
    return detail_of(station.models[name], station.models)


@router.post("/v1/models/{name}/drift/reset", responses=refusals(404))
def reset_drift(name: ModelName, station: TheStation, caller: Admin) -> ModelDetail:
    """Begin the watch for drift anew, after its cause was seen to."""
    model = station.models[name]
    model.reset_drift()
    station.keeper.save_drift(model)
    log("drift_reset", model=name, caller=caller.name)
    return detail_of(model, station.models)
