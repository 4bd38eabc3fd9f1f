"""Scoring a bundle without torch: the bare install is enough."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua.bundle import Bundle, Manifest, open_bundle
from residua.engines.apart import measure_apart
from residua.engines.base import Engine, Load, Precision
from residua.engines.choice import Choice, candidates, remember, remembered
from residua.engines.opening import open_default, open_engine
from residua.engines.registry import AUTO, DEFAULT, require_engine
from residua.errors import EngineFailed, EngineReplaced
from residua.images.parallel import usable_processors
from residua.images.preprocess import InputSpec
from residua.images.resolve import resolve_source
from residua.images.source import Batch, ImageSource
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

Probe = Callable[[], NDArray[np.uint8]]


class BundleScorer:
    """A saved model, ready to score.

    Parameters
    ----------
    path : path-like
        The bundle's folder.
    threads : int or None, default=None
        Threads that decode, and threads that compute; None: one for each core.
    engine : {"auto", "onnxruntime", "openvino", "torch"}, default="auto"
        What computes. auto: the one that was measured to be the fastest for this model on this
        machine, or ONNX Runtime where none was; a source that would keep it busy for a minute is
        worth measuring first. An engine that is missing, fails or gives other scores is replaced
        by ONNX Runtime, with a warning.
    precision : {"float32", "bf16"}, default="float32"
        The lowest arithmetic that may be used. Scores of bf16 are within 1e-3 of those of float32,
        or are not used; see `residua.engines.base.deviation`.

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
        self._threads = threads or usable_processors()
        self._wanted, self._precision = engine, precision
        self._engines: dict[int, Engine] = {}
        self._latest: Engine | None = None

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

    def score_batch(self, images: NDArray[np.uint8]) -> ScoredBatch:
        """Score pictures (B, H, W, C), uint8, of the model's own input size, by all threads."""
        return self._engine(1, lambda: images)(images)

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
        at_once = self._threads if len(source) > batch_size_for(spec) else 1
        engine = self._engine(at_once, lambda: self._probe(source, spec), len(source))
        return scored_batches(source, spec, engine, workers=self._threads, at_once=at_once)

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
        probe = self._probe(source, self.manifest.input)
        self._engines.clear()
        return self._measured(probe)

    def _probe(self, source: ImageSource | None, spec: InputSpec) -> NDArray[np.uint8]:
        """Return a batch of the source's first pictures; noise where none can be read."""
        size = batch_size_for(spec)
        if source is not None:
            first = np.arange(min(len(source), size))
            for batch in source.batches(spec, size, first, workers=self._threads):
                if len(batch.images):
                    return batch.images
        return np.random.default_rng(0).integers(0, 256, (size, *spec.shape), np.uint8)

    def _engine(self, at_once: int, probe: Probe, pictures: int | None = None) -> Engine:
        """Return the engine for so many calls at once, opened when it is first wanted.

        ``pictures`` is how many there are; None: there is no telling.
        """
        if at_once not in self._engines:
            load = Load(self._threads, at_once)
            wanted = (
                self._fastest(load, probe, pictures)
                if self._wanted == AUTO
                else (self._wanted, self._precision)
            )
            self._engines[at_once] = (
                open_default(self._bundle, load)
                if wanted[0] == DEFAULT
                else open_engine(*wanted, self._bundle, load, probe())
            )
        self._latest = self._engines[at_once]
        return self._latest

    def _fastest(self, load: Load, probe: Probe, pictures: int | None) -> tuple[str, Precision]:
        if len(list(candidates(self._precision))) == 1:
            return DEFAULT, "float32"
        choice = remembered(self._bundle, self._threads, self._precision)
        if choice is None and pictures is not None and self._takes_long(load, probe, pictures):
            choice = self._tried(probe())
        if choice is None:
            return DEFAULT, "float32"
        best = choice.best_for(pictures)
        return best.engine, best.precision

    def _tried(self, probe: NDArray[np.uint8]) -> Choice | None:
        """Return what was measured, or say why nothing was."""
        try:
            return self._measured(probe)
        except EngineFailed as error:
            warnings.warn(f"{error}; ONNX Runtime computes", EngineReplaced, stacklevel=2)
            return None

    def _measured(self, probe: NDArray[np.uint8]) -> Choice:
        choice = measure_apart(self._bundle, probe, self._threads, self._precision)
        remember(choice, self._bundle)
        return choice

    def _takes_long(self, load: Load, probe: Probe, pictures: int) -> bool:
        if pictures < _MANY:
            return False
        default, images = open_default(self._bundle, load), probe()
        default(images)  # the first call of all takes longer
        start = time.perf_counter()
        default(images)
        each = (time.perf_counter() - start) / (len(images) * load.at_once)
        return each * pictures > WORTH_MEASURING


def _nothing(shape: tuple[int, int, int]) -> ScoredBatch:
    height, width, _ = shape
    return ScoredBatch(
        np.empty(0),
        np.empty((0, height, width), np.float32),
        np.empty((0, *shape), np.float32),
        np.empty((0, 0), np.float32),
    )
