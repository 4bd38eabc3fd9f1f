"""Methods on the features of a frozen pretrained network, given as an ONNX file.

They say what a backbone would be worth where pixels tell too little: a linear reconstruction of its
features, and the distance to the nearest ones.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors

from residua.errors import ConfigurationError

MULTIPLE = 32
"""Sides are brought to multiples of this, which most backbones need."""
COMPONENTS = 128
_BATCH = 16


class Backbone:
    """Turns pictures into feature vectors with an ONNX network.

    Parameters
    ----------
    path : path-like
        A network from pictures (B, 3, H, W) in [0, 1] to feature vectors (B, D), or to maps
        (B, C, h, w), of which the mean is taken. Of several vectors the longest counts, and maps
        only where there are no vectors.

    Raises
    ------
    ConfigurationError
        The file is no such network.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        import onnxruntime as ort

        if not Path(path).is_file():
            raise ConfigurationError(f"there is no backbone {path}; wanted an ONNX file")
        options = ort.SessionOptions()
        options.log_severity_level = 3
        try:
            self._session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise ConfigurationError(f"ONNX Runtime cannot use {path}: {error}") from error
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        vectors = [output for output in outputs if len(output.shape) == 2]
        chosen = vectors or [output for output in outputs if len(output.shape) == 4]
        if len(inputs) != 1 or len(inputs[0].shape) != 4 or not chosen:
            raise ConfigurationError(
                f"{path} has {len(inputs)} inputs and {len(outputs)} outputs; wanted one input "
                "(B, 3, H, W) and an output (B, D) or (B, C, h, w)"
            )
        self._input = inputs[0].name
        self._output = chosen[-1].name

    def features(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the features of pictures (N, H, W, C), uint8: (N, D)."""
        parts = []
        for start in range(0, len(images), _BATCH):
            x = _as_input(np.asarray(images[start : start + _BATCH]))
            (found,) = self._session.run([self._output], {self._input: x})
            parts.append(found.mean(axis=(2, 3)) if found.ndim == 4 else found)
        return np.concatenate(parts).astype(np.float32)


class BackboneReconstruction(OutlierMixin, BaseEstimator):  # type: ignore[misc]  # untyped bases
    """Scores by how badly principal components rebuild a picture's features, against their size.

    Parameters
    ----------
    backbone : path-like
        An ONNX file; see `Backbone`.
    n_components : int, default=128
        At most; fewer where there are few pictures.
    random_state : int or None, default=None
    """

    takes_pictures = True

    def __init__(
        self,
        backbone: str | os.PathLike[str],
        n_components: int = COMPONENTS,
        random_state: int | None = None,
    ) -> None:
        self.backbone = backbone
        self.n_components = n_components
        self.random_state = random_state

    def fit(self, X: NDArray[np.uint8], y: Any = None) -> Self:
        """Fit on trusted pictures (N, H, W, C), uint8."""
        self.backbone_ = Backbone(self.backbone)
        rows = self.backbone_.features(X)
        kept = max(1, min(self.n_components, len(rows) // 4, rows.shape[1] - 1))
        self.pca_ = PCA(kept, random_state=self.random_state).fit(rows)
        return self

    def score_samples(self, X: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Return minus the relative squared error of each picture (N,)."""
        rows = self.backbone_.features(X)
        rebuilt = self.pca_.inverse_transform(self.pca_.transform(rows))
        error = np.square(rows - rebuilt).sum(axis=1, dtype=np.float64)
        energy = np.square(rows).sum(axis=1, dtype=np.float64)
        return -np.asarray(error / np.maximum(energy, 1e-12), np.float64)


class BackboneNeighbours(OutlierMixin, BaseEstimator):  # type: ignore[misc]  # untyped bases
    """Scores by the mean distance to the five nearest trusted features, each of length 1.

    Parameters
    ----------
    backbone : path-like
        An ONNX file; see `Backbone`.
    n_neighbors : int, default=5
    """

    takes_pictures = True

    def __init__(self, backbone: str | os.PathLike[str], n_neighbors: int = 5) -> None:
        self.backbone = backbone
        self.n_neighbors = n_neighbors

    def fit(self, X: NDArray[np.uint8], y: Any = None) -> Self:
        """Keep the features of trusted pictures (N, H, W, C), uint8."""
        self.backbone_ = Backbone(self.backbone)
        rows = _of_length_one(self.backbone_.features(X))
        self.neighbours_ = NearestNeighbors(n_neighbors=min(self.n_neighbors, len(rows))).fit(rows)
        return self

    def score_samples(self, X: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Return minus the mean distance of each picture (N,)."""
        distances, _ = self.neighbours_.kneighbors(_of_length_one(self.backbone_.features(X)))
        return -np.asarray(distances.mean(axis=1), np.float64)


def backbone_methods(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return the methods on a backbone's features, by name.

    Raises
    ------
    ConfigurationError
        The file is no network from pictures to features.
    """
    Backbone(path)
    return {
        "features-pca": BackboneReconstruction(path),
        "features-knn": BackboneNeighbours(path),
    }


def _as_input(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Bring pictures (B, H, W, C) to (B, 3, h, w) in [0, 1], sides multiples of 32."""
    height, width = (max(MULTIPLE, round(side / MULTIPLE) * MULTIPLE) for side in images.shape[1:3])
    if images.shape[3] != 3:
        images = np.repeat(images[..., :1], 3, axis=3)
    if images.shape[1:3] != (height, width):
        images = np.stack(
            [np.asarray(Image.fromarray(picture).resize((width, height))) for picture in images]
        )
    return np.ascontiguousarray(images.transpose(0, 3, 1, 2), np.float32) / np.float32(255)


def _of_length_one(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.maximum(length, np.float32(1e-12)), np.float32)
