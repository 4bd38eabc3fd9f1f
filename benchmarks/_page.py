"""Results of the performance benchmarks: printed, kept as JSON, and set into docs/performance.md.

The page is written by hand but for what stands between marks: the table of goals, and the tables of
each benchmark, ``<!-- begin NAME -->`` to ``<!-- end NAME -->``.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from _table import machine, markdown

DOCS = Path(__file__).parent.parent / "docs"
PAGE = DOCS / "performance.md"
RESULTS = DOCS / "results" / "performance"
GOALS = "goals"


@dataclass(frozen=True)
class Table:
    """One table of measured figures, as it is printed."""

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]

    def text(self) -> str:
        """Return it as Markdown."""
        return f"**{self.title}**\n\n{markdown(self.header, self.rows)}"


@dataclass(frozen=True)
class Goal:
    """What a figure was meant to reach, and whether it did."""

    what: str
    wanted: str
    measured: str
    met: bool


def parser(doc: str | None) -> argparse.ArgumentParser:
    """Return a parser with the option that all performance benchmarks have."""
    made = argparse.ArgumentParser(description=(doc or "").partition("\n")[0])
    made.add_argument(
        "--page", action="store_true", help="keep the result and set it into docs/performance.md"
    )
    return made


def publish(name: str, tables: Sequence[Table], goals: Sequence[Goal] = (), *, page: bool) -> None:
    """Print a benchmark's tables; with ``page`` keep them and write the page anew.

    Parameters
    ----------
    name : str
        The benchmark's, which is that of its marks in the page.
    tables : sequence of Table
    goals : sequence of Goal
        Rows of the page's first table.
    page : bool
    """
    for table in tables:
        print(f"\n{table.text()}")
    for goal in goals:
        print(f"\n{goal.what}: {goal.measured}; goal {goal.wanted}: {_mark(goal.met)}")
    print(f"\n{machine()}")
    if not page:
        return
    RESULTS.mkdir(parents=True, exist_ok=True)
    result = {
        "command": " ".join(["scripts/bench", name, *map(_public, sys.argv[1:])]),
        "machine": machine(),
        "measured": f"{datetime.now(UTC):%Y-%m-%d}",
        "tables": [asdict(table) for table in tables],
        "goals": [asdict(goal) for goal in goals],
    }
    (RESULTS / f"{name}.json").write_text(
        json.dumps(result, indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    write_page()


def write_page() -> None:
    """Set every kept result into the page."""
    text = PAGE.read_text(encoding="utf-8")
    goals: list[Goal] = []
    for path in sorted(RESULTS.glob("*.json")):
        result = json.loads(path.read_text(encoding="utf-8"))
        tables = [Table(**table).text() for table in result["tables"]]
        goals += [Goal(**goal) for goal in result["goals"]]
        source = f"`{result['command']}`, {result['measured']}, {result['machine']}"
        text = between_marks(text, path.stem, "\n\n".join([*tables, source]))
    text = between_marks(text, GOALS, _goals_table(goals))
    PAGE.write_text(text, encoding="utf-8")


def between_marks(text: str, name: str, content: str) -> str:
    """Return a page with new content between the marks of a name.

    Raises
    ------
    SystemExit
        The page has no such marks.
    """
    begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
    before, found, rest = text.partition(begin)
    _, closed, after = rest.partition(end)
    if not (found and closed):
        raise SystemExit(f"{PAGE} has no place for {name!r}: add the lines {begin} and {end}")
    return f"{before}{begin}\n{content}\n{end}{after}"


def _goals_table(goals: Iterable[Goal]) -> str:
    rows = [[goal.what, goal.wanted, goal.measured, _mark(goal.met)] for goal in goals]
    return markdown(["what", "goal", "measured", ""], rows)


def _public(argument: str) -> str:
    """Return an argument as it may stand in a page: of a path, its last part."""
    return Path(argument).name if os.sep in argument else argument


def _mark(met: bool) -> str:
    return "met" if met else "**not met**"
