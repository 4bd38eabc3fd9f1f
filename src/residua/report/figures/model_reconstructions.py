"""The same pictures as each of several models rebuilds them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from residua.errors import InputError
from residua.report.figures.bands import MOST_COLUMNS, BandsDisplay, Row
from residua.report.figures.inputs import checked_images, checked_rebuilt, spread
from residua.report.figures.lettering import counted
from residua.report.figures.sheet import side_for, thumbnail


class ModelReconstructionsDisplay(BandsDisplay):
    """Originals in the first row, then a row a model.

    Parameters
    ----------
    images : ndarray of shape (n, H, W, C), uint8
    rebuilt : mapping of str to ndarray of shape (n, H, W, C), float32 in [0, 1]
        By the model's name.

    Examples
    --------
    >>> import numpy as np
    >>> from residua.report.figures import ModelReconstructionsDisplay
    >>> images = np.full((1, 8, 8, 1), 255, np.uint8)
    >>> grey = np.full((1, 8, 8, 1), 0.5)
    >>> ModelReconstructionsDisplay.from_predictions(images, {"Initial": grey}).data()
    {'model': ['Initial'], 'picture': [0], 'mse': [0.25]}
    """

    stem = "model-reconstructions"

    def __init__(
        self, images: NDArray[np.uint8], rebuilt: Mapping[str, NDArray[np.float32]]
    ) -> None:
        self.images = images
        self.rebuilt = dict(rebuilt)
        self.title = f"Reconstructions of {counted(len(rebuilt), 'model')}"
        side = side_for(len(images) * (len(rebuilt) + 1))
        self._rows = [
            Row("original", [thumbnail(picture, side) for picture in images]),
            *(
                Row(name, [thumbnail(picture, side) for picture in x_hat])
                for name, x_hat in rebuilt.items()
            ),
        ]

    @classmethod
    def from_predictions(
        cls, images: ArrayLike, rebuilt: Mapping[str, ArrayLike], *, n: int = MOST_COLUMNS
    ) -> Self:
        """Choose ``n`` pictures, evenly spaced.

        Parameters
        ----------
        images : array-like of shape (N, H, W, C), uint8
        rebuilt : mapping of str to array-like of shape (N, H, W, C), float in [0, 1]
            Reconstructions by the model's name.
        n : int, default=8

        Raises
        ------
        InputError
            No model, no picture, or arrays that do not fit each other.
        """
        pictures = checked_images(images)
        if not rebuilt:
            raise InputError("no model was given; there is nothing to compare")
        chosen = spread(len(pictures), n)
        return cls(
            pictures[chosen],
            {
                name: checked_rebuilt(x_hat, pictures, f"x_hat of {name!r}")[chosen]
                for name, x_hat in rebuilt.items()
            },
        )

    def data(self) -> dict[str, list[Any]]:
        """Return the mean squared error of each picture by each model."""
        pictures = self.images.astype(np.float64) / 255
        columns: dict[str, list[Any]] = {"model": [], "picture": [], "mse": []}
        for name, x_hat in self.rebuilt.items():
            columns["model"] += [name] * len(pictures)
            columns["picture"] += range(len(pictures))
            columns["mse"] += ((pictures - x_hat) ** 2).mean(axis=(1, 2, 3)).tolist()
        return columns
