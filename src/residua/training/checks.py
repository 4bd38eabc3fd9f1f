"""Did training work? The network beside predicting the mean picture, and beside PCA.

A network with dead units trains without a word of warning and scores at chance. It cannot hide
from a comparison with a predictor that has learned nothing.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from residua.models import Autoencoder, to_network
from residua.training.config import FitChecks
from residua.training.feeding import at_a_time

# Bounds on what the comparison may cost, whatever the data: values held by the PCA, pictures
# on which the errors are taken.
_PCA_VALUES = 50_000_000
_MAX_COMPARED = 2_000
# With more rows their products take longer than a decomposition.
_MOST_PRODUCTS = 1_024
# Share of the greatest spread, squared, below which products of float32 say nothing.
_NO_SPREAD = 1e-6
_BATCH = 64


class _Predictor(Protocol):
    def __call__(self, rows: NDArray[np.float32]) -> NDArray[np.float32]: ...


def compare_with_simple_predictors(
    model: Autoencoder,
    pixels: NDArray[np.uint8],
    train: NDArray[np.int64],
    validation: NDArray[np.int64],
) -> FitChecks:
    """Measure the mean squared error of the network, the mean picture and PCA.

    Parameters
    ----------
    model : Autoencoder
        The trained network.
    pixels : ndarray of shape (N, H, W, C), uint8, or (N, F), float16
        Pictures, or rows of features.
    train, validation : ndarray of int64
        Rows of ``pixels``; the mean and the PCA are fitted on the first and all three are
        measured on the second (at most 2,000 of them).
    """
    picture_size = int(np.prod(pixels.shape[1:]))
    fitted = _evenly(train, max(2, _PCA_VALUES // picture_size))
    compared = _evenly(validation, _MAX_COMPARED)
    rows = _as_rows(pixels, fitted)
    mean = rows.mean(0)
    pca_mse = components = None
    if model.latent_dim < picture_size and pixels.dtype == np.uint8:
        components = min(model.latent_dim, len(rows) - 1)
        basis = principal_axes(rows, components)
        pca_mse = _mse(pixels, compared, lambda x: mean + (x - mean) @ basis.T @ basis)
    return FitChecks(
        network_mse=_network_mse(model, pixels, compared),
        mean_image_mse=_mse(pixels, compared, lambda _: mean),
        pca_mse=pca_mse,
        pca_components=components,
        code_size=model.latent_dim,
        picture_size=picture_size,
    )


def principal_axes(rows: NDArray[np.float32], components: int) -> NDArray[np.float32]:
    """Return the principal axes of rows (n, d): (components, d), the widest spread first.

    Where there are far fewer rows than columns, as of large pictures, they come from the n x n
    products of the rows (Sirovich and Kirby, "Low-dimensional procedure for the characterization
    of human faces", Journal of the Optical Society of America A 4, 1987), which takes a tenth of
    the time of a singular value decomposition. Axes without spread are 0.
    """
    n, d = rows.shape
    if n > min(d, _MOST_PRODUCTS):
        from sklearn.decomposition import PCA

        found = PCA(components, svd_solver="auto", random_state=0).fit(rows)
        return found.components_.astype(np.float32)  # type: ignore[no-any-return]
    centred = rows - rows.mean(0)
    products = (centred @ centred.T).astype(np.float64)
    squares, combinations = np.linalg.eigh(products)
    squares, combinations = squares[::-1][:components], combinations[:, ::-1][:, :components]
    spread = squares > _NO_SPREAD * max(float(squares[0]), np.finfo(np.float64).tiny)
    scale = np.where(spread, 1 / np.sqrt(np.where(spread, squares, 1.0)), 0.0)
    axes: NDArray[np.float32] = (combinations * scale).T.astype(np.float32) @ centred
    return axes


def _network_mse(
    model: Autoencoder, pixels: NDArray[np.uint8], indices: NDArray[np.int64]
) -> float:
    device, size = next(model.parameters()).device, at_a_time(pixels)
    model.eval()
    total = 0.0
    with torch.inference_mode():
        for start in range(0, len(indices), size):
            images = torch.from_numpy(pixels[indices[start : start + size]]).to(device)
            x = to_network(images)
            total += float((model(x).x_hat - x).square().flatten(1).mean(1).double().sum())
    return total / len(indices)


def _mse(pixels: NDArray[np.uint8], indices: NDArray[np.int64], predict: _Predictor) -> float:
    total = 0.0
    for start in range(0, len(indices), _BATCH):
        rows = _as_rows(pixels, indices[start : start + _BATCH])
        total += float(np.square(rows - predict(rows)).mean(1, dtype=np.float64).sum())
    return total / len(indices)


def _as_rows(pixels: NDArray[np.uint8], indices: NDArray[np.int64]) -> NDArray[np.float32]:
    rows = pixels[indices].reshape(len(indices), -1).astype(np.float32)
    if pixels.dtype == np.uint8:
        rows /= 255
    return rows


def _evenly(indices: NDArray[np.int64], at_most: int) -> NDArray[np.int64]:
    if len(indices) <= at_most:
        return indices
    return indices[np.linspace(0, len(indices) - 1, at_most).astype(np.int64)]
