"""A threshold fitted anew on pictures that persons confirmed: first shown, then done."""

from __future__ import annotations

import secrets
import threading
import time
from array import array
from collections import OrderedDict
from dataclasses import dataclass

from residua.errors import BundleAltered, EmptySource, PreviewStale
from residua.images.encoded_source import EncodedSource
from residua.recalibration import RecalibrationPlan, plan_recalibration
from residua.runtime import BundleScorer
from residua.service.biases import biases_of
from residua.service.cards import limits_of
from residua.service.keeping import Keeper
from residua.service.models import ServedModels
from residua.service.schemas import RecalibrationPreview, RecalibrationRequest
from residua.service.served import ServedModel
from residua.service.settings import Keep
from residua.service.store.reviewed import Reviewed
from residua.service.store.store import ReviewStore

# A preview is of no use for long, and holds scores.
_SECONDS_VALID = 900.0
_MOST_HELD = 16
# Reviewed pictures that the old and the new limits are compared on, at most: the latest.
_MOST_COMPARED = 2_000


@dataclass(frozen=True)
class _Previewed:
    model: str
    revision: str
    request: RecalibrationRequest
    ids: array[int]
    plan: RecalibrationPlan
    until: float


class Recalibrations:
    """Previews recalibrations and carries them out when they are confirmed; thread-safe.

    Parameters
    ----------
    models : ServedModels
    keeper : Keeper
        Whose store has the reviews.
    keep : {"off", "flagged", "all"}
        What is kept, on which depends what the pictures are a sample of.
    """

    def __init__(self, models: ServedModels, keeper: Keeper, keep: Keep) -> None:
        self._models, self._keeper, self._keep = models, keeper, keep
        self._held: OrderedDict[str, _Previewed] = OrderedDict()
        self._lock = threading.Lock()
        # One preview at a time: each has all the threads that the service may have.
        self._computing = threading.Lock()

    def preview(self, name: str, request: RecalibrationRequest) -> RecalibrationPreview:
        """Fit the threshold anew, write nothing, and say what would change.

        Raises
        ------
        UnknownModel, ReviewsOff, StoreError
        EmptySource
            No picture of the sample is confirmed normal.
        ConfigurationError, InputError
            The rule cannot be fitted on them.
        PreviewStale
            The bundle on disk is not the one that is served.
        """
        model, store = self._models[name], self._keeper.store
        reviewed = _confirmed(store, name, request)
        with self._computing:
            # The threshold is for scores of what serves, whatever else is fast here.
            plan = plan_recalibration(
                model.path,
                _pictures(store, reviewed.ids),
                threshold=request.threshold,
                threads=model.threads,
                engine=model.engine,
                precision=model.precision,
                called=f"{len(reviewed):,} pictures confirmed in review",
            )
            compared = _Compared(model, store, plan)
        if self._models[name].revision != model.revision or plan.bundle.manifest != model.manifest:
            raise PreviewStale(f"the bundle of {name!r} was just replaced; preview it again")
        held = _Previewed(
            name, model.revision, request, reviewed.ids, plan, time.monotonic() + _SECONDS_VALID
        )
        biases = biases_of(
            reviewed,
            sample=request.sample,
            model=model,
            after=plan.manifest.threshold,
            keep=self._keep,
            store=store,
        )
        return _described(self._hold(held), held, compared, biases)

    def carry_out(self, name: str, confirmation: str) -> ServedModel:
        """Write what was previewed, and take it into service.

        Raises
        ------
        PreviewStale
            There is no such preview any more, or model or reviews have changed since.
        OutputError
            The bundle cannot be written.
        """
        with self._lock:
            held = self._held.pop(confirmation, None)
        if held is None or held.model != name or held.until < time.monotonic():
            raise PreviewStale("there is no such preview any more; preview it again")
        if self._models[name].revision != held.revision:
            raise PreviewStale(f"{name!r} was replaced since the preview; preview it again")
        if _confirmed(self._keeper.store, name, held.request).ids != held.ids:
            raise PreviewStale("more was reviewed since the preview; preview it again")
        try:
            held.plan.write()
        except BundleAltered as error:
            raise PreviewStale(str(error)) from error
        self._models.refresh(name)
        return self._models[name]

    def _hold(self, held: _Previewed) -> str:
        confirmation = secrets.token_urlsafe(16)
        with self._lock:
            self._held[confirmation] = held
            while len(self._held) > _MOST_HELD:
                self._held.popitem(last=False)
        return confirmation


class _Compared:
    """Reviewed pictures judged by old and new limits, all scored by the model as it is now."""

    def __init__(self, model: ServedModel, store: ReviewStore, plan: RecalibrationPlan) -> None:
        before, after = plan.bundle.manifest.threshold, plan.manifest.threshold
        self.reviewed = self.right_before = self.right_after = 0
        reviewed = store.reviewed(model.name)
        latest = reviewed.ids[-_MOST_COMPARED:]
        truths = {one.id: one.truth for one in reviewed.records()}
        if not latest:
            return
        scorer = BundleScorer(
            model.path, threads=model.threads, engine=model.engine, precision=model.precision
        )
        for verdict in scorer.verdicts(_pictures(store, latest)):
            truth = truths.get(latest[verdict.index])
            if verdict.score is None or truth is None:
                continue
            anomalous = truth == "anomalous"
            self.reviewed += 1
            self.right_before += bool(before.is_anomalous(verdict.score)) == anomalous
            self.right_after += bool(after.is_anomalous(verdict.score)) == anomalous


def _described(
    confirmation: str, held: _Previewed, compared: _Compared, biases: list[str]
) -> RecalibrationPreview:
    changes = held.plan.changes
    return RecalibrationPreview(
        confirmation=confirmation,
        revision=held.revision,
        pictures=changes.pictures,
        before=limits_of(changes.previous),
        after=limits_of(changes.threshold),
        flagged_before=changes.previously_flagged,
        flagged_after=changes.flagged,
        reviewed_right_before=compared.right_before,
        reviewed_right_after=compared.right_after,
        reviewed=compared.reviewed,
        warnings=[*biases, *held.plan.warnings],
    )


def _confirmed(store: ReviewStore, name: str, request: RecalibrationRequest) -> Reviewed:
    found = store.reviewed(name, truth="normal", sample=request.sample)
    if not len(found):
        among = " in random order" if request.sample == "random" else ""
        raise EmptySource(f"no picture of {name!r} was confirmed normal{among}; review some first")
    return found


def _pictures(store: ReviewStore, ids: array[int]) -> EncodedSource:
    return EncodedSource(
        lambda index: store.content(ids[index])[1], len(ids), ids=[str(id) for id in ids]
    )
