"""Keeping scored pictures for review, without letting the store hold up or stop the scoring."""

from __future__ import annotations

import asyncio
import json
import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from residua.errors import ReviewsOff, StoreError, StoreFull, StoreUnavailable
from residua.service.aging import Aging
from residua.service.logs import log
from residua.service.served import ServedModel
from residua.service.settings import Retention
from residua.service.store.pictures import NewPicture
from residua.service.store.store import ReviewStore

# Seconds in which a store that failed is not asked again, so that no request waits for it.
_RESPITE = 5.0
# Seconds that an answer waits for its pictures to be kept.
_PATIENCE = 5.0
_BETWEEN_CLEANINGS, _WHILE_CLEANING = 60.0, 1.0
_MOST_TOGETHER = 64

Act = Callable[[ReviewStore], None]


@dataclass(eq=False)
class _ToKeep:
    pictures: Sequence[NewPicture]
    ids: Future[list[int | None]] = field(default_factory=Future)


class Keeper:
    """Writes what is kept, the pictures of many requests in one transaction, and cleans up.

    Parameters
    ----------
    open_store : callable
        Opens the store, or raises `StoreError`.
    retention : Retention
    station : str
        Under which the watches for drift are written.

    Raises
    ------
    StoreTooNew, ConfigurationError
        The store can never be used as it is. One that is away or full is tried again later.
    """

    def __init__(
        self, open_store: Callable[[], ReviewStore], retention: Retention, station: str
    ) -> None:
        self._open_store, self._retention, self._station = open_store, retention, station
        self._aging = Aging()
        self._store: ReviewStore | None = None
        self._opening = threading.Lock()
        # Its class and its words: an error itself would hold whatever raised it.
        self._failure: tuple[type[StoreError], str] | None = None
        self._away_until = 0.0
        self._unresumed: set[ServedModel] = set()
        self._queue: queue.Queue[_ToKeep | Act | None] = queue.Queue()
        if self.on:
            try:
                self._store = open_store()
            except (StoreUnavailable, StoreFull) as error:
                self.note(error)
        self._writer = threading.Thread(target=self._write, name="residua-keep", daemon=True)
        self._writer.start()

    @property
    def on(self) -> bool:
        """Whether anything is kept."""
        return self._retention.keep != "off"

    def wants(self, *, anomalous: bool) -> bool:
        """Say whether a picture of such a verdict is kept."""
        return self._retention.keep == "all" or (self._retention.keep == "flagged" and anomalous)

    @property
    def failure(self) -> str | None:
        """Why the store cannot be used at the moment; None: it can, as far as is known."""
        failure = self._failure
        return None if failure is None else failure[1]

    @property
    def store(self) -> ReviewStore:
        """The store, opened if it was not.

        Raises
        ------
        ReviewsOff
            Nothing is kept.
        StoreError
            It cannot be opened, or failed a moment ago.
        """
        if not self.on:
            raise ReviewsOff("the service keeps nothing; start it with --keep flagged or all")
        resting = self._resting()
        if resting is not None:
            raise resting
        if self._store is None:
            with self._opening:
                if self._store is None:
                    try:
                        self._store = self._open_store()
                    except StoreError as error:
                        self.note(error)
                        raise
        return self._store

    async def keep(self, pictures: Sequence[NewPicture]) -> list[int | None]:
        """Keep pictures; return their ids once they are safe, None for those that were not kept.

        Raises
        ------
        StoreError
            The store failed, or does not answer in time; they may be kept later all the same.
        """
        one = _ToKeep(pictures)
        self._queue.put(one)
        try:
            async with asyncio.timeout(_PATIENCE):
                # Shielded: who goes away does not take the pictures of others with him.
                return await asyncio.shield(asyncio.wrap_future(one.ids))
        except TimeoutError as error:
            raise StoreUnavailable(
                f"the review store has not answered within {_PATIENCE:g} s"
            ) from error

    def save_drift(self, model: ServedModel) -> None:
        """Have the watch for drift of a model written, some time; where nothing is kept, never."""
        if not self.on:
            return

        def save(store: ReviewStore) -> None:
            if model in self._unresumed:
                self._resume(store, model)
            record = json.loads(model.drift_record())
            store.save_drift_state(model.name, model.revision, self._station, record)

        self._queue.put(save)

    def resume_drift(self, model: ServedModel) -> None:
        """Have a model go on with the watch for drift that was written for this revision.

        Where the store is away it is done before the watch is written for the first time.
        """
        if not self.on:
            return
        self._unresumed.add(model)
        try:
            self._resume(self.store, model)
        except StoreError as error:
            log("drift_not_resumed", logging.WARNING, model=model.name, cause=str(error))

    def note(self, error: StoreError) -> None:
        """Take down that the store failed, and leave it alone for a while."""
        if self._failure is None:
            log("store_failed", logging.WARNING, cause=str(error))
        self._failure = type(error), str(error)
        self._away_until = time.monotonic() + _RESPITE

    def close(self) -> None:
        """Write what is still to be written, then close the store."""
        self._queue.put(None)
        self._writer.join()
        if self._store is not None:
            self._store.close()

    def _resume(self, store: ReviewStore, model: ServedModel) -> None:
        record = store.drift_state(model.name, model.revision, self._station)
        self._unresumed.discard(model)
        if record is None:
            return
        try:
            model.resume_drift(json.dumps(record))
        except Exception as error:  # one that is of no use is no harm: the watch begins anew
            log("drift_not_resumed", logging.WARNING, model=model.name, cause=str(error))

    def _write(self) -> None:
        clean_at = time.monotonic()
        while True:
            try:
                item = self._queue.get(timeout=max(0.0, clean_at - time.monotonic()))
            except queue.Empty:
                clean_at = time.monotonic() + (
                    _WHILE_CLEANING if self._clean() else _BETWEEN_CLEANINGS
                )
                continue
            if item is None or not self._write_together(item):
                return

    def _write_together(self, item: _ToKeep | Act | None) -> bool:
        """Write what is queued, up to so many pictures; False: that was the last."""
        together: list[_ToKeep] = []
        while item is not None:
            if isinstance(item, _ToKeep):
                together.append(item)
            else:
                self._attempt(item)
            if sum(len(one.pictures) for one in together) >= _MOST_TOGETHER:
                break
            try:
                item = self._queue.get_nowait()
            except queue.Empty:
                break
        self._commit(together)
        return item is not None

    def _commit(self, together: list[_ToKeep]) -> None:
        pictures = [picture for one in together for picture in one.pictures]
        ids: list[int | None] = []

        def keep(store: ReviewStore) -> None:
            ids.extend(store.keep(pictures, max_bytes=self._retention.max_bytes))

        failure = self._attempt(keep) if pictures else None
        rest = iter(ids)
        for one in together:
            if failure is None:
                one.ids.set_result([next(rest) for _ in one.pictures])
            else:  # an error each: one that is raised often would grow with each
                kind, said = failure
                one.ids.set_exception(kind(said))

    def _attempt(self, act: Act) -> tuple[type[StoreError], str] | None:
        """Do something with the store; return why it failed, None where it did not."""
        resting = self._resting()
        if resting is not None:
            return type(resting), str(resting)
        try:
            act(self.store)
        except StoreError as error:
            self.note(error)
            return type(error), str(error)
        except Exception as error:  # this thread must not end
            log("failed", logging.ERROR, error=True, what="keeping")
            return StoreUnavailable, f"the review store failed: {type(error).__name__}"
        if self._failure is not None:
            log("store_back")
        self._failure = None
        return None

    def _clean(self) -> bool:
        """Remove some of what is too old or too much; True: there may be more."""
        removed = 0

        def clean(store: ReviewStore) -> None:
            nonlocal removed
            days, now = self._retention.days, self._aging.now()
            removed = store.retain(
                now=now or datetime.now(UTC),
                max_age=None if days is None or now is None else timedelta(days=days),
                max_bytes=self._retention.max_bytes,
            )

        if self.on:
            self._attempt(clean)
        if removed:
            log("pictures_removed", pictures=removed)
        return removed > 0

    def _resting(self) -> StoreError | None:
        """Return the failure after which the store is not asked again yet, as a new error."""
        failure = self._failure
        if failure is None or time.monotonic() >= self._away_until:
            return None
        kind, said = failure
        return kind(said)
