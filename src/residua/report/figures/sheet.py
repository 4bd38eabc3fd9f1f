"""A sheet of pictures with captions: one pair of axes measured in inches.

Each picture is embedded once, with few pixels. A sheet drawn on the caller's axes is scaled to
them, letters included, so that nothing comes to overlap.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from residua.heatmaps import colourise
from residua.report.figures import style
from residua.report.figures.base import Display
from residua.report.figures.lettering import shortened, text_width, wrapped

MARGIN = 0.08
"""Empty edge of a sheet, in inches."""
LARGEST_SIDE = 160
"""Pixels of the longer side of an embedded picture, at most."""
_PIXELS_A_SHEET = 900_000
_POINT = 1 / 72


class Sheet:
    """A page of ``width`` by ``height`` inches, from the top left.

    Parameters
    ----------
    ax : matplotlib Axes or None
        Where to draw; None: a new figure of this size.
    """

    def __init__(self, ax: Any, width: float, height: float) -> None:
        if ax is None:
            ax = style.new_figure(width, height, layout=None).add_axes((0, 0, 1, 1))
            self._scale = 1.0
        else:
            box = ax.get_window_extent()
            dpi = ax.get_figure().dpi
            self._scale = min(box.width / dpi / width, box.height / dpi / height)
        ax.set_axis_off()
        ax.set_xlim(0, width)
        ax.set_ylim(height, 0)
        ax.set_aspect("equal", anchor="NW")
        ax.set_autoscale_on(False)
        self.ax = ax

    def picture(self, x: float, y: float, width: float, height: float, pixels: Any) -> None:
        """Put RGB pixels (H, W, 3) into a box, as large as fits, in its middle."""
        wide, high = fitted(pixels.shape, width, height)
        x, y = x + (width - wide) / 2, y + (height - high) / 2
        self.ax.imshow(pixels, extent=(x, x + wide, y + high, y), interpolation="none")
        self.frame(x, y, wide, high, style.GRID, 0.5)

    def frame(
        self, x: float, y: float, width: float, height: float, colour: str, thickness: float
    ) -> None:
        """Draw a box."""
        from matplotlib.patches import Rectangle

        thickness *= self._scale
        self.ax.add_patch(
            Rectangle((x, y), width, height, fill=False, edgecolor=colour, linewidth=thickness)
        )

    def line(self, xs: Any, ys: Any, **look: Any) -> None:
        """Draw a line, its width in points."""
        look["linewidth"] = look.get("linewidth", 1.0) * self._scale
        self.ax.plot(xs, ys, **look)

    def text(
        self, x: float, y: float, text: str, size: float = style.SMALL_SIZE, **look: Any
    ) -> None:
        """Write a text; (x, y) is its top left unless ``ha`` and ``va`` say otherwise."""
        look = {"ha": "left", "va": "top"} | look
        self.ax.text(x, y, text, fontsize=size * self._scale, **look)

    def head(self, title: str, notes: Sequence[str], width: float) -> None:
        """Write the title and the notes; `head_height` says what they take."""
        y = MARGIN
        for line in wrapped(title, width, style.TITLE_SIZE, "bold"):
            self.text(MARGIN, y, line, style.TITLE_SIZE, weight="bold")
            y += 0.2
        for note in notes:
            for line in wrapped(note, width):
                self.text(MARGIN, y, line, color=style.MUTED)
                y += style.LINE_INCHES

    def colour_scale(self, x: float, y: float, height: float, ceiling: float, label: str) -> None:
        """Draw the scale of the heat maps, from 0 to ``ceiling``; `SCALE_INCHES` wide."""
        ramp = colourise(np.linspace(1, 0, 64, dtype=np.float32)[:, None], 1.0)
        self.ax.imshow(
            np.repeat(ramp, 6, axis=1),
            extent=(x, x + 0.14, y + height, y),
            interpolation="none",
            aspect="auto",
        )
        self.ax.set_aspect("equal", anchor="NW")
        self.frame(x, y, 0.14, height, style.MUTED, 0.6)
        for share in (0.0, 0.5, 1.0):
            value = f"{share * ceiling:.2g}"
            place = y + height * (1 - share)
            words = f"≥ {value}" if share == 1 else value
            va = {0.0: "bottom", 0.5: "center", 1.0: "top"}[share]
            self.text(x + 0.19, place, words, va=va)
        size = style.SMALL_SIZE
        label = shortened(label, height, size)
        self.text(
            x + SCALE_INCHES, y + height / 2, label, size, rotation=90, va="center", ha="right"
        )


SCALE_INCHES = 0.95
"""Width that a colour scale takes with its numbers."""


class SheetDisplay(Display):
    """A figure that is a sheet of pictures."""

    notes: Sequence[str] = ()
    """What the figure leaves out, and why; printed below its title."""

    def _plot(self, ax: Any) -> list[Any]:
        width, height = self._size()
        sheet = Sheet(ax, width, height)
        sheet.head(self.title, self.notes, width - 2 * MARGIN)
        self._fill(sheet)
        return [sheet.ax]

    @property
    def _top(self) -> float:
        """Height of the title and the notes, in inches."""
        width = style.WIDTH - 2 * MARGIN
        lines = sum(len(wrapped(note, width)) for note in self.notes)
        titles = len(wrapped(self.title, width, style.TITLE_SIZE, "bold"))
        return MARGIN + 0.2 * titles + lines * style.LINE_INCHES + 0.06

    @abstractmethod
    def _size(self) -> tuple[float, float]:
        """Return width and height in inches."""

    @abstractmethod
    def _fill(self, sheet: Sheet) -> None:
        """Put the pictures on the sheet."""


def fitted(shape: Sequence[int], width: float, height: float) -> tuple[float, float]:
    """Return the largest width and height of a picture (H, W, …) in a box, its sides in ratio."""
    ratio = shape[0] / shape[1]
    return (width, width * ratio) if width * ratio <= height else (height / ratio, height)


def cell_height(shape: Sequence[int], width: float) -> float:
    """Return the height of a cell for pictures (H, W, …); very long ones get a bounded one."""
    return width * float(np.clip(shape[0] / shape[1], 0.3, 1.6))


def side_for(pictures: int) -> int:
    """Return the pixels a side for so many pictures on one sheet: many get fewer."""
    return int(np.clip(math.sqrt(_PIXELS_A_SHEET / max(pictures, 1)), 32, LARGEST_SIDE))


def thumbnail(picture: NDArray[Any], side: int) -> NDArray[np.uint8]:
    """Return a picture (H, W, C), uint8 or float in [0, 1], as RGB of at most ``side`` pixels.

    Smaller pictures are enlarged by a whole factor, each pixel a square. Of other numbers of
    channels than 1 and 3, the mean is shown as grey.
    """
    if picture.dtype != np.uint8:
        picture = np.rint(255 * np.clip(picture, 0, 1)).astype(np.uint8)
    if picture.shape[-1] != 3:
        grey = np.rint(picture.mean(axis=-1, keepdims=True)).astype(np.uint8)
        picture = np.repeat(grey, 3, axis=-1)
    image = Image.fromarray(np.ascontiguousarray(picture))
    image.thumbnail((side, side), Image.Resampling.BOX)
    factor = side // max(image.size)
    if factor > 1:
        size = (image.width * factor, image.height * factor)
        image = image.resize(size, Image.Resampling.NEAREST)
    return np.asarray(image)


def caption_lines(titles: Sequence[str], width: float) -> list[str]:
    """Return titles that fit below or above cells of ``width`` inches."""
    return [shortened(title, width - 0.04) for title in titles]


def row_label_width(labels: Sequence[str], longest: float = 1.1) -> float:
    """Return the inches that the widest of the labels takes, at most ``longest``."""
    return min(max(text_width(label) for label in labels), longest) + 0.08
