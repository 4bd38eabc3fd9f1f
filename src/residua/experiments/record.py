"""What an experiment is, what a run of it measures, and both as tables."""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from statistics import mean, stdev
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict
from rich.markup import escape
from rich.table import Table

from residua.errors import OutputError, UnknownName

if TYPE_CHECKING:
    from rich.console import Console


class Claim(BaseModel):
    """A figure that a source report prints."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    measure: str
    """Name of the measured figure that it stands beside."""
    title: str
    """What it is, in words."""
    value: float | None
    """As printed; None: the report gives no such figure."""
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

    def tables(self) -> list[Table]:
        """Return the report for a terminal."""
        return [self._figures(), self._disagreements()]

    def _figures(self) -> Table:
        seeds = sorted({run.seed for run in self.runs})
        table = Table(
            title=f"{self.title}; seeds {', '.join(map(str, seeds))}", title_justify="left"
        )
        table.add_column("figure")
        table.add_column("claimed", justify="right")
        for recipe, what in self.recipes.items():
            table.add_column(f"{recipe}\n[dim]{escape(what)}[/]", justify="right")
        for claim in self.claims:
            values = [self._values(recipe, claim.measure) for recipe in self.recipes]
            cells = [_spread(found, claim.form) for found in values]
            printed = "–" if claim.value is None else f"{claim.value:{claim.form}}"
            table.add_row(claim.title, printed, *cells)
        return table

    def _disagreements(self) -> Table:
        table = Table(title="Claims that contradict themselves", title_justify="left")
        table.add_column("claim")
        table.add_column("arithmetic")
        for found in self.contradictions:
            table.add_row(found.title, found.arithmetic)
        return table

    def _values(self, recipe: str, measure: str) -> list[float]:
        runs = [run.measured for run in self.runs if run.recipe == recipe]
        return [measured[measure] for measured in runs if measure in measured]


class Experiment(ABC):
    """A protocol with its claims and recipes."""

    name: str
    title: str
    claims: Sequence[Claim]
    recipes: Mapping[str, Mapping[str, Any]]
    """Each recipe's parameters of `AutoencoderDetector`."""
    descriptions: Mapping[str, str]
    """Each recipe in a few words."""

    @abstractmethod
    def measure(
        self, settings: Mapping[str, Any], *, folder: Path, console: Console | None
    ) -> dict[str, float]:
        """Run the protocol once."""

    @abstractmethod
    def contradictions(self) -> list[Contradiction]:
        """Return the claims that cannot all be true."""

    def run(
        self,
        *,
        seeds: Sequence[int],
        recipes: Sequence[str] | None,
        epochs: int | None,
        folder: Path,
        console: Console | None,
    ) -> ExperimentReport:
        """Run each recipe from each seed, or read what an earlier call has left."""
        chosen = list(recipes or self.recipes)
        for recipe in chosen:
            if recipe not in self.recipes:
                raise UnknownName.among("recipe", recipe, self.recipes)
        runs = []
        for recipe in chosen:
            for seed in seeds:
                settings = {**self.recipes[recipe], "random_state": seed}
                if epochs is not None:
                    settings["epochs"] = epochs
                runs.append(self._one(recipe, settings, seed, folder, console))
        return ExperimentReport(
            title=self.title,
            claims=list(self.claims),
            contradictions=self.contradictions(),
            recipes={recipe: self.descriptions[recipe] for recipe in chosen},
            runs=runs,
        )

    def _one(
        self,
        recipe: str,
        settings: dict[str, Any],
        seed: int,
        folder: Path,
        console: Console | None,
    ) -> Run:
        # Another version of the code is another experiment.
        identity = json.dumps({**settings, "residua": version("residua")}, sort_keys=True)
        key = hashlib.sha256(identity.encode()).hexdigest()[:8]
        kept = folder / f"{recipe}-seed{seed}-{key}"
        result = kept / "result.json"
        if result.exists():
            if console is not None:
                console.print(f"{recipe}, seed {seed}: kept from before in {kept}")
            return Run.model_validate_json(result.read_text(encoding="utf-8"))
        try:
            kept.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"the results cannot be written in {kept}: {error}") from error
        if console is not None:
            console.print(f"[bold]{recipe}, seed {seed}[/]: {self.descriptions[recipe]}")
        run = Run(
            recipe=recipe,
            seed=seed,
            measured=self.measure(settings, folder=kept, console=console),
        )
        beside = result.with_suffix(".new")
        beside.write_text(run.model_dump_json(indent=2) + "\n", encoding="utf-8")
        beside.replace(result)
        return run


def _spread(values: Sequence[float], form: str) -> str:
    """Write the mean with the standard deviation over seeds."""
    if not values:
        return "–"
    if len(values) == 1:
        return f"{values[0]:{form}}"
    return f"{mean(values):{form}} ± {stdev(values):{form}}"
