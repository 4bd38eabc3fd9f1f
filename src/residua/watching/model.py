"""The model that scores, replaced while it works when another one lies at its path."""

from __future__ import annotations

import os
import threading
from concurrent.futures import Future
from pathlib import PurePath

import numpy as np
from numpy.typing import NDArray

from residua.bundle import revision_of
from residua.engines.base import Precision
from residua.errors import BundleNotFound, NothingStored, ResiduaError
from residua.images.preprocess import InputSpec
from residua.runtime import BundleScorer
from residua.scoring.calibration import p_values
from residua.scoring.verdicts import ScoredBatch, batch_size_for
from residua.storage import Location, is_remote, name_of
from residua.watching.notices import Notices

_CHECK_EVERY = 1.0
_CHECK_REMOTE_EVERY = 30.0
_MOST_IN_BATCH = 16

_State = tuple[tuple[str, int, int, int], ...]
_Opened = tuple[BundleScorer, NDArray[np.float64], str]


class LiveModel:
    """A bundle that may be replaced on disk at any time.

    Parameters
    ----------
    path : path-like or URL
        At an object store it is looked every half minute, beside the scoring.
    notices : Notices
    threads, engine, precision
        As of `BundleScorer`.

    Attributes
    ----------
    revision : str
        The first 12 hexadecimal digits of the SHA-256 of the bundle's checksums.

    Raises
    ------
    BundleError
        There is no usable bundle at the path.
    """

    def __init__(
        self,
        path: Location,
        notices: Notices,
        *,
        threads: int | None = None,
        engine: str = "auto",
        precision: Precision = "float32",
    ) -> None:
        self.path = path
        self._notices = notices
        self._threads, self._engine, self._precision = threads, engine, precision
        self._state = self._seen = _state_of(path)
        self._checked = -np.inf
        self._check_every = _CHECK_REMOTE_EVERY if is_remote(path) else _CHECK_EVERY
        self._looking: Future[_Opened | None] | None = None
        self._is_broken = False
        self._take(self._opened())

    @property
    def name(self) -> str:
        """The bundle's name, as notifications have it."""
        return PurePath(name_of(self.path)).stem

    @property
    def spec(self) -> InputSpec:
        """To what pictures are brought."""
        return self._scorer.manifest.input

    @property
    def map_ceiling(self) -> float:
        """Full scale of heat maps."""
        return self._scorer.manifest.map_ceiling

    @property
    def threshold(self) -> float:
        """Scores above are anomalous."""
        return self._scorer.manifest.threshold.upper

    @property
    def batch_size(self) -> int:
        """Pictures at a time: few, since each waits for all of them."""
        return min(batch_size_for(self.spec), _MOST_IN_BATCH)

    def score(self, images: NDArray[np.uint8]) -> ScoredBatch:
        """Score pictures (B, H, W, C) of the spec.

        Raises
        ------
        EngineFailed
            Most often: there is too little memory.
        """
        return self._scorer.score_batch(images)

    def judged(self, scores: NDArray[np.float64]) -> tuple[list[bool], list[float]]:
        """Return for scores (N,), none of them NaN, whether each is anomalous, and its p-value."""
        flagged = self._scorer.manifest.threshold.is_anomalous(scores)
        return flagged.tolist(), p_values(scores, self._calibration).tolist()

    def refresh(self, now: float) -> None:
        """Take the bundle that lies at the path now, if it is another one and sound.

        It is opened when its files have stood still from one check to the next. A store may take
        its time to answer: it is asked in a thread, and a later call takes what was found.
        """
        if self._looking is not None:
            if self._looking.done():
                looked, self._looking = self._looking, None
                self._replace(looked.result())
            return
        if now - self._checked < self._check_every:
            return
        self._checked = now
        if not is_remote(self.path):
            self._replace(self._found())
            return
        self._looking = Future()
        threading.Thread(
            target=self._look, args=(self._looking,), name="residua-look", daemon=True
        ).start()

    def _look(self, answer: Future[_Opened | None]) -> None:
        try:
            answer.set_result(self._found())
        except BaseException as error:
            answer.set_exception(error)

    def _found(self) -> _Opened | None:
        """Open the bundle at the path; None: it is the one that scores, or cannot be used yet."""
        state = _state_of(self.path)
        if state is None:
            return None
        before, self._seen = self._seen, state
        if state == self._state or state != before:
            return None
        try:
            opened = self._opened()
        except ResiduaError as error:
            if _state_of(self.path) == state:
                self._state = state  # not to be opened again until it changes
                self._is_broken = True
                self._notices.say(
                    f"the bundle at {self.path} has changed and cannot be used, the one before "
                    f"goes on: {error}"
                )
            return None
        if _state_of(self.path) != state:
            return None  # replaced while it was opened: at the next check
        self._state = state
        return opened

    def _replace(self, opened: _Opened | None) -> None:
        if opened is None:
            return
        old = self.revision
        self._take(opened)
        if self.revision != old:
            self._notices.say(
                f"the bundle at {self.path} was replaced: revision {self.revision} scores from now "
                f"on, {old} did before"
            )
        elif self._is_broken:
            self._notices.say(f"the bundle at {self.path} can be used again")
        self._is_broken = False

    def _opened(self) -> _Opened:
        """Open the bundle and score once: what is wrong with it shows now, not at a picture."""
        scorer = BundleScorer(
            self.path, threads=self._threads, engine=self._engine, precision=self._precision
        )
        scorer.score_batch(np.zeros((1, *scorer.manifest.input.shape), np.uint8))
        try:
            revision = revision_of(self.path)
        except OSError as error:
            raise BundleNotFound(f"the bundle at {self.path} is gone; put it back") from error
        return scorer, np.sort(scorer.calibration_scores), revision

    def _take(self, opened: _Opened) -> None:
        self._scorer, self._calibration, self.revision = opened


def _state_of(path: Location) -> _State | None:
    """Return what changes when a file of the bundle does; None: the store does not say."""
    if is_remote(path):
        try:
            return ((revision_of(path), 0, 0, 0),)
        except OSError as error:
            return () if isinstance(error.__cause__, NothingStored) else None
    try:
        with os.scandir(path) as entries:
            found = [(entry.name, entry.stat()) for entry in entries]
    except OSError:
        return ()
    return tuple(
        sorted((name, one.st_size, one.st_mtime_ns, one.st_ctime_ns) for name, one in found)
    )
