"""Samples of the anomalous class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from residua.report.figures import style
from residua.report.figures.inputs import checked_images, checked_titles, spread
from residua.report.figures.lettering import counted, shortened
from residua.report.figures.sheet import (
    MARGIN,
    Sheet,
    SheetDisplay,
    cell_height,
    side_for,
    thumbnail,
)

_GAP = 0.1
_COLUMNS = 6


class AnomalousSamplesDisplay(SheetDisplay):
    """A grid of anomalous pictures.

    Parameters
    ----------
    images : ndarray of shape (n_shown, H, W, C), uint8
    indices : ndarray of shape (n_shown,)
        Their positions among those given.
    count : int
        Anomalous pictures there are.
    titles : sequence of str, optional
        One a picture shown.

    Examples
    --------
    >>> import numpy as np
    >>> from residua.report.figures import AnomalousSamplesDisplay
    >>> display = AnomalousSamplesDisplay.from_predictions(np.zeros((30, 8, 8, 1), np.uint8))
    >>> len(display.data()["index"])
    24
    """

    stem = "anomalous-samples"

    def __init__(
        self,
        images: NDArray[np.uint8],
        indices: NDArray[np.int64],
        count: int,
        titles: Sequence[str] | None = None,
    ) -> None:
        self.images = images
        self.indices = indices
        self.count = count
        self.titles = titles
        self.title = f"The {counted(count)} of the anomalous class"
        if count == 1:
            self.title = "The only picture of the anomalous class"
        if len(images) < count:
            self.title = f"{len(images)} of the {counted(count)} of the anomalous class"

    @classmethod
    def from_predictions(
        cls, images: ArrayLike, titles: Sequence[object] | None = None, *, n: int = 24
    ) -> Self:
        """Choose at most ``n`` pictures, evenly spaced.

        Parameters
        ----------
        images : array-like of shape (N, H, W, C), uint8
            The anomalous pictures.
        titles : sequence of N texts, optional
        n : int, default=24

        Raises
        ------
        EmptySource
            There is no anomalous picture.
        """
        pictures = checked_images(images)
        texts = checked_titles(titles, len(pictures))
        chosen = spread(len(pictures), n)
        kept = None if texts is None else [texts[at] for at in chosen]
        return cls(pictures[chosen], chosen, len(pictures), kept)

    def data(self) -> dict[str, list[Any]]:
        """Return the positions of the pictures shown, and their titles."""
        titles = [""] * len(self.images) if self.titles is None else list(self.titles)
        return {"index": self.indices.tolist(), "title": titles}

    @property
    def _cell(self) -> tuple[float, float]:
        columns = min(len(self.images), _COLUMNS)
        width = min((style.WIDTH - 2 * MARGIN) / columns - _GAP, 1.4)
        return width, cell_height(self.images.shape[1:], width)

    @property
    def _caption_height(self) -> float:
        return 0.0 if self.titles is None else style.LINE_INCHES + 0.05

    def _size(self) -> tuple[float, float]:
        rows = -(-len(self.images) // _COLUMNS)
        each = self._cell[1] + self._caption_height + _GAP
        return style.WIDTH, self._top + rows * each + MARGIN

    def _fill(self, sheet: Sheet) -> None:
        width, height = self._cell
        side = side_for(len(self.images))
        for position, picture in enumerate(self.images):
            row, column = divmod(position, _COLUMNS)
            x = MARGIN + column * (width + _GAP)
            y = self._top + row * (height + self._caption_height + _GAP)
            sheet.picture(x, y, width, height, thumbnail(picture, side))
            if self.titles is not None:
                sheet.text(x, y + height + 0.04, shortened(self.titles[position], width))
