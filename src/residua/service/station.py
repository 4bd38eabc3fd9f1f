"""The running service: its models, threads, store and counters, put together and taken apart."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import platformdirs

from residua.errors import ConfigurationError, StoreFull, StoreInUse
from residua.images.parallel import usable_processors
from residua.locking import locked
from residua.service.access import Tokens
from residua.service.admission import Admission
from residua.service.batching import Batcher
from residua.service.keeping import Keeper
from residua.service.logs import log
from residua.service.metrics import Metrics
from residua.service.models import Reload, ServedModels
from residua.service.recalibrations import Recalibrations
from residua.service.scoring import Scoring
from residua.service.settings import ServiceSettings
from residua.service.store.addresses import FILE_NAME
from residua.service.store.store import ReviewStore

# While some wait for the disk or for Pillow's memory, others decode.
_THREADS_BESIDE = 2


class Station:
    """All that the HTTP interface calls on.

    Parameters
    ----------
    settings : ServiceSettings

    Raises
    ------
    BundleError
        A bundle cannot be used.
    ConfigurationError
        The tokens cannot be read.
    StoreError
        The review store can never be used as it is.
    """

    def __init__(self, settings: ServiceSettings) -> None:
        self.settings = settings
        self._lock: int | None = None
        self.tokens = Tokens.read(settings.tokens)
        self.admission = Admission(settings.limits)
        self.models = ServedModels(
            settings.bundles,
            threads=settings.threads,
            engine=settings.engine,
            precision=settings.precision,
            every=settings.reload_seconds,
            prepare=lambda model: self.keeper.resume_drift(model),
            reloaded=self._reloaded,
        )
        # Before any thread of the others runs: it is the last that may refuse to begin.
        self.keeper = Keeper(self._open_store, settings.retention, settings.station)
        limits = settings.limits
        threads = settings.threads or usable_processors()
        self._pool = ThreadPoolExecutor(threads + _THREADS_BESIDE, thread_name_prefix="residua-io")
        self.batcher = Batcher(
            threads + 1,  # which fills the gaps while another waits for Python's lock
            at_once=threads,
            wait=limits.batch_milliseconds / 1000,
            patience=limits.queue_seconds,
            observe=lambda *batch: self.metrics.batch(*batch),
        )
        self.metrics = Metrics(
            self.models,
            waiting=lambda: self.batcher.waiting,
            in_flight=lambda: self.admission.pictures,
            bytes_held=lambda: self.admission.bytes,
        )
        self.scoring = Scoring(
            self.batcher,
            self._pool,
            self.admission,
            self.keeper,
            self.metrics,
            limits,
        )
        self.recalibrations = Recalibrations(self.models, self.keeper, settings.retention.keep)
        try:
            self.models.start()
        except BaseException:
            self._end(save=False)
            raise
        for model in self.models:
            log("model_served", model=model.name, revision=model.revision, engine=model.engine)

    async def close(self) -> None:
        """Finish what was taken, write what is to be kept, end the threads."""
        await asyncio.to_thread(self._end, save=True)
        log("stopped")

    def _end(self, *, save: bool) -> None:
        self.models.close()
        self._pool.shutdown()  # what it decodes goes to the batcher
        self.batcher.close()
        if save:
            for model in self.models:
                self.keeper.save_drift(model)
        self.keeper.close()
        if self._lock is not None:
            os.close(self._lock)

    @property
    def place(self) -> str:
        """Where the review store is, in words."""
        return "the database" if self.settings.database else str(self._data / FILE_NAME)

    @property
    def _data(self) -> Path:
        return self.settings.data or platformdirs.user_data_path("residua")

    def _open_store(self) -> ReviewStore:
        if self.settings.database is not None:
            return ReviewStore.open(self.settings.database)
        folder = self._data
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            said = f"the folder {folder} cannot be made: {error.strerror}"
            full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
            raise (StoreFull if full else ConfigurationError)(said) from error
        self._take(folder)
        return ReviewStore.open(folder=folder)

    def _take(self, folder: Path) -> None:
        """Hold a folder against other services, whose watch for drift would overwrite this one's.

        Where no lock can be made, as on a full disk, opening the store says what is wrong.
        """
        if self._lock is not None:
            return
        with contextlib.suppress(OSError):
            self._lock = locked(folder / f"{FILE_NAME}.lock")
            if self._lock is None:
                raise StoreInUse(
                    f"another service keeps its reviews in {folder}; give this one a --data of its "
                    f"own, or both one PostgreSQL with --database and a --station name each"
                )

    def _reloaded(self, reload: Reload) -> None:
        self.metrics.reloads.labels(reload.name, "failed" if reload.model is None else "done").inc()
        if reload.model is None:
            log("reload_failed", logging.WARNING, model=reload.name, cause=reload.failure)
        else:
            log("reloaded", model=reload.name, revision=reload.model.revision)
