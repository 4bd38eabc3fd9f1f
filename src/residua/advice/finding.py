"""One piece of advice: what was found, the evidence, and what to do."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

Severity = Literal["warning", "advice", "fine"]
GRAVEST_FIRST: tuple[Severity, ...] = ("warning", "advice", "fine")
"""The order in which findings are shown."""
Row = dict[str, str | int | float | None]


class Picture(BaseModel):
    """A picture shown as evidence."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    origin: Literal["scored", "training"]
    """Whether it is one of the pictures that were scored or one that the model was fitted on."""
    position: int
    """Its index in that source."""
    id: str
    """Its name there."""
    note: str
    """What it shows, in a few words."""
    heat_map: bool = False
    """Whether its heat map belongs beside it."""


class Finding(BaseModel):
    """What was found, with its evidence."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    check: str
    """Name of the check that found it."""
    severity: Severity
    """warning: verdicts cannot be trusted before it is mended; advice: worth doing; fine: the
    check found nothing amiss, or could not be made."""
    title: str
    """What was found, as one sentence."""
    evidence: str
    """The evidence, with its numbers."""
    action: str
    """What to do; empty where nothing need be done."""
    numbers: dict[str, float] = {}
    """The numbers of the evidence, by name."""
    table: list[Row] = []
    """Rows behind the evidence."""
    pictures: list[Picture] = []
    """Pictures that show it."""
    made: bool = True
    """Whether the check could be made; where it could not, the severity is fine and the evidence
    says what it lacks."""

    @classmethod
    def not_made(cls, check: str, title: str, why: str) -> Finding:
        """Build the finding of a check that cannot be made here."""
        return cls(check=check, severity="fine", title=title, evidence=why, action="", made=False)
