"""The advice, with the pictures that show it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua.advice.finding import GRAVEST_FIRST, Finding
from residua.errors import ImageError
from residua.evaluation.scored import ScoredSet, view
from residua.heatmaps import overlay
from residua.images.source import ImageSource
from residua.report.sections import Block, Cell, FindingBlock, Section, TableBlock, TextBlock

_PICTURES = 12


def advice_section(
    model: Any,
    scored: ScoredSet,
    findings: Sequence[Finding],
    training: ImageSource | None = None,
) -> Section:
    """Return the findings, the gravest first; what was found to be fine comes as one table."""
    ranked = sorted(findings, key=lambda finding: GRAVEST_FIRST.index(finding.severity))
    blocks: list[Block] = []
    for number, finding in enumerate(ranked, 1):
        if finding.severity == "fine":
            continue
        shown = list(_evidence(model, scored, finding, training))
        blocks.append(FindingBlock(finding, shown))
        if finding.table:
            blocks.append(_table(finding, f"advice-{number}-{_slug(finding.check)}"))
    fine = [(f.title, f.evidence) for f in ranked if f.severity == "fine" and f.made]
    unmade = [(f.title, f.evidence) for f in ranked if not f.made]
    for name, title, columns, rows in (
        ("advice-fine", "Looked for and not found", ("check", "evidence"), fine),
        ("advice-not-made", "Could not be checked", ("check", "why"), unmade),
    ):
        if rows:
            blocks.append(TableBlock(name, title, "", columns, rows))
    if not blocks:
        blocks.append(TextBlock("No check was run on these pictures.", "note"))
    made = len(findings) - len(unmade)
    intro = f"{made - len(fine):,} of {made:,} checks found something to do." if made else ""
    return Section("advice", "Advice", intro, blocks)


def _table(finding: Finding, name: str) -> TableBlock:
    columns = list(dict.fromkeys(column for row in finding.table for column in row))
    rows: list[list[Cell]] = [[row.get(column) for column in columns] for row in finding.table]
    words = [column.replace("_", " ") for column in columns]
    return TableBlock(name, "The numbers behind it", "", words, rows)


def _slug(name: str) -> str:
    return "".join(c if c.isascii() and c.isalnum() else "-" for c in name.lower())


def _evidence(
    model: Any, scored: ScoredSet, finding: Finding, training: ImageSource | None
) -> Iterator[tuple[NDArray[np.uint8], str]]:
    """Yield each picture that can be read, and its heat map where that belongs beside it."""
    for picture in finding.pictures[:_PICTURES]:
        source = scored.source if picture.origin == "scored" else training
        if source is None:
            continue
        try:
            seen = view(model, source, [picture.position])
        except ImageError:
            continue
        yield seen.images[0], picture.note or picture.id
        if picture.heat_map:
            ceiling = scored.manifest.map_ceiling
            yield np.asarray(overlay(seen.images[0], seen.error_maps[0], ceiling)), "its heat map"
