"""The classes of a data set, a picture of each with its name and count."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from residua.errors import BadLabels, ConfigurationError
from residua.report.figures import style
from residua.report.figures.inputs import checked_images
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
_CAPTION = 2 * style.LINE_INCHES + 0.06


class ClassOverviewDisplay(SheetDisplay):
    """A grid of the classes, in order of their names.

    Parameters
    ----------
    images : ndarray of shape (n_shown, H, W, C), uint8
    names : sequence of str
        The class of each picture shown; the pictures of a class lie together.
    counts : mapping of str to int
        Pictures of each class shown.
    n_classes : int
        Classes there are, shown or not.

    Examples
    --------
    >>> import numpy as np
    >>> from residua.report.figures import ClassOverviewDisplay
    >>> images = np.zeros((4, 8, 8, 1), np.uint8)
    >>> display = ClassOverviewDisplay.from_predictions(images, ["cat", "dog", "dog", "cat"])
    >>> display.data()
    {'class': ['cat', 'dog'], 'count': [2, 2], 'shown': [1, 1]}
    """

    stem = "class-overview"

    def __init__(
        self,
        images: NDArray[np.uint8],
        names: Sequence[str],
        counts: dict[str, int],
        n_classes: int,
    ) -> None:
        self.images = images
        self.names = list(names)
        self.counts = counts
        self.n_classes = n_classes
        self.title = f"The {counted(n_classes, 'class')} of {counted(sum(counts.values()))}"
        if n_classes == 1:
            self.title = f"One class of {counted(sum(counts.values()))}"
        if len(counts) < n_classes:
            self.title = f"The {len(counts)} largest of {n_classes} classes"

    @classmethod
    def from_predictions(
        cls,
        images: ArrayLike,
        labels: Sequence[object] | NDArray[Any],
        *,
        per_class: int = 1,
        max_classes: int | None = None,
    ) -> Self:
        """Choose the first pictures of each class.

        Parameters
        ----------
        images : array-like of shape (N, H, W, C), uint8
        labels : sequence of N names
        per_class : int, default=1
            Pictures of each class.
        max_classes : int, optional
            Show only this many, the largest. Default: all.

        Raises
        ------
        BadLabels
            Another number of labels than of pictures.
        ConfigurationError
            A number below 1.
        """
        pictures = checked_images(images)
        if per_class < 1 or (max_classes is not None and max_classes < 1):
            raise ConfigurationError(
                f"per_class is {per_class} and max_classes {max_classes}; both must be at least 1"
            )
        texts = np.asarray([str(label) for label in labels])
        if len(texts) != len(pictures):
            raise BadLabels(f"there are {len(texts)} labels for {len(pictures)} pictures")
        names, inverse, counts = np.unique(texts, return_inverse=True, return_counts=True)
        largest = np.argsort(-counts, kind="stable")[:max_classes]
        chosen = sorted(largest.tolist(), key=lambda at: _natural(str(names[at])))
        order = np.argsort(inverse, kind="stable")
        starts = np.concatenate([[0], np.cumsum(counts)])
        shown = [order[starts[at] : starts[at + 1]][:per_class] for at in chosen]
        return cls(
            pictures[np.concatenate(shown)],
            [str(names[at]) for at, which in zip(chosen, shown, strict=True) for _ in which],
            {str(names[at]): int(counts[at]) for at in chosen},
            len(names),
        )

    def data(self) -> dict[str, list[Any]]:
        """Return each class shown with its count and how many pictures of it are shown."""
        return {
            "class": list(self.counts),
            "count": list(self.counts.values()),
            "shown": [self.names.count(name) for name in self.counts],
        }

    @property
    def _per_class(self) -> int:
        return int(max(self.data()["shown"]))

    @property
    def _columns(self) -> int:
        """Classes side by side: few are shown larger, and one of many pictures has a row."""
        count = len(self.counts)
        most = 8 if count > 30 else 6 if count > 12 else 5
        if self._per_class > 1:
            most = 9
        return max(1, min(count, most // self._per_class))

    @property
    def _picture(self) -> tuple[float, float]:
        beside = self._columns * self._per_class
        width = (style.WIDTH - 2 * MARGIN - self._columns * _GAP) / beside
        width = min(width, 1.4)
        return width, cell_height(self.images.shape[1:], width)

    def _size(self) -> tuple[float, float]:
        rows = -(-len(self.counts) // self._columns)
        return style.WIDTH, self._top + rows * (self._picture[1] + _CAPTION + _GAP) + MARGIN

    def _fill(self, sheet: Sheet) -> None:
        wide, high = self._picture
        block = wide * self._per_class + _GAP
        side = side_for(len(self.images))
        place = {name: position for position, name in enumerate(self.counts)}
        drawn = dict.fromkeys(self.counts, 0)
        for picture, name in zip(self.images, self.names, strict=True):
            row, column = divmod(place[name], self._columns)
            x = MARGIN + column * block
            y = self._top + row * (high + _CAPTION + _GAP)
            inset = 0.02 if self._per_class > 1 else 0
            sheet.picture(
                x + drawn[name] * wide + inset, y, wide - 2 * inset, high, thumbnail(picture, side)
            )
            if not drawn[name]:
                room = max(block - _GAP, 0.6)
                sheet.text(x, y + high + 0.04, shortened(name, room))
                count = shortened(f"n = {self.counts[name]:,}", room)
                sheet.text(x, y + high + 0.04 + style.LINE_INCHES, count, color=style.MUTED)
            drawn[name] += 1


def _natural(name: str) -> tuple[int, str]:
    """Order "2" before "10", and numbers before words."""
    return (int(name), "") if name.isdecimal() and len(name) < 19 else (1 << 62, name)
