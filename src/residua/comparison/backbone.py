"""Methods on the features of a frozen pretrained network, given as an ONNX file.

They say what a backbone would be worth where pixels tell too little: a linear reconstruction of its
features, and the distance to the nearest ones.
"""

from __future__ import annotations

import os
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors

from residua.features.backbone import CHANNELS, Backbone

MULTIPLE = 32
"""Sides are brought to multiples of this, which most backbones need."""
COMPONENTS = 128
_BATCH = 16


def descriptors(backbone: Backbone, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return what a backbone makes of pictures as a whole.

    Parameters
    ----------
    backbone : Backbone
        Its last vector counts, and the mean of its last map only where there are no vectors.
    images : ndarray of shape (N, H, W, C), uint8
        Of several channels that are no colours only the first is looked at.

    Returns
    -------
    ndarray of shape (N, D), float32

    Raises
    ------
    ConfigurationError
        The network does not take pictures of this size.
    """
    output = (backbone.vectors or backbone.all_maps)[-1]
    parts = []
    for start in range(0, len(images), _BATCH):
        (found,) = backbone.run(_fitting(np.asarray(images[start : start + _BATCH])), (output,))
        parts.append(found.mean(axis=(2, 3)) if found.ndim == 4 else found)
    return np.concatenate(parts).astype(np.float32)


class BackboneReconstruction(OutlierMixin, BaseEstimator):  # type: ignore[misc]  # untyped bases
    """Scores by how badly principal components rebuild a picture's features, against their size.

    Parameters
    ----------
    backbone : path-like
        An ONNX file; see `residua.features.backbone.Backbone`.
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
        self.backbone_ = Backbone.open(self.backbone)
        rows = descriptors(self.backbone_, X)
        kept = max(1, min(self.n_components, len(rows) // 4, rows.shape[1] - 1))
        self.pca_ = PCA(kept, random_state=self.random_state).fit(rows)
        return self

    def score_samples(self, X: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Return minus the relative squared error of each picture (N,)."""
        rows = descriptors(self.backbone_, X)
        rebuilt = self.pca_.inverse_transform(self.pca_.transform(rows))
        error = np.square(rows - rebuilt).sum(axis=1, dtype=np.float64)
        energy = np.square(rows).sum(axis=1, dtype=np.float64)
        return -np.asarray(error / np.maximum(energy, 1e-12), np.float64)


class BackboneNeighbours(OutlierMixin, BaseEstimator):  # type: ignore[misc]  # untyped bases
    """Scores by the mean distance to the five nearest trusted features, each of length 1.

    Parameters
    ----------
    backbone : path-like
        An ONNX file; see `residua.features.backbone.Backbone`.
    n_neighbors : int, default=5
    """

    takes_pictures = True

    def __init__(self, backbone: str | os.PathLike[str], n_neighbors: int = 5) -> None:
        self.backbone = backbone
        self.n_neighbors = n_neighbors

    def fit(self, X: NDArray[np.uint8], y: Any = None) -> Self:
        """Keep the features of trusted pictures (N, H, W, C), uint8."""
        self.backbone_ = Backbone.open(self.backbone)
        rows = _of_length_one(descriptors(self.backbone_, X))
        self.neighbours_ = NearestNeighbors(n_neighbors=min(self.n_neighbors, len(rows))).fit(rows)
        return self

    def score_samples(self, X: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Return minus the mean distance of each picture (N,)."""
        distances, _ = self.neighbours_.kneighbors(_of_length_one(descriptors(self.backbone_, X)))
        return -np.asarray(distances.mean(axis=1), np.float64)


def backbone_methods(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return the methods on a backbone's features, by name.

    Raises
    ------
    ConfigurationError
        The file is no network from pictures to features.
    """
    Backbone.open(path)
    return {
        "features-pca": BackboneReconstruction(path),
        "features-knn": BackboneNeighbours(path),
    }


def _fitting(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Bring pictures (B, H, W, C) to sides that are multiples of 32, and to grey or colour."""
    height, width = (max(MULTIPLE, round(side / MULTIPLE) * MULTIPLE) for side in images.shape[1:3])
    if images.shape[3] != CHANNELS:
        images = images[..., :1]
    if images.shape[1:3] == (height, width):
        return images
    colours = np.broadcast_to(images, (*images.shape[:3], CHANNELS))
    return np.stack(
        [
            np.asarray(Image.fromarray(np.ascontiguousarray(picture)).resize((width, height)))
            for picture in colours
        ]
    )


def _of_length_one(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.maximum(length, np.float32(1e-12)), np.float32)
