"""`POST /v1/models/{name}/recalibration`, after its preview."""

from __future__ import annotations

from fastapi import APIRouter

from residua.service.api.common import Admin, ModelName, TheStation, refusals
from residua.service.cards import detail_of
from residua.service.logs import log
from residua.service.schemas import (
    Confirmation,
    ModelDetail,
    RecalibrationPreview,
    RecalibrationRequest,
)

router = APIRouter(prefix="/v1/models/{name}/recalibration", tags=["recalibration"])
_REFUSALS = refusals(400, 404, 409, 422, 503, 507)


@router.post("/preview", responses=_REFUSALS)
def preview(
    name: ModelName, request: RecalibrationRequest, station: TheStation, caller: Admin
) -> RecalibrationPreview:
    """Fit a model's threshold anew on pictures confirmed normal, and show what would change.

    Nothing is written. The answer holds a confirmation, with which it is done.
    """
    return station.recalibrations.preview(name, request)


@router.post("", responses=_REFUSALS)
def recalibrate(
    name: ModelName, confirmation: Confirmation, station: TheStation, caller: Admin
) -> ModelDetail:
    """Do what was previewed: the bundle on disk is replaced, and served from now on."""
    model = station.recalibrations.carry_out(name, confirmation.confirmation)
    log("recalibrated", model=name, revision=model.revision, caller=caller.name)
    return detail_of(model, station.models)
