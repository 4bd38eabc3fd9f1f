"""A model whose scores a test chooses, and studies of small arrays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from residua import AutoencoderDetector
from residua.advice.study import Study
from residua.evaluation.scored import ScoredSet, score_source, scorer_of
from residua.images.source import ArraySource, ImageSource
from residua.scoring.thresholds import build_rule
from residua.scoring.verdicts import ScoredBatch, scored_batches

Score = Callable[[NDArray[np.float64]], NDArray[np.float64]]


class Fake:
    """Scores pictures by any function of their levels (B, H, W, C) from 0 to 1."""

    def __init__(
        self, manifest: Any, score: Score, calibration: NDArray[np.float64], rule: str
    ) -> None:
        threshold = build_rule(rule).fit(calibration)
        settings = manifest.settings.model_copy(update={"threshold": rule})
        self.manifest = manifest.model_copy(update={"threshold": threshold, "settings": settings})
        self.calibration_scores = calibration
        self._score = score

    def score_batch(self, images: NDArray[np.uint8]) -> ScoredBatch:
        level = images / 255
        x_hat = np.repeat(level.mean((1, 2), keepdims=True), level.shape[1], 1)
        x_hat = np.repeat(x_hat, level.shape[2], 2).astype(np.float32)
        maps = np.square(level - x_hat).mean(-1).astype(np.float32)
        latent = level.reshape(len(level), -1)[:, ::7].astype(np.float32)
        return ScoredBatch(self._score(level), maps, x_hat, latent)

    def batches(self, source: ImageSource) -> Any:
        return scored_batches(source, self.manifest.input, self.score_batch)


@pytest.fixture
def study_of(detector: AutoencoderDetector) -> Callable[..., Study]:
    def build(
        images: Any,
        *,
        scores: Any = None,
        score: Score | None = None,
        labels: Any = None,
        anomalous: Any = None,
        calibration: Any = None,
        rule: str = "percentile(95)",
        training: Any = None,
        manifest: dict[str, Any] | None = None,
        spec: dict[str, Any] | None = None,
        **columns: Any,
    ) -> Study:
        source = images if isinstance(images, ImageSource) else ArraySource(images, labels)
        saved = detector.manifest_
        if spec is not None:
            saved = saved.model_copy(update={"input": saved.input.model_copy(update=spec)})
        if manifest is not None:
            saved = saved.model_copy(update=manifest)
        given = score or (lambda level: level.mean((1, 2, 3)))
        calibration = np.linspace(0, 1, 200) if calibration is None else np.asarray(calibration)
        fake = Fake(saved, given, calibration, rule)
        scored: ScoredSet = score_source(fake, source)
        if scores is not None:
            columns["scores"] = np.asarray(scores, dtype=np.float64)
        scored = replace(scored, **columns)
        if anomalous is not None:
            scored = scored.with_truth(np.asarray(anomalous, dtype=bool))
        trained = training
        if training is not None and not isinstance(training, ImageSource):
            trained = ArraySource(training)
        return Study(scorer_of(fake), scored, trained)

    return build


@pytest.fixture
def noise() -> Callable[..., NDArray[np.uint8]]:
    def make(n: int, side: int = 16, seed: int = 0, channels: int | None = None) -> Any:
        shape = (n, side, side) if channels is None else (n, side, side, channels)
        return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)

    return make
