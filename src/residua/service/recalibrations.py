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
from residua.scoring.thresholds import Threshold
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
        plan = plan_recalibration(
            model.path,
            _pictures(store, reviewed.ids),
            threshold=request.threshold,
            called=f"{len(reviewed):,} pictures confirmed in review",
        )
        if self._models[name].revision != model.revision or plan.bundle.manifest != model.manifest:
            raise PreviewStale(f"the bundle of {name!r} was just replaced; preview it again")
        held = _Previewed(
            name, model.revision, request, reviewed.ids, plan, time.monotonic() + _SECONDS_VALID
        )
        return self._described(self._hold(held), held, model, store)

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

    def _described(
        self, confirmation: str, held: _Previewed, model: ServedModel, store: ReviewStore
    ) -> RecalibrationPreview:
        changes = held.plan.changes
        before, after = changes.previous, changes.threshold
        compared = _Compared(model, store, before, after)
        return RecalibrationPreview(
            confirmation=confirmation,
            revision=model.revision,
            pictures=changes.pictures,
            before=limits_of(before),
            after=limits_of(after),
            flagged_before=changes.previously_flagged,
            flagged_after=changes.flagged,
            reviewed_right_before=compared.right_before,
            reviewed_right_after=compared.right_after,
            reviewed=compared.reviewed,
            warnings=[*self._bias(held.request), *held.plan.warnings],
        )

    def _bias(self, request: RecalibrationRequest) -> list[str]:
        """Say of what the confirmed pictures are no fair sample."""
        if self._keep == "flagged":
            return [
                "Only flagged pictures are kept, so that the normal ones among them are those "
                "that score highest. A threshold that rests on them will be far too high, and "
                "anomalies pass: keep all pictures (--keep all), and review in random order."
            ]
        if request.sample == "all":
            return [
                "Pictures that came up as the least certain ones score higher than most normal "
                "ones. A threshold that rests on them will be too high: take those of random "
                "order alone."
            ]
        return []


class _Compared:
    """Reviewed pictures judged by old and new limits, all scored by the model as it is now."""

    def __init__(
        self, model: ServedModel, store: ReviewStore, before: Threshold, after: Threshold
    ) -> None:
        self.reviewed = self.right_before = self.right_after = 0
        latest = store.reviewed(model.name).ids[-_MOST_COMPARED:]
        truths = {one.id: one.truth for one in store.reviewed(model.name).records()}
        if not latest:
            return
        source = _pictures(store, latest)
        for verdict in BundleScorer(model.path).verdicts(source):
            truth = truths.get(latest[verdict.index])
            if verdict.score is None or truth is None:
                continue
            anomalous = truth == "anomalous"
            self.reviewed += 1
            self.right_before += bool(before.is_anomalous(verdict.score)) == anomalous
            self.right_after += bool(after.is_anomalous(verdict.score)) == anomalous


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
