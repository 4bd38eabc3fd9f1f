"""Keeping scored pictures for review, without letting the store hold up or stop the scoring."""

from __future__ import annotations

import json
import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from residua.errors import ReviewsOff, StoreError, StoreTooNew, StoreUnavailable
from residua.service.logs import log
from residua.service.served import ServedModel
from residua.service.settings import Retention
from residua.service.store.pictures import NewPicture
from residua.service.store.store import ReviewStore

# Seconds in which a store that failed is not asked again, so that no request waits for it.
_RESPITE = 5.0
_BETWEEN_CLEANINGS = 60.0
_MOST_TOGETHER = 64


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

    Raises
    ------
    StoreError
        The store can never be used as it is. One that is only away is tried again later.
    """

    def __init__(self, open_store: Callable[[], ReviewStore], retention: Retention) -> None:
        self._open_store, self._retention = open_store, retention
        self._store: ReviewStore | None = None
        self._opening = threading.Lock()
        self._away_until = 0.0
        self._failure: StoreError | None = None
        self._queue: queue.Queue[_ToKeep | Callable[[ReviewStore], None] | None] = queue.Queue()
        if retention.keep != "off":
            self._open_at_start()
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
        return None if self._failure is None else str(self._failure)

    @property
    def store(self) -> ReviewStore:
        """The store, opened if it was not.

        Raises
        ------
        ReviewsOff
            Nothing is kept.
        StoreError
            It cannot be opened.
        """
        if not self.on:
            raise ReviewsOff("the service keeps nothing; start it with --keep flagged or all")
        if self._store is None:
            with self._opening:
                if self._store is None:
                    if self._resting is not None:
                        raise StoreUnavailable(str(self._resting)) from self._resting
                    try:
                        self._store = self._open_store()
                    except StoreError as error:
                        self._note(error)
                        raise
        return self._store

    def keep(self, pictures: Sequence[NewPicture]) -> Future[list[int | None]]:
        """Have pictures kept; the future gives their ids once they are safe, or a `StoreError`."""
        one = _ToKeep(pictures)
        self._queue.put(one)
        return one.ids

    def save_drift(self, model: ServedModel, station: str) -> None:
        """Have the watch for drift of a model written, some time."""
        record: dict[str, Any] = json.loads(model.drift_record())
        name, revision = model.name, model.revision
        self._queue.put(lambda store: store.save_drift_state(name, revision, station, record))

    def resume_drift(self, model: ServedModel, station: str) -> None:
        """Have a model go on with the watch for drift that was written for this revision."""
        if not self.on:
            return
        try:
            record = self.store.drift_state(model.name, model.revision, station)
            if record is not None:
                model.resume_drift(json.dumps(record))
        except Exception as error:  # of no use is no harm: the watch begins anew
            log("drift_not_resumed", logging.WARNING, model=model.name, cause=str(error))

    def close(self) -> None:
        """Write what is still to be written, then close the store."""
        self._queue.put(None)
        self._writer.join()
        if self._store is not None:
            self._store.close()

    def _open_at_start(self) -> None:
        try:
            self._store = self._open_store()
        except StoreTooNew:
            raise
        except StoreUnavailable as error:
            self._note(error)

    def _write(self) -> None:
        cleaned = time.monotonic() - _BETWEEN_CLEANINGS
        while True:
            try:
                first = self._queue.get(timeout=_BETWEEN_CLEANINGS)
            except queue.Empty:
                first = lambda _: None  # noqa: E731
            if first is None:
                return
            last = self._write_together(first)
            if self.on and time.monotonic() - cleaned >= _BETWEEN_CLEANINGS:
                cleaned = time.monotonic()
                self._clean()
            if last:
                return

    def _write_together(self, first: _ToKeep | Callable[[ReviewStore], None]) -> bool:
        """Write what is queued; True: it was the last."""
        together: list[_ToKeep] = []
        item: _ToKeep | Callable[[ReviewStore], None] | None = first
        while True:
            if item is None:
                self._commit(together)
                return True
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
        return False

    def _commit(self, together: list[_ToKeep]) -> None:
        if not together:
            return
        pictures = [picture for one in together for picture in one.pictures]
        if self._resting is not None:  # not noted anew, or the store would never be asked again
            for one in together:
                one.ids.set_exception(self._resting)
            return
        try:
            ids = self.store.keep(pictures, max_bytes=self._retention.max_bytes)
        except Exception as error:
            self._note(error if isinstance(error, StoreError) else StoreUnavailable(str(error)))
            for one in together:
                one.ids.set_exception(self._failure or error)
            return
        self._recover()
        rest = iter(ids)
        for one in together:
            one.ids.set_result([next(rest) for _ in one.pictures])

    def _attempt(self, act: Callable[[ReviewStore], None]) -> None:
        if not self.on or self._resting is not None:
            return
        try:
            act(self.store)
        except Exception as error:
            self._note(error if isinstance(error, StoreError) else StoreUnavailable(str(error)))
        else:
            self._recover()

    def _clean(self) -> None:
        days = self._retention.days
        max_age = None if days is None else timedelta(days=days)

        def clean(store: ReviewStore) -> None:
            while removed := store.retain(
                now=datetime.now(UTC), max_age=max_age, max_bytes=self._retention.max_bytes
            ):
                log("pictures_removed", pictures=removed)

        self._attempt(clean)

    @property
    def _resting(self) -> StoreError | None:
        """The failure after which the store is not asked again yet."""
        return self._failure if time.monotonic() < self._away_until else None

    def _recover(self) -> None:
        if self._failure is not None:
            log("store_back")
        self._failure = None

    def _note(self, error: StoreError) -> None:
        if self._failure is None:
            log("store_failed", logging.WARNING, cause=str(error))
        self._failure = error
        self._away_until = time.monotonic() + _RESPITE
