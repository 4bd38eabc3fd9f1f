"""What a report is made of: sections of figures, tables, pictures and text."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from residua.advice.finding import Finding
from residua.errors import InputError
from residua.images.decode import printable

if TYPE_CHECKING:
    from residua.report.figures import Display

# All but tab and line feed.
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")
Cell: TypeAlias = str | int | float | bool | None


@dataclass(frozen=True)
class TextBlock:
    """A paragraph, a note in a box, or lines of code."""

    text: str
    kind: Literal["paragraph", "note", "code"] = "paragraph"
    title: str = ""


@dataclass(frozen=True)
class Stat:
    """One number to be seen at a glance."""

    label: str
    value: str
    note: str = ""


@dataclass(frozen=True)
class StatsBlock:
    """A few numbers side by side."""

    stats: Sequence[Stat]


@dataclass(frozen=True)
class FigureBlock:
    """A figure with a sentence on how to read it."""

    name: str
    """Begins its files' names; letters, digits and hyphens, unlike every other in the report."""
    title: str
    how_to_read: str
    display: Display


@dataclass(frozen=True)
class TableBlock:
    """A table; its CSV has the values as they are."""

    name: str
    """Begins its file's name, as a figure's does."""
    title: str
    note: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    forms: Mapping[str, str] = field(default_factory=dict)
    """How the page writes a column's numbers, as Python's format specification."""
    grouped: bool = False
    """Whether the page shows the first column as headings above the rows that share it."""

    def written(self, column: str, value: Cell) -> str:
        """Return a value as the page shows it."""
        if value is None:
            return "–"
        if isinstance(value, bool):
            return "yes" if value else "no"
        if isinstance(value, str):
            return value
        form = self.forms.get(column, "," if isinstance(value, int) else ".4g")
        return f"{value:{form}}".replace("%", "\N{NARROW NO-BREAK SPACE}%")

    def is_number(self, column: int) -> bool:
        """Say whether a column holds numbers, which stand right."""
        values = [row[column] for row in self.rows if row[column] is not None]
        return bool(values) and not any(isinstance(value, str | bool) for value in values)


@dataclass(frozen=True)
class FindingBlock:
    """A piece of advice with the pictures that show it."""

    finding: Finding
    pictures: Sequence[tuple[NDArray[np.uint8], str]] = ()
    """(H, W, C) each, with what it shows."""


@dataclass(frozen=True)
class GalleryBlock:
    """Where the page puts the gallery of flagged pictures."""


@dataclass(frozen=True)
class LiveBlock:
    """Where the page puts the threshold that can be moved."""


Block: TypeAlias = (
    TextBlock | StatsBlock | FigureBlock | TableBlock | FindingBlock | GalleryBlock | LiveBlock
)


@dataclass(frozen=True)
class Section:
    """A part of the report with its own heading and entry in the table of contents."""

    anchor: str
    """Unlike every other in the report; letters, digits and hyphens."""
    title: str
    intro: str
    blocks: Sequence[Block]
    early: bool = False
    """Whether it stands right after the verdict instead of before the recipe."""


def legible(text: str) -> str:
    """Return a text that every page and figure can show: stray bytes and controls as ``\\xNN``."""
    return _CONTROLS.sub(lambda found: f"\\x{ord(found[0]):02x}", printable(text))


def percent(share: float, digits: int = 4) -> str:
    """Return a share as a percentage of so many significant digits."""
    return f"{100 * share:.{digits}g}\N{NARROW NO-BREAK SPACE}%"


def figure_or_reason(
    name: str, title: str, how_to_read: str, make: Callable[[], Display]
) -> FigureBlock | TextBlock:
    """Return the figure, or in its place why these pictures do not give it."""
    try:
        return FigureBlock(name, title, how_to_read, make())
    except InputError as error:
        return TextBlock(f"Not drawn: {error}.", kind="note", title=title)
