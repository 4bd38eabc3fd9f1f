"""Pictures, and the same as the network rebuilds them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from residua.report.figures.bands import BandsDisplay, Row
from residua.report.figures.inputs import (
    checked_images,
    checked_rebuilt,
    checked_titles,
    scored_pictures,
    spread,
)
from residua.report.figures.sheet import side_for, thumbnail


class ReconstructionsDisplay(BandsDisplay):
    """Originals above, reconstructions below.

    Parameters
    ----------
    images : ndarray of shape (N, H, W, C), uint8
    x_hat : ndarray of shape (N, H, W, C), float32 in [0, 1]
    indices : ndarray of shape (N,)
        Their positions among those given.
    titles : sequence of str, optional
    below : str, default="rebuilt"
        What the second row is.

    Examples
    --------
    >>> import numpy as np
    >>> from residua.report.figures import ReconstructionsDisplay
    >>> images = np.full((2, 8, 8, 1), 255, np.uint8)
    >>> display = ReconstructionsDisplay.from_predictions(images, np.full((2, 8, 8, 1), 0.5))
    >>> display.data()["mse"]
    [0.25, 0.25]
    """

    stem = "reconstructions"

    def __init__(
        self,
        images: NDArray[np.uint8],
        x_hat: NDArray[np.float32],
        indices: NDArray[np.int64],
        titles: Sequence[str] | None = None,
        below: str = "rebuilt",
    ) -> None:
        self.title = (
            "Originals and reconstructions" if below == "rebuilt" else f"Originals, and {below}"
        )
        self.images = images
        self.x_hat = x_hat
        self.indices = indices
        self.titles = titles
        side = side_for(2 * len(images))
        self._rows = (
            Row("original", [thumbnail(picture, side) for picture in images]),
            Row(below, [thumbnail(picture, side) for picture in x_hat]),
        )
        self._captions = [] if titles is None else [[title] for title in titles]

    @classmethod
    def from_predictions(
        cls,
        images: ArrayLike,
        x_hat: ArrayLike,
        *,
        titles: Sequence[object] | None = None,
        n: int = 16,
        below: str = "rebuilt",
    ) -> Self:
        """Choose at most ``n`` pictures, evenly spaced.

        Parameters
        ----------
        images : array-like of shape (N, H, W, C), uint8
        x_hat : array-like of shape (N, H, W, C), float in [0, 1]
        titles : sequence of N texts, optional
        n : int, default=16
        below : str, default="rebuilt"
            What the second row is.

        Raises
        ------
        InputError
            Arrays that do not fit each other, or no picture.
        """
        pictures = checked_images(images)
        rebuilt = checked_rebuilt(x_hat, pictures)
        texts = checked_titles(titles, len(pictures))
        chosen = spread(len(pictures), n)
        kept = None if texts is None else [texts[at] for at in chosen]
        return cls(pictures[chosen], rebuilt[chosen], chosen, kept, below)

    @classmethod
    def from_estimator(cls, detector: Any, X: Any, n: int = 8) -> Self:
        """Rebuild ``n`` pictures of X, evenly spaced, with a fitted detector."""
        images, scored = scored_pictures(detector, X, n)
        return cls.from_predictions(images, scored.x_hat, n=n)

    def data(self) -> dict[str, list[Any]]:
        """Return the mean squared error of each picture, its values in [0, 1]."""
        differences = self.images.astype(np.float64) / 255 - self.x_hat
        return {
            "picture": self.indices.tolist(),
            "title": [""] * len(self.images) if self.titles is None else list(self.titles),
            "mse": (differences**2).mean(axis=(1, 2, 3)).tolist(),
        }
