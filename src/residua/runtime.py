"""Scoring a bundle without torch: the bare install is enough."""

from __future__ import annotations

import os
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua.bundle import Bundle, open_bundle
from residua.engines.apart import measure_apart
from residua.engines.base import Engine, Load, Precision
from residua.engines.choice import Choice, candidates, remember, remembered
from residua.engines.opening import open_default, open_engine
from residua.engines.registry import AUTO, DEFAULT, require_engine
from residua.errors import EngineFailed, EngineReplaced
from residua.images.parallel import usable_processors
from residua.images.resolve import resolve_source
from residua.images.source import Batch, ImageSource
from residua.manifest import Manifest
from residua.scoring.verdicts import (
    ScoredBatch,
    Verdict,
    VerdictMaker,
    batch_size_for,
    scored_batches,
)

WORTH_MEASURING = 60.0
"""Seconds that ONNX Runtime would take for a source from which on other engines are tried first."""
# Fewer are not even timed.
_MANY = 1_000
# Pictures on which engines are compared.
_PROBE_PIXELS, _MOST_IN_PROBE = 1 << 21, 64

Probe = Callable[[], NDArray[np.uint8]]


class BundleScorer:
    """A saved model, ready to score.

    Parameters
    ----------
    path : path-like or URL
        The bundle's folder, of this machine or an object store.
    threads : int or None, default=None
        Threads that decode, and threads that compute; None: one for each core.
    engine : {"auto", "onnxruntime", "openvino", "torch"}, default="auto"
        What computes. auto: the one that was measured to be the fastest for this model on this
        machine, or ONNX Runtime where none was; a source that would keep it busy for a minute is
        worth measuring first. torch is not tried unasked where the network is of another package,
        which it would import. An engine that is missing, fails or, on the first pictures, gives
        other scores is replaced by ONNX Runtime, with a warning.
    precision : {"float32", "bf16"}, default="float32"
        The lowest arithmetic that may be used. bf16 is used where the scores of the first pictures
        are within 1e-3 of those of float32; see `residua.engines.base.deviation`. With "auto" the
        engines are then measured at first use.

    Attributes
    ----------
    manifest : Manifest
        What the bundle says of itself.

    Raises
    ------
    BundleError
        The bundle cannot be used; the subclass says why.
    ConfigurationError
        There is no such engine or precision.

    Examples
    --------
    >>> scorer = BundleScorer("part.residua")  # doctest: +SKIP
    >>> for verdict in scorer.verdicts("incoming/"):  # doctest: +SKIP
    ...     print(verdict.id, verdict.score, verdict.anomalous)
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        threads: int | None = None,
        engine: str = AUTO,
        precision: Precision = "float32",
    ) -> None:
        require_engine(engine, precision)
        self._bundle: Bundle = open_bundle(path)
        self._readers, self._threads = threads, threads or usable_processors()
        self._wanted, self._precision = engine, precision
        self._lock = threading.Lock()
        self._engines: dict[tuple[str, Precision, int], Engine] = {}
        self._latest: Engine | None = None
        self._choice: Choice | None = None
        self._alone: bool | None = None
        self._failed = False

    @property
    def manifest(self) -> Manifest:
        """What the bundle says of itself."""
        return self._bundle.manifest

    @property
    def calibration_scores(self) -> NDArray[np.float64]:
        """Scores of the held-out normal pictures on which the threshold was fitted (n,)."""
        return self._bundle.calibration_scores()

    @property
    def engine(self) -> Engine | None:
        """What computed last; None: nothing did yet."""
        return self._latest

    @property
    def threads(self) -> int:
        """Threads that compute."""
        return self._threads

    def score_batch(self, images: NDArray[np.uint8], *, at_once: int = 1) -> ScoredBatch:
        """Score pictures (B, H, W, C), uint8, of the model's own input size.

        Parameters
        ----------
        images : ndarray of shape (B, H, W, C), uint8
        at_once : int, default=1
            Calls that are made at the same time, among which the threads are shared out. 1: all
            threads compute this one.
        """
        return self._engine(at_once, lambda: images)(images)

    def anomaly_scores(self, data: Any) -> NDArray[np.float64]:
        """Return the score of each picture (N,): the higher, the more anomalous.

        Parameters
        ----------
        data : as of `verdicts`

        Raises
        ------
        ImageError
            A picture that cannot be read; `verdicts` goes on past it instead.
        """
        found = [np.empty(0)]
        for batch, scored in self.batches(resolve_source(data, prefer="test")):
            if batch.failures:
                raise batch.failures[0].error
            assert scored is not None
            found.append(scored.scores)
        return np.concatenate(found)

    def scored(self, data: Any) -> Iterator[tuple[list[Verdict], NDArray[np.uint8], ScoredBatch]]:
        """Score a source; yields verdicts with the pictures and all that was computed of them.

        The verdicts of a batch come in order; its pictures and results leave out unreadable ones.
        """
        source, spec = resolve_source(data, prefer="test"), self.manifest.input
        maker = VerdictMaker(source, self.manifest.threshold, self.calibration_scores)
        for batch, scored in self.batches(source):
            yield (
                maker.of(batch, scored),
                batch.images,
                scored if scored is not None else _nothing(spec.shape),
            )

    def batches(self, source: ImageSource) -> Iterator[tuple[Batch, ScoredBatch | None]]:
        """Score a source batch by batch; None stands where no picture of a batch is readable.

        Where there are more pictures than make a batch, each thread scores batches of its own.
        """
        spec = self.manifest.input
        at_once = self._threads if len(source) > self._size else 1
        engine = self._engine(at_once, cache(lambda: self._probe(source)), len(source))
        return scored_batches(
            source,
            spec,
            engine,
            workers=self._readers,
            at_once=at_once,
            size=batch_size_for(spec, on_card=engine.on_card),
        )

    def verdicts(self, data: Any) -> Iterator[Verdict]:
        """Score a folder, files, arrays or a data set, one verdict a picture, in order.

        Parameters
        ----------
        data : ImageSource, path-like, str, list or ndarray
            Whatever `residua.images.resolve_source` takes.
        """
        for rows, _, _ in self.scored(data):
            yield from rows

    def measure_engines(self, data: Any = None) -> Choice:
        """Measure what computes this model the fastest here, and remember it.

        Parameters
        ----------
        data : as of `verdicts`, or None
            Pictures to measure with, of which the first few are taken. None: noise.

        Raises
        ------
        EngineFailed
            Nothing could be measured.
        """
        source = None if data is None else resolve_source(data, prefer="test")
        with self._lock:
            return self._measured(self._probe(source))

    @property
    def _size(self) -> int:
        return batch_size_for(self.manifest.input)

    def _probe(self, source: ImageSource | None) -> NDArray[np.uint8]:
        """Return some of the source's first pictures; noise where none can be read."""
        spec = self.manifest.input
        count = int(np.clip(_PROBE_PIXELS // (spec.height * spec.width), 2, _MOST_IN_PROBE))
        if source is not None:
            first = np.arange(min(len(source), count))
            for batch in source.batches(spec, count, first, workers=self._threads):
                if len(batch.images):
                    return batch.images
        return np.random.default_rng(0).integers(0, 256, (count, *spec.shape), np.uint8)

    def _engine(self, at_once: int, probe: Probe, pictures: int | None = None) -> Engine:
        """Return the engine for so many calls at once, opened when it is first wanted.

        ``pictures`` is how many there are; None: there is no telling.
        """
        load = Load(self._threads, at_once)
        with self._lock:
            engine = self._opened(*self._chosen(load, probe, pictures), load, probe)
            self._latest = engine
        return engine

    def _opened(self, name: str, precision: Precision, load: Load, probe: Probe) -> Engine:
        key = (name, precision, load.at_once)
        if key not in self._engines:
            if name == DEFAULT:
                self._engines[key] = open_default(self._bundle, load)
            else:
                default = self._opened(DEFAULT, "float32", load, probe)
                self._engines[key] = open_engine(
                    name, precision, self._bundle, load, default, probe()
                )
        return self._engines[key]

    def _chosen(self, load: Load, probe: Probe, pictures: int | None) -> tuple[str, Precision]:
        if self._wanted != AUTO:
            return self._wanted, self._precision
        if self._alone is None:  # asked once: a service scores one picture after the other
            self._alone = len(list(candidates(self._bundle, self._precision))) == 1
            self._choice = self._choice or remembered(self._bundle, self._threads, self._precision)
        if self._alone:
            return DEFAULT, "float32"
        if self._choice is None and not self._failed and self._worth(load, probe, pictures):
            try:
                self._measured(probe())
            except EngineFailed as error:
                self._failed = True
                warnings.warn(f"{error}; ONNX Runtime computes", EngineReplaced, stacklevel=2)
        if self._choice is None:
            return DEFAULT, "float32"
        best = self._choice.best_for(pictures)
        return best.engine, best.precision

    def _worth(self, load: Load, probe: Probe, pictures: int | None) -> bool:
        """Say whether measuring is worth its time; where bf16 is asked for, it always is."""
        if self._precision != "float32":
            return True
        if pictures is None or pictures < _MANY:
            return False
        default, images = self._opened(DEFAULT, "float32", load, probe), probe()[: self._size]
        default(images)  # the first call of all takes longer
        start = time.perf_counter()
        default(images)
        each = (time.perf_counter() - start) / (len(images) * load.at_once)
        return each * pictures > WORTH_MEASURING

    def _measured(self, probe: NDArray[np.uint8]) -> Choice:
        choice = measure_apart(self._bundle, probe, self._size, self._threads, self._precision)
        remember(choice, self._bundle)
        self._choice = choice
        return choice


def _nothing(shape: tuple[int, int, int]) -> ScoredBatch:
    height, width, _ = shape
    return ScoredBatch(
        np.empty(0),
        np.empty((0, height, width), np.float32),
        np.empty((0, *shape), np.float32),
        np.empty((0, 0), np.float32),
    )
