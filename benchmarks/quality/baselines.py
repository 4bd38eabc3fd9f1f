"""What the detector has to beat: scores of the same pictures that cost next to nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quality.protocols import Pictures
from residua.comparison.adapters import anomaly_scores, as_input
from residua.comparison.backbone import BackboneNeighbours, BackboneReconstruction
from residua.comparison.methods import METHODS, Circumstances
from residua.comparison.pixels import flat_spec
from residua.evaluation.scored import ScoredSet
from residua.experiments.caltech import BACKBONE_SIDE
from residua.images.preprocess import InputSpec
from residua.images.source import ImageSource


@dataclass(frozen=True)
class Setting:
    """What a baseline may look at."""

    pictures: Pictures
    scored: ScoredSet
    """The test pictures as the fitted detector scored them."""
    backbone: Path
    seed: int


Baseline = Callable[[Setting], NDArray[np.float64]]
"""Returns a score for each scored picture (N,): the higher, the more anomalous."""


def gradient_energy(setting: Setting) -> NDArray[np.float64]:
    """Score by the mean squared difference of neighbouring grey levels; nothing is learned."""
    return setting.scored.content.gradient


def pca(setting: Setting) -> NDArray[np.float64]:
    """Score by the error of the reconstruction from 32 principal components."""
    spec = flat_spec(setting.scored.manifest.input)
    train = read(setting.pictures.trusted, spec)
    spread = int(np.prod(spec.shape))
    method = METHODS["pca"].build(Circumstances(len(train), spread, spec, setting.seed, None))
    return _fitted_scores(method, train, setting, spec)


def features_pca(setting: Setting) -> NDArray[np.float64]:
    """Score by the error of a linear reconstruction of the backbone's features."""
    return _on_features(BackboneReconstruction(setting.backbone), setting)


def features_knn(setting: Setting) -> NDArray[np.float64]:
    """Score by the distance to the five nearest of the backbone's features."""
    return _on_features(BackboneNeighbours(setting.backbone), setting)


BASELINES: Mapping[str, Baseline] = MappingProxyType(
    {
        "gradient energy": gradient_energy,
        "pca": pca,
        "features-pca": features_pca,
        "features-knn": features_knn,
    }
)


def _on_features(method: Any, setting: Setting) -> NDArray[np.float64]:
    spec = InputSpec(height=BACKBONE_SIDE, width=BACKBONE_SIDE, channels=3)
    return _fitted_scores(method, read(setting.pictures.trusted, spec), setting, spec)


def _fitted_scores(
    method: Any, train: NDArray[np.uint8], setting: Setting, spec: InputSpec
) -> NDArray[np.float64]:
    method.fit(as_input(method, train))
    return anomaly_scores(method, read(setting.pictures.test, spec, setting.scored.index))


def read(
    source: ImageSource, spec: InputSpec, indices: NDArray[np.int64] | None = None
) -> NDArray[np.uint8]:
    """Return the readable ones of some pictures (N, H, W, C); of all where none are named."""
    return np.concatenate([batch.images for batch in source.batches(spec, 64, indices)])
