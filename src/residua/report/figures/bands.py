"""Sheets whose rows show the same pictures in several states: original, rebuilt, difference."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

from numpy.typing import NDArray

from residua.report.figures import style
from residua.report.figures.lettering import shortened, wrapped
from residua.report.figures.sheet import (
    MARGIN,
    SCALE_INCHES,
    Sheet,
    SheetDisplay,
    cell_height,
    fitted,
    row_label_width,
)

MOST_COLUMNS = 8
_GAP = 0.07
_LARGEST_CELL = 1.5


class Row(NamedTuple):
    """One state of all pictures."""

    label: str
    """Stands at the left."""
    pictures: Sequence[NDArray[Any]]
    """RGB pixels (H, W, 3), one a column."""


class ColourScale(NamedTuple):
    """The scale of the maps on a sheet."""

    ceiling: float
    label: str


class Cell(NamedTuple):
    """Where one picture lies, in inches."""

    row: int
    column: int
    x: float
    y: float
    width: float
    height: float


class BandsDisplay(SheetDisplay):
    """Rows of pictures in columns, broken into bands."""

    _rows: Sequence[Row]
    _captions: Sequence[Sequence[str]] = ()
    """Lines above each column."""
    _scale: ColourScale | None = None
    _most_columns: ClassVar[int] = MOST_COLUMNS

    @property
    def _columns(self) -> int:
        return min(len(self._rows[0].pictures), self._most_columns)

    @property
    def _left(self) -> float:
        return MARGIN + row_label_width([row.label for row in self._rows])

    @property
    def _cell(self) -> tuple[float, float]:
        right = MARGIN + (SCALE_INCHES + 0.1 if self._scale else 0)
        width = (style.WIDTH - self._left - right) / self._columns - _GAP
        width = min(width, _LARGEST_CELL)
        return width, cell_height(self._rows[0].pictures[0].shape, width)

    @property
    def _caption_height(self) -> float:
        return max((len(lines) for lines in self._captions), default=0) * style.LINE_INCHES

    @property
    def _band_height(self) -> float:
        return self._caption_height + len(self._rows) * (self._cell[1] + _GAP) + 0.12

    def _size(self) -> tuple[float, float]:
        bands = -(-len(self._rows[0].pictures) // self._columns)
        height = self._top + bands * self._band_height + MARGIN
        return style.WIDTH, height + (0.5 if self._scale and self._band_height < 1 else 0)

    def _cells(self) -> list[Cell]:
        width, height = self._cell
        cells = []
        for position in range(len(self._rows[0].pictures)):
            band, column = divmod(position, self._columns)
            x = self._left + column * (width + _GAP)
            top = self._top + band * self._band_height + self._caption_height
            cells += [
                Cell(row, position, x, top + row * (height + _GAP), width, height)
                for row in range(len(self._rows))
            ]
        return cells

    def _fill(self, sheet: Sheet) -> None:
        width, height = self._cell
        for cell in self._cells():
            pixels = self._rows[cell.row].pictures[cell.column]
            sheet.picture(cell.x, cell.y, width, height, pixels)
            self._mark(sheet, cell, *_placed(pixels.shape, cell))
            if cell.row == 0:
                self._caption(sheet, cell)
            if cell.column % self._columns == 0:
                label = wrapped(self._rows[cell.row].label, self._left - MARGIN, lines=2)
                sheet.text(
                    self._left - 0.07,
                    cell.y + height / 2,
                    "\n".join(label),
                    ha="right",
                    va="center",
                )
        if self._scale is not None:
            rows = max(len(self._rows) * (height + _GAP) - _GAP, 1.1)
            x = self._left + self._columns * (width + _GAP) + 0.08
            y = self._top + self._caption_height
            sheet.colour_scale(x, y, min(rows, 2.6), *self._scale)

    def _caption(self, sheet: Sheet, cell: Cell) -> None:
        if not self._captions:
            return
        lines = self._captions[cell.column]
        y = cell.y - 0.03 - len(lines) * style.LINE_INCHES
        for line in lines:
            # The gap belongs to the column too.
            sheet.text(
                cell.x + cell.width / 2, y, shortened(line, cell.width + _GAP / 2), ha="center"
            )
            y += style.LINE_INCHES

    def _mark(
        self, sheet: Sheet, cell: Cell, x: float, y: float, width: float, height: float
    ) -> None:
        """Draw over a picture, which lies at (x, y); nothing by default."""


def _placed(shape: Sequence[int], cell: Cell) -> tuple[float, float, float, float]:
    wide, high = fitted(shape, cell.width, cell.height)
    return cell.x + (cell.width - wide) / 2, cell.y + (cell.height - high) / 2, wide, high
