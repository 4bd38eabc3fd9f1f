"""Scores with their verdicts, one record a picture, bad pictures among them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from residua.errors import EngineFailed, ImageError
from residua.images.parallel import map_in_order
from residua.images.preprocess import InputSpec
from residua.images.source import Batch, ImageSource
from residua.scoring.calibration import discoveries, p_values
from residua.scoring.thresholds import Threshold


@dataclass(frozen=True)
class Verdict:
    """What is said of one picture. A picture that could not be read has an error instead."""

    index: int
    """Position in the source."""
    id: str
    """Path below the folder that was given, or the index as text."""
    score: float | None
    """Anomaly score; the higher, the more anomalous. None: the picture could not be read."""
    threshold: float
    """Scores above are anomalous."""
    anomalous: bool | None
    """The verdict. None: the picture could not be read."""
    label: str | None = None
    """The picture's class, where the source knows it."""
    error: str | None = None
    """Why the picture could not be read."""
    p: float | None = None
    """Share of held-out normal pictures that score as high, in (0, 1]: see
    `residua.scoring.calibration.p_values`. None: the picture could not be read."""


class ScoredBatch(NamedTuple):
    """What a model computes of a batch."""

    scores: NDArray[np.float64]
    """(B,); the higher, the more anomalous."""
    error_maps: NDArray[np.float32]
    """(B, H, W) at the model's input size."""
    x_hat: NDArray[np.float32]
    """Reconstructions (B, H, W, C) in [0, 1]; where features are rebuilt, views of the codes."""
    latent: NDArray[np.float32]
    """Codes (B, D)."""


def with_numbers(scored: ScoredBatch) -> ScoredBatch:
    """Return the results of a batch whose scores are numbers, on which a verdict is possible.

    Raises
    ------
    EngineFailed
        One is NaN or infinite: weights that are finite may overflow on some pictures, and no
        limit is below what is no number.
    """
    if scored.scores.dtype.kind != "f" or not np.isfinite(scored.scores).all():
        raise EngineFailed(
            "the model gives scores that are NaN or infinite, on which no verdict is possible; its "
            "weights may be damaged: fit anew"
        )
    return scored


MAPS_FOR_SCALE = 256
"""Normal pictures whose maps set the full scale of heat maps, about as many."""

# A batch of 28 × 28 pictures takes 7,100 images/s of one core as 32 of them, 5,900 as 256.
_PIXELS_IN_BATCH, _MOST_IN_BATCH = 1 << 16, 64
_TIMES_ON_CARD = 8

ScoreBatch = Callable[[NDArray[np.uint8]], ScoredBatch]


def scored_batches(
    source: ImageSource,
    spec: InputSpec,
    score: ScoreBatch,
    *,
    workers: int | None = None,
    at_once: int = 1,
    size: int | None = None,
) -> Iterator[tuple[Batch, ScoredBatch | None]]:
    """Score a source batch by batch; None stands where not one picture of a batch is readable.

    Parameters
    ----------
    source : ImageSource
    spec : InputSpec
    score : callable
        Called from ``at_once`` threads; from this one where that is 1.
    workers : int or None
        Threads that decode; None: one for each core.
    at_once : int
        Batches that are scored at the same time. Twice as many are held at most.
    size : int or None
        Pictures a batch. None: as many as suit a processor, `batch_size_for`.
    """

    def scored(batch: Batch) -> tuple[Batch, ScoredBatch | None]:
        return batch, score(batch.images) if len(batch.indices) else None

    # The readers end with this generator, also where a score raises.
    with contextlib.ExitStack() as stack:
        batches = source.batches(spec, size or batch_size_for(spec), workers=workers)
        if isinstance(batches, Generator):
            stack.enter_context(contextlib.closing(batches))
        yield from map_in_order(scored, batches, workers=at_once, window=2 * at_once)


def full_scale(error_maps: Sequence[NDArray[np.float32]]) -> float:
    """Return the full scale of heat maps: 99.9 % of the pixels of normal maps lie below.

    Parameters
    ----------
    error_maps : sequence of ndarray of shape (B, H, W)
        Of some `MAPS_FOR_SCALE` normal pictures. None: the scale is 0.
    """
    pixels = np.concatenate(error_maps) if error_maps else np.empty(0)
    return float(np.quantile(pixels, 0.999)) if pixels.size else 0.0


def batch_size_for(spec: InputSpec, *, on_card: bool = False) -> int:
    """Return pictures a batch: so few that the values between layers stay in the caches.

    About 2^16 pixels, and at most 64 pictures. The memory of a batch is so bounded whatever the
    size; more pictures at a time are computed slower, not faster. A card, which is idle with so
    few, gets eight times as many.
    """
    size = int(np.clip(_PIXELS_IN_BATCH // (spec.height * spec.width), 1, _MOST_IN_BATCH))
    return _TIMES_ON_CARD * size if on_card else size


class VerdictMaker:
    """Turns the batches of one source into verdicts.

    Parameters
    ----------
    source : ImageSource
        Where the pictures come from; its ids and classes are asked for once.
    threshold : Threshold
        The limits of the verdict.
    calibration_scores : ndarray of shape (n,)
        Scores of held-out normal pictures, for the p-values.
    """

    def __init__(
        self,
        source: ImageSource,
        threshold: Threshold,
        calibration_scores: NDArray[np.float64],
    ) -> None:
        self._ids = source.ids
        self._labels = source.labels
        self._threshold = threshold
        self._calibration = np.sort(calibration_scores)

    def of(self, batch: Batch, scored: ScoredBatch | None) -> list[Verdict]:
        """Return the batch's verdicts in the source's order."""
        rows = [self._row(failure.index, error=failure.error) for failure in batch.failures]
        if scored is not None:
            flagged = self._threshold.is_anomalous(scored.scores)
            p = p_values(scored.scores, self._calibration)
            columns = (batch.indices, scored.scores, flagged, p)
            rows += [
                self._row(*row) for row in zip(*(one.tolist() for one in columns), strict=True)
            ]
        return sorted(rows, key=lambda row: row.index)

    def _row(
        self,
        index: int,
        score: float | None = None,
        anomalous: bool | None = None,
        p: float | None = None,
        error: ImageError | None = None,
    ) -> Verdict:
        return Verdict(
            index=index,
            id=self._ids[index],
            score=score,
            threshold=self._threshold.upper,
            anomalous=anomalous,
            label=None if self._labels is None else self._labels[index],
            error=None if error is None else " ".join(str(error).split()),
            p=p,
        )


def judged_together(
    verdicts: Sequence[Verdict], calibration_scores: NDArray[np.float64], fdr: float
) -> list[Verdict]:
    """Return verdicts that hold for all of one batch together, in the order given.

    Of the pictures called anomalous a share ``fdr`` is expected to be normal, at most. The
    threshold has no part in it. See `residua.scoring.calibration.discoveries`, which also says
    what it warns of and refuses.
    """
    scores = [verdict.score for verdict in verdicts if verdict.score is not None]
    found = iter(discoveries(scores, calibration_scores, fdr).tolist())
    return [
        verdict if verdict.score is None else replace(verdict, anomalous=next(found))
        for verdict in verdicts
    ]
