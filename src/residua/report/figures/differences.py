"""Original, reconstruction and difference of the pictures with the greatest scores."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from residua.heatmaps import colourise
from residua.report.figures import style
from residua.report.figures.bands import BandsDisplay, Cell, ColourScale, Row
from residua.report.figures.inputs import (
    checked_images,
    checked_marks,
    checked_rebuilt,
    checked_scores,
    scored_pictures,
)
from residua.report.figures.lettering import counted
from residua.report.figures.sheet import Sheet, side_for, thumbnail


class DifferencesDisplay(BandsDisplay):
    """Three rows, sorted by score, the greatest first; flagged pictures are framed.

    Parameters
    ----------
    images : ndarray of shape (n, H, W, C), uint8
        Those shown, in their order.
    x_hat : ndarray of shape (n, H, W, C), float32 in [0, 1]
    scores : ndarray of shape (n,), float64
    indices : ndarray of shape (n,)
        Their positions among all.
    count : int
        Pictures there are.
    flagged : ndarray of shape (n,), bool, optional

    Examples
    --------
    >>> import numpy as np
    >>> from residua.report.figures import DifferencesDisplay
    >>> images, x_hat = np.zeros((3, 8, 8, 1), np.uint8), np.zeros((3, 8, 8, 1))
    >>> DifferencesDisplay.from_predictions(images, x_hat, [0.1, 0.3, 0.2]).data()["picture"]
    [1, 2, 0]
    """

    stem = "differences"

    def __init__(
        self,
        images: NDArray[np.uint8],
        x_hat: NDArray[np.float32],
        scores: NDArray[np.float64],
        indices: NDArray[np.int64],
        count: int,
        flagged: NDArray[np.bool_] | None = None,
    ) -> None:
        self.scores = scores
        self.indices = indices
        self.flagged = flagged
        self.differences = np.abs(images.astype(np.float32) / 255 - x_hat).mean(axis=-1)
        shown = len(images)
        self.title = f"The {shown} greatest scores of {counted(count)}"
        if shown == count:
            self.title = f"{counted(count).capitalize()}, the greatest score first"
        self._caption_all()
        ceiling = float(self.differences.max())
        side = side_for(3 * shown)
        # With nothing to show, full scale is the range of the pixels.
        full = ceiling or 1.0
        self._scale = ColourScale(full, "absolute difference")
        self._rows = (
            Row("original", [thumbnail(picture, side) for picture in images]),
            Row("rebuilt", [thumbnail(picture, side) for picture in x_hat]),
            Row("difference", [thumbnail(colourise(d, full), side) for d in self.differences]),
        )

    @classmethod
    def from_predictions(
        cls,
        images: ArrayLike,
        x_hat: ArrayLike,
        scores: ArrayLike,
        *,
        flagged: ArrayLike | None = None,
        n: int = 8,
    ) -> Self:
        """Choose the ``n`` pictures with the greatest scores.

        Parameters
        ----------
        images : array-like of shape (N, H, W, C), uint8
        x_hat : array-like of shape (N, H, W, C), float in [0, 1]
        scores : array-like of shape (N,)
        flagged : array-like of shape (N,), bool, optional
        n : int, default=8

        Raises
        ------
        InputError
            Arrays that do not fit each other, or no picture.
        """
        pictures = checked_images(images)
        if np.shape(x_hat)[:1] != (len(pictures),):
            checked_rebuilt(x_hat, pictures)
        values = checked_scores(scores)
        checked_marks(np.ones(len(values), bool), len(pictures), "scores")
        marks = None if flagged is None else checked_marks(flagged, len(pictures), "flagged")
        order = np.argsort(-values, kind="stable")[: max(n, 1)]
        return cls(
            pictures[order],
            checked_rebuilt(np.asarray(x_hat)[order], pictures[order]),
            values[order],
            order,
            len(pictures),
            None if marks is None else marks[order],
        )

    @classmethod
    def from_estimator(cls, detector: Any, X: Any, n: int = 8) -> Self:
        """Show ``n`` pictures of X, evenly spaced, sorted by score, with the fitted verdicts."""
        images, scored = scored_pictures(detector, X, n)
        flagged = detector.threshold_.is_anomalous(scored.scores)
        return cls.from_predictions(images, scored.x_hat, scored.scores, flagged=flagged, n=n)

    def data(self) -> dict[str, list[Any]]:
        """Return position, score, verdict and mean absolute difference of each picture shown."""
        flagged = [None] * len(self.scores) if self.flagged is None else self.flagged.tolist()
        return {
            "picture": self.indices.tolist(),
            "score": self.scores.tolist(),
            "flagged": flagged,
            "mean_absolute_difference": self.differences.mean(axis=(1, 2)).tolist(),
        }

    def _caption_all(self) -> None:
        numbers = [[f"{score:.3g}".replace("-", "−")] for score in self.scores.tolist()]
        if self.flagged is None:
            self.notes = ("Above each picture: its score. Pixels range from 0 to 1.",)
        elif self.flagged.any():
            self.notes = ("Above each picture: its score; ▲ and a frame: flagged.",)
            numbers = [
                [f"▲ {text[0]}" if flag else text[0]]
                for text, flag in zip(numbers, self.flagged.tolist(), strict=True)
            ]
        else:
            self.notes = ("Above each picture: its score. None of these is flagged.",)
        self._captions = numbers

    def _mark(
        self, sheet: Sheet, cell: Cell, x: float, y: float, width: float, height: float
    ) -> None:
        if cell.row == 0 and self.flagged is not None and self.flagged[cell.column]:
            sheet.frame(x, y, width, height, style.ANOMALOUS.colour, 2.2)
