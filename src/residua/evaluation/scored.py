"""Everything that a model says of a set of pictures, with what is known of them, in one pass."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from residua.errors import ImageError, NoReadableImage, UnreadableFile
from residua.evaluation.content import Content, border_share
from residua.evaluation.pixels import PixelTally
from residua.images.decode import printable
from residua.images.preprocess import InputSpec, fit_picture
from residua.images.source import Batch, Failure, ImageSource
from residua.manifest import Manifest
from residua.scoring.thresholds import Threshold
from residua.scoring.verdicts import ScoredBatch
from residua.storage import name_of as name_of_location


class Scorer(Protocol):
    """A fitted model: what `scorer_of` returns."""

    @property
    def manifest(self) -> Manifest:
        """What the model says of itself."""

    @property
    def calibration_scores(self) -> NDArray[np.float64]:
        """Scores of the held-out normal pictures (n,)."""

    def score_batch(self, images: NDArray[np.uint8]) -> ScoredBatch:
        """Score pictures (B, H, W, C), uint8, of the model's own input size."""

    def batches(self, source: ImageSource) -> Iterator[tuple[Batch, ScoredBatch | None]]:
        """Score a source batch by batch; None stands where no picture of a batch is readable."""


@dataclass(frozen=True)
class ScoredSet:
    """What a model says of the readable pictures of a source: N entries in each array."""

    source: ImageSource
    """Where the pictures come from."""
    manifest: Manifest
    """The model."""
    calibration_scores: NDArray[np.float64]
    """Scores of the model's held-out normal pictures (n,)."""
    index: NDArray[np.int64]
    """Position of each picture in the source (N,)."""
    ids: list[str]
    """Name of each picture."""
    labels: list[str] | None
    """Class of each picture, where the source knows it."""
    scores: NDArray[np.float64]
    """Anomaly scores (N,); the higher, the more anomalous."""
    latent: NDArray[np.float32]
    """Codes (N, D)."""
    mse: NDArray[np.float64]
    """Mean squared error of each reconstruction, pixels from 0 to 1 (N,); where features are
    rebuilt, of the view of the code."""
    content: Content
    """Simple figures of each picture."""
    border: NDArray[np.float64]
    """Share of the error in each map's outer ring (N,)."""
    pixels: PixelTally | None
    """Counts of the error maps' values against the masks; None: the source has no masks."""
    failures: tuple[Failure, ...]
    """The pictures that could not be read."""
    unusable_masks: tuple[Failure, ...]
    """The pictures whose masks could not be read, are of another size or missing where they are
    anomalous; not in ``pixels``."""
    seconds: float
    """Time that reading and scoring took."""
    anomalous: NDArray[np.bool_] | None = None
    """The truth (N,), where it is known."""

    @property
    def threshold(self) -> Threshold:
        """The model's limits."""
        return self.manifest.threshold

    @property
    def flagged(self) -> NDArray[np.bool_]:
        """The verdicts (N,)."""
        return self.threshold.is_anomalous(self.scores)

    def __len__(self) -> int:
        return len(self.scores)

    def with_truth(self, anomalous: NDArray[np.bool_]) -> ScoredSet:
        """Return the same with the truth of each picture (N,).

        An anomalous picture in which no mask marks a defect is left out of the counts of pixels:
        it would pass for sound everywhere.
        """
        if self.pixels is None:
            return replace(self, anomalous=anomalous)
        unmarked = self.pixels.unmarked(self.index[anomalous].tolist())
        why = UnreadableFile("no mask marks where this anomalous picture is defective")
        names = dict(zip(self.index.tolist(), self.ids, strict=True))
        return replace(
            self,
            anomalous=anomalous,
            pixels=self.pixels.without(set(unmarked)),
            unusable_masks=(
                *self.unusable_masks,
                *(Failure(index, names[index], why) for index in unmarked),
            ),
        )


class Views(NamedTuple):
    """Some pictures with what the model makes of them."""

    images: NDArray[np.uint8]
    """(K, H, W, C) at the model's input size."""
    x_hat: NDArray[np.float32]
    """Reconstructions (K, H, W, C) in [0, 1]."""
    error_maps: NDArray[np.float32]
    """(K, H, W)."""


def scorer_of(model: Any, *, threads: int | None = None) -> Scorer:
    """Return what scores pictures: of a bundle's path, a `BundleScorer` or a fitted detector.

    Raises
    ------
    BundleError
        The path is of no usable bundle.
    """
    if isinstance(model, str | os.PathLike):
        from residua.runtime import BundleScorer

        return BundleScorer(model, threads=threads)
    if hasattr(model, "manifest_"):
        return _Detector(model, threads)
    scorer: Scorer = model
    return scorer


