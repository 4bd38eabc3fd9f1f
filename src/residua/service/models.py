"""The models that are served, each replaced when its bundle on disk is."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from residua.bundle import open_bundle, revision_of
from residua.engines.base import Precision
from residua.errors import BundleError, ResiduaError, StorageError, UnknownModel, nearest_names
from residua.service.logs import log
from residua.service.served import ServedModel
from residua.service.trap import families_that_fool
from residua.storage import Location, as_local, is_remote

# Looks at an absent bundle before it counts as gone: a replacement is two renames.
_LOOKS_ABSENT = 5
# Seconds between looks at a bundle in an object store: each is a request, and costs.
_SECONDS_REMOTE = 30.0


Signature = tuple[tuple[str, int, int], ...]


class Reload(NamedTuple):
    """What came of a bundle that was found altered on disk."""

    name: str
    model: ServedModel | None
    """The new revision. None: it cannot be used."""
    failure: str | None


class ServedModels:
    """Serves models by name; a bundle replaced on disk is opened beside the old one, then swapped.

    Who has taken a model goes on with it, so that no request notices. Nothing runs before `start`.

    Parameters
    ----------
    bundles : mapping of str to path-like or URL
        Bundles by name.
    threads, engine, precision
        As for `residua.runtime.BundleScorer`.
    every : float
        Seconds between looks at the disk; at an object store it is looked every half minute.
    prepare : callable
        Called with each model before it is served, the first ones at `start`.
    reloaded : callable
        Called with each `Reload`, from the thread that looks or calls `refresh`.

    Raises
    ------
    BundleError
        A bundle cannot be used.
    """

    def __init__(
        self,
        bundles: Mapping[str, Location],
        *,
        threads: int | None = None,
        engine: str = "auto",
        precision: Precision = "float32",
        every: float = 1.0,
        prepare: Callable[[ServedModel], None] | None = None,
        reloaded: Callable[[Reload], None] | None = None,
    ) -> None:
        self._paths = dict(bundles)
        self._threads, self._engine, self._precision = threads, engine, precision
        self._every = every
        self._prepare = prepare or (lambda _: None)
        self._reloaded = reloaded or (lambda _: None)
        self._models = {name: self._open(name) for name in self._paths}
        self._failures: dict[str, str] = {}
        self._failed_revision: dict[str, str] = {}
        self._verified: dict[str, Signature] = {}
        self._absent = dict.fromkeys(self._paths, 0)
        self._due = dict.fromkeys(self._paths, 0.0)
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._watch = threading.Thread(target=self._look, name="residua-reload", daemon=True)
        self._trap = ThreadPoolExecutor(1, thread_name_prefix="residua-trap")

    def start(self) -> None:
        """Prepare the models, begin to look at the disk, and spring the trap beside it all."""
        for model in self:
            self._prepare(model)
        for model in self:
            self._trap.submit(self._try_simple, model)
        self._watch.start()

    def __iter__(self) -> Iterator[ServedModel]:
        return iter([self._models[name] for name in self._paths])

    def __getitem__(self, name: str) -> ServedModel:
        """Return the revision now served.

        Raises
        ------
        UnknownModel
            No model of that name is served.
        """
        model = self._models.get(name)
        if model is None:
            raise UnknownModel(
                f"no model is called {name[:100]!r} here; {nearest_names(name[:100], self._paths)}"
            )
        return model

    def failure(self, name: str) -> str | None:
        """Return why the bundle on disk is not the one that is served; None: it is."""
        return self._failures.get(name)

    def refresh(self, name: str) -> Reload | None:
        """Look at a model's bundle; None: nothing has changed."""
        with self._lock:
            found = self._refreshed(name)
        if found is not None:
            self._reloaded(found)
        if found is not None and found.model is not None:
            self._trap.submit(self._try_simple, found.model)
        return found

    def close(self) -> None:
        """End looking; also where it was never begun."""
        self._ended.set()
        if self._watch.ident is not None:
            self._watch.join()
        self._trap.shutdown(cancel_futures=True)

    def _look(self) -> None:
        while not self._ended.wait(self._every):
            for name, path in self._paths.items():
                if time.monotonic() < self._due[name]:
                    continue
                if is_remote(path):
                    self._due[name] = time.monotonic() + _SECONDS_REMOTE
                try:
                    self.refresh(name)
                except Exception:  # of one look: the next ones are to come all the same
                    log("look_failed", logging.ERROR, error=True, model=name)

    def _try_simple(self, model: ServedModel) -> None:
        try:
            model.fooled_by = families_that_fool(model, ended=self._ended.is_set)
        except Exception as error:  # the card is without it
            log("trap_failed", logging.WARNING, model=model.name, cause=str(error))

    def _refreshed(self, name: str) -> Reload | None:
        try:
            revision = revision_of(self._paths[name])
        except OSError as error:
            return self._missing(name, error)
        self._absent[name] = 0
        if revision == self._models[name].revision:
            return self._still_sound(name)
        if revision == self._failed_revision.get(name):
            return None
        try:
            model = self._open(name)
            self._prepare(model)
        except Exception as error:  # whatever is wrong with it, the old one goes on
            if not self._still(name, revision):
                return None  # replaced while it was read; the next look sees it
            self._failed_revision[name] = revision
            return self._failed(name, _why(error))
        self._models[name] = model
        self._failures.pop(name, None)
        self._failed_revision.pop(name, None)
        return Reload(name, model, None)

    def _still_sound(self, name: str) -> Reload | None:
        """Verify the bundle that is served, where a file of it was touched on disk."""
        self._failed_revision.pop(name, None)
        signature = _signature_of(self._paths[name])
        if signature == self._verified.get(name):
            return None
        self._verified[name] = signature
        try:
            open_bundle(self._paths[name])
        except StorageError:  # the store went away: not known, so looked at again
            del self._verified[name]
            return None
        except ResiduaError as error:
            return self._failed(name, str(error))
        self._failures.pop(name, None)
        return None

    def _missing(self, name: str, error: OSError) -> Reload | None:
        self._absent[name] += 1
        if self._absent[name] != _LOOKS_ABSENT:
            return None
        self._verified.pop(name, None)  # whatever comes back is looked at anew
        return self._failed(name, f"{self._paths[name]} cannot be read: {error.strerror}")

    def _failed(self, name: str, why: str) -> Reload:
        self._failures[name] = why
        return Reload(name, None, why)

    def _still(self, name: str, revision: str) -> bool:
        try:
            return revision_of(self._paths[name]) == revision
        except OSError:
            return False

    def _open(self, name: str) -> ServedModel:
        path = self._paths[name]
        try:
            model = ServedModel(
                name,
                path,
                threads=self._threads,
                engine=self._engine,
                precision=self._precision,
            )
        except OSError:
            open_bundle(path)  # says by name what is wrong
            raise
        if not self._still(name, model.revision):
            raise BundleError(f"{path} was replaced while it was read")
        return model


def _why(error: Exception) -> str:
    """Say what is wrong; of an error that nobody foresaw, its kind too."""
    known = isinstance(error, ResiduaError | OSError)
    return str(error) if known else f"{type(error).__name__}: {error}"


def _signature_of(path: Location) -> Signature:
    """Return what changes when a file of a bundle does, without reading any.

    Of one in an object store a copy is served, which nobody touches.
    """
    local = as_local(path)
    if local is None:
        return ()
    try:
        files = [(file.name, file.stat()) for file in sorted(Path(local).iterdir())]
    except OSError:
        return ()
    return tuple((name, stat.st_size, stat.st_mtime_ns) for name, stat in files)
