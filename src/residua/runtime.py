"""Scoring a bundle with ONNX Runtime: no torch, and the bare install is enough."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua.bundle import Bundle, Manifest, open_bundle
from residua.errors import BundleError
from residua.images.resolve import resolve_source
from residua.scoring.verdicts import (
    ScoredBatch,
    Verdict,
    VerdictMaker,
    scored_batches,
)


class BundleScorer:
    """A saved model, ready to score.

    Parameters
    ----------
    path : path-like
        The bundle's folder.
    threads : int or None, default=None
        Threads that decode, and threads of ONNX Runtime; None: one for each core.

    Attributes
    ----------
    manifest : Manifest
        What the bundle says of itself.

    Raises
    ------
    BundleError
        The bundle cannot be used; the subclass says why.

    Examples
    --------
    >>> scorer = BundleScorer("part.residua")  # doctest: +SKIP
    >>> for verdict in scorer.verdicts("incoming/"):  # doctest: +SKIP
    ...     print(verdict.id, verdict.score, verdict.anomalous)
    """

    def __init__(self, path: str | os.PathLike[str], *, threads: int | None = None) -> None:
        self._bundle: Bundle = open_bundle(path)
        self._threads = threads
        self._session = _session(self._bundle.graph, threads)

    @property
    def manifest(self) -> Manifest:
        """What the bundle says of itself."""
        return self._bundle.manifest

    @property
    def calibration_scores(self) -> NDArray[np.float64]:
        """Scores of the held-out normal pictures on which the threshold was fitted (n,)."""
        return self._bundle.calibration_scores()

    def score_batch(self, images: NDArray[np.uint8]) -> ScoredBatch:
        """Score pictures (B, H, W, C), uint8, of the model's own input size."""
        return ScoredBatch(*self._session.run(list(ScoredBatch._fields), {"images": images}))

    def scored(self, data: Any) -> Iterator[tuple[list[Verdict], NDArray[np.uint8], ScoredBatch]]:
        """Score a source; yields verdicts with the pictures and all that was computed of them.

        The verdicts of a batch come in order; its pictures and results leave out unreadable ones.
        """
        source, spec = resolve_source(data, prefer="test"), self.manifest.input
        maker = VerdictMaker(source, self.manifest.threshold, self.calibration_scores)
        batches = scored_batches(source, spec, self.score_batch, workers=self._threads)
        for batch, scored in batches:
            yield (
                maker.of(batch, scored),
                batch.images,
                scored if scored is not None else _nothing(spec.shape),
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


def _nothing(shape: tuple[int, int, int]) -> ScoredBatch:
    height, width, _ = shape
    return ScoredBatch(
        np.empty(0),
        np.empty((0, height, width), np.float32),
        np.empty((0, *shape), np.float32),
        np.empty((0, 0), np.float32),
    )


def _session(graph: Path, threads: int | None) -> Any:
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads or 0
    options.log_severity_level = 3
    try:
        return ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise BundleError(f"ONNX Runtime cannot use {graph}: {error}") from error
