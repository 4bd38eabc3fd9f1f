"""One case from one seed: fit, score, and what comes of it."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from quality.baselines import BASELINES, Setting
from quality.kept import Rate
from quality.protocols import Pictures
from quality.singles import no_singles
from residua.errors import ResiduaWarning, TooFewImages
from residua.evaluation.scored import Scorer, score_source, scorer_of
from residua.images.source import Batch, ImageSource
from residua.scoring.thresholds import build_rule
from residua.scoring.verdicts import ScoredBatch, scored_batches

LIMITS = ("conformal(0.01)", "conformal(0.05)")
AHEAD = "ahead"
"""AUROC less the greatest of the baselines'."""


Singles = Callable[[Any, Pictures], Mapping[str, NDArray[np.float64]]]


class Measurement(NamedTuple):
    """What one fitted detector gave."""

    threshold: str
    fit_seconds: float
    score_seconds: float
    measured: dict[str, float]
    baselines: dict[str, float]
    other_scores: dict[str, float]
    rates: list[Rate]
    notes: list[str]


def measure(
    detector: Any,
    pictures: Pictures,
    *,
    baselines: Sequence[str] = (),
    backbone: Path,
    seed: int,
    singles: Singles = no_singles,
    limits: Sequence[str] = LIMITS,
) -> Measurement:
    """Fit a detector on the trusted pictures and score the test pictures.

    Parameters
    ----------
    detector : AutoencoderDetector
        Not fitted.
    pictures : Pictures
    baselines : sequence of str
        Names from `quality.baselines.BASELINES`.
    backbone : Path
        For those of them that work on features.
    seed : int
        For those of them that draw.
    singles : callable
        Takes the fitted detector and the pictures; returns scores of its beside its own, by name.
    limits : sequence of str
        Threshold rules whose rates of false positives are measured.

    Raises
    ------
    ResiduaError
        The fit failed, or a test picture cannot be read.
    KeyboardInterrupt
        The fit was interrupted.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        started = time.perf_counter()
        detector.fit(pictures.trusted)
        # A fit that is interrupted keeps its best weights; they are no result of the table.
        if detector.interrupted_:
            raise KeyboardInterrupt
        fit_seconds = time.perf_counter() - started
        scorer = _Timed(scorer_of(detector))
        scored = score_source(scorer, pictures.test, truth=pictures.anomalous)
    if scored.failures:
        raise scored.failures[0].error
    truth = pictures.anomalous[scored.index]
    measured = {
        "auroc": float(roc_auc_score(truth, scored.scores)),
        "tpr": float(scored.flagged[truth].mean()),
        "fpr": float(scored.flagged[~truth].mean()),
    }
    if scored.pixels is not None:
        # The point alone is used, so the least resampling will do.
        measured["pixel_auroc"] = scored.pixels.metrics(n_resamples=2)["pixel_auroc"].value
    setting = Setting(pictures, scored, backbone, seed)
    beside = _ranked(truth, {name: BASELINES[name](setting) for name in baselines})
    if beside:
        measured[AHEAD] = measured["auroc"] - max(beside.values())
    calibration, normal = scored.calibration_scores, scored.scores[~truth]
    return Measurement(
        threshold=scored.threshold.rule,
        fit_seconds=fit_seconds,
        score_seconds=scorer.seconds,
        measured=measured,
        baselines=beside,
        other_scores=_ranked(truth, singles(detector, pictures)),
        rates=[rate_of(limit, calibration, normal) for limit in limits],
        notes=_worth_saying(caught),
    )


def rate_of(rule: str, calibration: NDArray[np.float64], normal: NDArray[np.float64]) -> Rate:
    """Fit a limit on calibration scores (n,) and count the unseen normal scores (m,) beyond it."""
    limit = build_rule(rule)
    flagged, refused = 0, None
    try:
        flagged = int(limit.fit(calibration).is_anomalous(normal).sum())
    except TooFewImages as error:
        refused = " ".join(str(error).split())
    return Rate(
        rule=rule,
        n_calibration=len(calibration),
        n_normal=len(normal),
        flagged=flagged,
        promised=limit.promised_rate,
        refused=refused,
    )


class _Timed:
    """A scorer that adds up the time of its network, without decoding and counting."""

    def __init__(self, scorer: Scorer) -> None:
        self._scorer = scorer
        self.manifest = scorer.manifest
        self.calibration_scores = scorer.calibration_scores
        self.seconds = 0.0

    def score_batch(self, images: NDArray[np.uint8]) -> ScoredBatch:
        """Score pictures (B, H, W, C), uint8, of the model's own input size."""
        started = time.perf_counter()
        scored = self._scorer.score_batch(images)
        self.seconds += time.perf_counter() - started
        return scored

    def batches(self, source: ImageSource) -> Iterator[tuple[Batch, ScoredBatch | None]]:
        """Score a source batch by batch."""
        return scored_batches(source, self.manifest.input, self.score_batch)


def _ranked(
    truth: NDArray[np.bool_], scores: Mapping[str, NDArray[np.float64]]
) -> dict[str, float]:
    return {name: float(roc_auc_score(truth, values)) for name, values in scores.items()}


def _worth_saying(caught: list[warnings.WarningMessage]) -> list[str]:
    said = [
        " ".join(str(warning.message).split())
        for warning in caught
        if issubclass(warning.category, ResiduaWarning)
    ]
    return list(dict.fromkeys(said))
