"""One revision of a saved model, open and warm."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from residua.bundle import revision_of
from residua.engines.base import Precision
from residua.runtime import BundleScorer
from residua.scoring.drift import DriftState, DriftWatch
from residua.scoring.verdicts import ScoredBatch, batch_size_for
from residua.storage import Location


class ServedModel:
    """A model that is served: its bundle at the time it was opened, whatever is on disk now.

    Parameters
    ----------
    name : str
        Under which it is served.
    path : path-like or URL
        The bundle.
    threads, engine, precision
        As for `residua.runtime.BundleScorer`.

    Raises
    ------
    BundleError
        The bundle cannot be used; the subclass says why.
    """

    def __init__(
        self,
        name: str,
        path: Location,
        *,
        threads: int | None,
        engine: str,
        precision: Precision,
    ) -> None:
        self.name, self.path = name, path
        self.revision = revision_of(path)
        self._scorer = BundleScorer(path, threads=threads, engine=engine, precision=precision)
        self.manifest = self._scorer.manifest
        self.calibration_scores: NDArray[np.float64] = np.sort(self._scorer.calibration_scores)
        self.loaded = datetime.now(UTC)
        self.batch_size = batch_size_for(self.manifest.input)
        self._drift = DriftWatch(self.calibration_scores)
        self._drift_lock = threading.Lock()
        self.fooled_by: tuple[str, ...] | None = None
        """Simple pictures that pass for the most normal ones, by family. None: not tried yet."""
        self._warm_up()

    @property
    def threads(self) -> int:
        """Threads that compute."""
        return self._scorer.threads

    @property
    def engine(self) -> str:
        """What computed last, by name."""
        return "none" if self._scorer.engine is None else self._scorer.engine.name

    @property
    def precision(self) -> Precision:
        """Arithmetic of what computed last."""
        return "float32" if self._scorer.engine is None else self._scorer.engine.precision

    def compute(self, images: NDArray[np.uint8], *, at_once: int) -> ScoredBatch:
        """Score pictures (B, H, W, C) of the model's input size; called from many threads."""
        return self._scorer.score_batch(images, at_once=at_once)

    def observe(self, scores: list[float]) -> DriftState | None:
        """Add scores to those watched for drift; return the state where a look was made."""
        with self._drift_lock:
            looks = self._drift.state.looks
            self._drift.add(scores)
            state = self._drift.state
        return state if state.looks > looks else None

    @property
    def drift(self) -> DriftState:
        """The scores that came in against those of calibration."""
        with self._drift_lock:
            return self._drift.state

    def drift_record(self) -> str:
        """Return the watch for drift, to go on with it after a restart."""
        with self._drift_lock:
            return self._drift.to_json()

    def resume_drift(self, record: str) -> None:
        """Go on with a watch for drift that an earlier process began.

        Raises
        ------
        ConfigurationError
            The record is of other calibration scores.
        """
        with self._drift_lock:
            self._drift = DriftWatch.from_json(self.calibration_scores, record)

    def reset_drift(self) -> None:
        """Begin the watch for drift anew."""
        with self._drift_lock:
            self._drift.reset()

    def _warm_up(self) -> None:
        """Open the engine for one call and for many, so that nothing is read from disk later."""
        blank = np.zeros((1, *self.manifest.input.shape), np.uint8)
        for at_once in {1, self.threads}:
            self.compute(blank, at_once=at_once)
