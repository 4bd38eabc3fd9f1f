"""What a refinement found: the initial settings and each improvement on them."""

from __future__ import annotations

from html import escape as html_escape
from typing import Any

from pydantic import BaseModel, ConfigDict
from rich.markup import escape
from rich.table import Table

from residua.refinement.space import Choice
from residua.settings import FitSettings


class Tested(BaseModel):
    """What a kept model gives on labelled test pictures, measured after the search."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    auroc: float
    low: float
    """Lower end of its 95 % interval."""
    high: float
    """Upper end."""
    accuracy: float
    """At the fitted threshold."""
    mean_error: float
    """Mean squared error of rebuilding all test pictures."""


class Record(BaseModel):
    """One finished trial."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    number: int
    settings: FitSettings
    """What was fitted, with the best score of those that were tried on it."""
    choice: Choice
    """The same in the terms of the search."""
    auroc: float
    """Held-out normal pictures against synthetic anomalies, mean over their kinds."""
    per_kind: dict[str, float]
    """The same for each kind."""
    normal_mse: float
    """Mean squared error of rebuilding the held-out normal pictures."""
    found: float
    """Share of the synthetic anomalies above the fitted threshold, mean over their kinds."""
    false_positive_rate: float
    """Share of the held-out normal pictures above it."""
    fit_seconds: float

    @property
    def balanced_accuracy(self) -> float:
        """Mean of the shares of synthetic anomalies and normal pictures that are right."""
        return (self.found + 1 - self.false_positive_rate) / 2


class Step(BaseModel):
    """The initial settings, or a trial that beat all before it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    record: Record
    changed: dict[str, tuple[Any, Any]]
    """Each setting that differs from the step before: old and new."""
    bundle: str
    """Name of the saved model in the refinement's folder."""
    tested: Tested | None = None
    """None: no labelled pictures were given."""


class Refinement(BaseModel):
    """The outcome of a search. In a notebook it shows itself."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    steps: list[Step]
    """The initial settings first, then each improvement."""
    confirmed: dict[str, float]
    """AUROC of "initial" and "winner" on held-out pictures and synthetic anomalies that had no
    part in the search; what the search says of its winner is too good, being a maximum."""
    n_selection: int
    """Held-out normal pictures that the search judged by."""
    completed: int
    pruned: int
    """Trials ended early, since they were behind the others at the same epoch."""
    failed: dict[str, int]
    """Trials that could not be fitted, by reason."""
    seed: int

    @property
    def initial(self) -> Step:
        """The settings that the search began with."""
        return self.steps[0]

    @property
    def winner(self) -> Step:
        """The best settings found; the initial ones where nothing beat them."""
        return self.steps[-1]

    def verdict(self) -> str:
        """Say in a sentence what came of it."""
        tried = f"{self.completed + self.pruned + sum(self.failed.values())} trials"
        before, after = self.confirmed["initial"], self.confirmed["winner"]
        if len(self.steps) == 1:
            return (
                f"Nothing in {tried} beat the initial settings (AUROC "
                f"{self.initial.record.auroc:.4f} on synthetic anomalies); they are kept."
            )
        said = (
            f"{self.winner.name} of {tried} raises the AUROC on synthetic anomalies from "
            f"{self.initial.record.auroc:.4f} to {self.winner.record.auroc:.4f}; on others that "
            f"had no part in the search, from {before:.4f} to {after:.4f}."
        )
        if after <= before:
            said += " There it is no better: do not rely on this improvement."
        return said

    def table(self) -> Table:
        """Return the steps for a terminal."""
        table = Table(title="Refinement", title_justify="left", caption_justify="left")
        table.add_column("step", no_wrap=True)
        table.add_column("score", no_wrap=True)
        for column in ("AUROC", "error", "found", "false", "fit, s"):
            table.add_column(column, justify="right", no_wrap=True)
        tested = any(step.tested for step in self.steps)
        if tested:
            for column in ("test AUROC", "accuracy"):
                table.add_column(column, justify="right")
        table.add_column("changed")
        for step in self.steps:
            table.add_row(*self._cells(step, tested), escape(_changes(step)))
        table.caption = escape("\n".join(self._remarks()))
        return table

    def _cells(self, step: Step, tested: bool) -> list[str]:
        own = step.record
        cells = [
            step.name,
            own.choice.score,
            f"{own.auroc:.4f}",
            f"{own.normal_mse:.5f}",
            f"{own.found:.1%}",
            f"{own.false_positive_rate:.1%}",
            f"{own.fit_seconds:.0f}",
        ]
        if tested:
            there = step.tested
            cells += (
                ["–", "–"] if there is None else [f"{there.auroc:.4f}", f"{there.accuracy:.3f}"]
            )
        return cells

    def _remarks(self) -> list[str]:
        remarks = [
            self.verdict(),
            f"AUROC, found and false: {self.n_selection:,} held-out normal pictures against "
            "synthetic anomalies made from them. Error: mean squared, of rebuilding the normal "
            "ones.",
            f"{self.completed} trials completed, {self.pruned} ended early, "
            f"{sum(self.failed.values())} failed.",
        ]
        return remarks + [f"failed, {count} ×: {why}" for why, count in self.failed.items()]

    def _repr_html_(self) -> str:
        rows = "".join(
            "<tr>"
            + "".join(f"<td>{html_escape(cell)}</td>" for cell in self._cells(step, True))
            + f"<td style='text-align:left'>{html_escape(_changes(step))}</td></tr>"
            for step in self.steps
        )
        heads = (
            "step",
            "score",
            "AUROC",
            "error",
            "found",
            "false",
            "fit, s",
            "test AUROC",
            "accuracy",
        )
        head = "".join(f"<th>{name}</th>" for name in (*heads, "changed"))
        remarks = "".join(f"<p>{html_escape(remark)}</p>" for remark in self._remarks())
        return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>{remarks}"


def _changes(step: Step) -> str:
    if not step.changed:
        return "–"
    return ", ".join(
        f"{name}: {_plain(old)} → {_plain(new)}" for name, (old, new) in step.changed.items()
    )


def _plain(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def changed(before: Choice, after: Choice) -> dict[str, tuple[Any, Any]]:
    """Return each setting that differs, as old and new."""
    old, new = before.model_dump(), after.model_dump()
    return {name: (old[name], new[name]) for name in new if old[name] != new[name]}