def score_source(
    model: Any,
    source: ImageSource,
    *,
    truth: NDArray[np.bool_] | None = None,
    workers: int | None = None,
) -> ScoredSet:
    """Score every picture of a source and keep what evaluation, figures and advice need.

    Memory grows with the number of pictures by a few hundred bytes and the code of each, and where
    there are masks by 9 kB a picture and a defect; pictures and maps are let go batch by batch.

    Parameters
    ----------
    model : path-like, BundleScorer or AutoencoderDetector
    source : ImageSource
    truth : ndarray of bool, shape (len(source),), or None
        Which of the source's pictures are anomalous. None: not known.
    workers : int or None
        Threads that decode and compute; None: one for each core. A `BundleScorer` has its own.

    Raises
    ------
    NoReadableImage
        Not one picture can be read.
    """
    scorer = scorer_of(model, threads=workers)
    spec = scorer.manifest.input
    started = time.perf_counter()
    index: list[NDArray[np.int64]] = []
    columns: list[tuple[NDArray[Any], ...]] = []
    content: list[Content] = []
    failures: list[Failure] = []
    unusable: list[Failure] = []
    tally = PixelTally() if source.has_masks else None
    for batch, scored in scorer.batches(source):
        failures += batch.failures
        if scored is None:
            continue
        index.append(batch.indices)
        difference = batch.images / np.float32(255) - scored.x_hat
        mse = np.square(difference).mean((1, 2, 3), dtype=np.float64)
        columns.append((scored.scores, scored.latent, mse, border_share(scored.error_maps)))
        content.append(Content.of(batch.images))
        if tally is not None:
            unusable += _add_masked(tally, source, batch, scored.error_maps, spec)
    if not index:
        raise NoReadableImage(
            f"not one of {len(source):,} pictures can be read"
            + (f": {failures[0].id}: {failures[0].error}" if failures else "")
        )
    positions = np.concatenate(index)
    scores, latent, mse, border = (np.concatenate(part) for part in zip(*columns, strict=True))
    ids, labels = source.ids, source.labels
    scored_set = ScoredSet(
        source=source,
        manifest=scorer.manifest,
        calibration_scores=scorer.calibration_scores,
        index=positions,
        ids=[ids[position] for position in positions],
        labels=None if labels is None else [labels[position] for position in positions],
        scores=scores,
        latent=latent,
        mse=mse,
        content=Content.joined(content),
        border=border,
        pixels=tally,
        failures=tuple(failures),
        unusable_masks=tuple(unusable),
        seconds=time.perf_counter() - started,
    )
    return scored_set if truth is None else scored_set.with_truth(truth[positions])


def view(model: Any, source: ImageSource, positions: Sequence[int] | NDArray[np.int64]) -> Views:
    """Return some pictures of a source (readable ones, by position) as the model sees them."""
    parts = list(_views(scorer_of(model), source, np.asarray(positions, dtype=np.int64)))
    if parts:
        return Views(*(np.concatenate(part) for part in zip(*parts, strict=True)))
    height, width, channels = scorer_of(model).manifest.input.shape
    return Views(
        np.empty((0, height, width, channels), np.uint8),
        np.empty((0, height, width, channels), np.float32),
        np.empty((0, height, width), np.float32),
    )


def _views(
    scorer: Scorer, source: ImageSource, positions: NDArray[np.int64]
) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.float32]]]:
    for batch in source.batches(scorer.manifest.input, 64, positions):
        if batch.failures:
            raise batch.failures[0].error
        scored = scorer.score_batch(batch.images)
        yield batch.images, scored.x_hat, scored.error_maps


class _Detector:
    """A fitted `AutoencoderDetector` as a `Scorer`."""

    def __init__(self, detector: Any, threads: int | None) -> None:
        self._detector, self._threads = detector, threads
        self.manifest: Manifest = detector.manifest_
        self.calibration_scores: NDArray[np.float64] = detector.calibration_scores_

    def score_batch(self, images: NDArray[np.uint8]) -> ScoredBatch:
        """Score pictures (B, H, W, C), uint8, of the model's own input size."""
        scored: ScoredBatch = self._detector.score_batch(images)
        return scored

    def batches(self, source: ImageSource) -> Iterator[tuple[Batch, ScoredBatch | None]]:
        """Score a source batch by batch; None stands where no picture of a batch is readable."""
        found: Iterator[tuple[Batch, ScoredBatch | None]]
        found = self._detector.batches(source, workers=self._threads)
        return found


def _add_masked(
    tally: PixelTally,
    source: ImageSource,
    batch: Batch,
    error_maps: NDArray[np.float32],
    spec: InputSpec,
) -> list[Failure]:
    """Count the batch's maps; returns the pictures whose masks cannot be used."""
    unusable = []
    for index, error_map in zip(batch.indices.tolist(), error_maps, strict=True):
        try:
            mask = source.mask(index)
        except ImageError as error:
            unusable.append(Failure(index, source.ids[index], error))
            continue
        tally.add(error_map, None if mask is None else fit_mask(mask, spec), picture=index)
    return unusable


def fit_mask(mask: NDArray[np.bool_], spec: InputSpec) -> NDArray[np.bool_]:
    """Bring a mask (h, w) to the model's input size, as its picture is brought there."""
    grey = spec.model_copy(update={"channels": 1, "background": (0, 0, 0)})
    level = fit_picture(Image.fromarray(mask.astype(np.uint8) * 255), grey)[..., 0]
    marked = level >= 128
    # A defect thinner than a pixel of the map would vanish.
    return marked if marked.any() or not mask.any() else level > 0


def name_of(data: Any) -> str:
    """Return what to call a model or pictures in a title."""
    if isinstance(data, str | os.PathLike):
        return printable(name_of_location(data) or str(data))
    if isinstance(data, list | tuple):
        return f"{len(data):,} files"
    return type(data).__name__
