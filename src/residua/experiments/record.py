"""What an experiment is, what a run of it measures, and both as tables."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import mean, stdev

from pydantic import BaseModel, ConfigDict
from rich.markup import escape
from rich.table import Table

_QUICK = "; QUICK: not the whole protocol"


class Claim(BaseModel):
    """A figure that a source report prints."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    measure: str
    """Name of the measured figure that it stands beside."""
    title: str
    """What it is, in words."""
    value: float | None
    """As printed; None: the report gives no such figure."""
    required: bool = True
    """Whether every recipe gives this figure."""
    form: str = ".4f"
    """How figures of this measure are written, as Python's format specification."""


class Contradiction(BaseModel):
    """Claims of a report that cannot all be true, with the arithmetic."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str
    arithmetic: str


class Run(BaseModel):
    """What one recipe gave from one seed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    recipe: str
    seed: int
    measured: dict[str, float]


class ExperimentReport(BaseModel):
    """Claimed beside measured."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str
    claims: list[Claim]
    contradictions: list[Contradiction]
    recipes: dict[str, str]
    """Each recipe's name and what it is."""
    runs: list[Run]
    quick: bool = False
    """Whether fewer pictures and epochs were used than the protocol says."""

    def tables(self) -> list[Table]:
        """Return the report for a terminal."""
        return [self._figures(), self._disagreements()]

    def _figures(self) -> Table:
        seeds = sorted({run.seed for run in self.runs})
        table = Table(
            title=f"{self.title}; seeds {', '.join(map(str, seeds))}{_QUICK * self.quick}",
            title_justify="left",
        )
        table.add_column("figure")
        table.add_column("claimed", justify="right")
        for recipe in self.recipes:
            table.add_column(escape(recipe), justify="right")
        for claim in self.claims:
            values = [self.values(recipe, claim.measure) for recipe in self.recipes]
            cells = [with_spread(found, claim.form) for found in values]
            printed = "–" if claim.value is None else f"{claim.value:{claim.form}}"
            table.add_row(claim.title, printed, *cells)
        table.caption_justify = "left"
        table.caption = escape("; ".join(f"{name}: {what}" for name, what in self.recipes.items()))
        return table

    def _disagreements(self) -> Table:
        table = Table(title="Claims that contradict themselves", title_justify="left")
        table.add_column("claim")
        table.add_column("arithmetic")
        for found in self.contradictions:
            table.add_row(found.title, found.arithmetic)
        return table

    def values(self, recipe: str, measure: str) -> list[float]:
        """Return a figure of a recipe, one value a seed that gave it."""
        runs = [run.measured for run in self.runs if run.recipe == recipe]
        return [measured[measure] for measured in runs if measure in measured]


def with_spread(values: Sequence[float], form: str) -> str:
    """Write the mean of a figure with its standard deviation over seeds."""
    if not values:
        return "–"
    if len(values) == 1:
        return f"{values[0]:{form}}"
    return f"{mean(values):{form}} ± {stdev(values):{form}}"
