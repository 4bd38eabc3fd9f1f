"""A detector that learns one number, and rows of pictures that it tells apart."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self

import numpy as np
import pytest
from numpy.typing import NDArray

from quality.protocols import Pictures
from quality.rows import Goal, Row
from quality.run import Runner
from residua.images.preprocess import InputSpec
from residua.images.source import ArraySource, ImageSource
from residua.scoring.thresholds import build_rule
from residua.scoring.verdicts import ScoredBatch

SPEC = InputSpec(height=8, width=8, channels=1)
GOAL = Goal("auroc", "AUROC", 0.9)


class FakeDetector:
    """Scores by the distance from the mean grey level of the trusted pictures."""

    interrupted_ = False

    def __init__(self, **parameters: Any) -> None:
        self._parameters = {"model": "conv", "device": "auto", "verbose": 0, **parameters}

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        return dict(self._parameters)

    def set_params(self, **parameters: Any) -> Self:
        self._parameters |= parameters
        return self

    def fit(self, source: ImageSource) -> Self:
        (batch,) = source.batches(SPEC, len(source))
        self._level = batch.images.mean() / 255
        held_out = batch.images[: max(2, len(source) // 2)]
        self.calibration_scores_ = self.score_batch(held_out).scores
        threshold = build_rule("percentile(99)").fit(self.calibration_scores_)
        self.manifest_ = SimpleNamespace(input=SPEC, threshold=threshold)
        return self

    def score_batch(self, images: NDArray[np.uint8]) -> ScoredBatch:
        x = (images / 255).astype(np.float32)
        x_hat = np.full_like(x, self._level)
        scores = np.abs(x.mean((1, 2, 3)) - self._level).astype(np.float64)
        return ScoredBatch(
            scores, np.abs(x - x_hat)[..., 0], x_hat, np.zeros((len(x), 2), np.float32)
        )


def make_pictures(
    *, seed: int = 0, trusted: int = 400, normal: int = 60, odd: int = 40, masks: bool = False
) -> Pictures:
    """Grey pictures: normal ones around one level, odd ones with a light corner."""
    rng = np.random.default_rng(seed)
    images = rng.normal(100, 5, (trusted + normal + odd, 1, 1)) + rng.normal(
        0, 2, (trusted + normal + odd, 8, 8)
    )
    images[trusted + normal :, :4, :4] += 120
    images = images.clip(0, 255).astype(np.uint8)
    marked = np.zeros(images.shape, bool)
    marked[trusted + normal :, :4, :4] = True
    test = ArraySource(images[trusted:], masks=marked[trusted:] if masks else None)
    return Pictures(ArraySource(images[:trusted]), test, np.arange(normal + odd) >= normal)


def make_row(name: str, cases: tuple[str, ...] = ("all",), **others: Any) -> Row:
    """Return a row of pictures that differ by case and seed."""

    def pictures(case: str, seed: int) -> Pictures:
        return make_pictures(seed=100 * seed + cases.index(case))

    return Row(name, f"{name}'s title", "grey pictures", pictures, (GOAL,), cases, **others)


@pytest.fixture(autouse=True)
def _no_collection(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fits that hold no memory need none of what gives it back, a second each."""
    monkeypatch.setattr("gc.collect", lambda: 0)


@pytest.fixture
def backbone(tmp_path: Path) -> Path:
    path = tmp_path / "backbone.onnx"
    path.write_bytes(b"weights")
    return path


@pytest.fixture
def runner(backbone: Path) -> Runner:
    return Runner(FakeDetector, backbone, say=lambda text: None)
