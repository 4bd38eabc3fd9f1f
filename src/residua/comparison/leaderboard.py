"""What a comparison found: one row a method, the best first."""

from __future__ import annotations

import csv
from html import escape as html_escape
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict
from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from residua.errors import OutputError
from residua.images.preprocess import InputSpec
from residua.writing import whole_file


class Measured(BaseModel):
    """A figure over one seed or more."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    value: float
    """Mean over the seeds."""
    low: float
    """Lower end of the 95 % interval over test pictures, mean over the seeds."""
    high: float
    """Upper end."""
    spread: float | None = None
    """Standard deviation over the seeds; None: one seed."""

    def text(self) -> str:
        """Write the value with its interval."""
        # With spaces, so that a narrow terminal wraps it and cuts nothing off.
        return f"{self.value:.4f} ({self.low:.4f} to {self.high:.4f})".replace("-", "−")


class Row(BaseModel):
    """How one method did."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: str
    title: str
    what: str
    source: str
    seeds: list[int]
    auroc: Measured
    average_precision: Measured
    best_f1: Measured
    fpr_at_95_tpr: Measured
    behind: Measured
    """AUROC of the best method less this one's, on the same resamples of the test pictures."""
    within_noise: bool
    """Whether the best may be no better: the interval of the difference holds 0, or the seeds
    disagree on which is better. True for the best itself."""
    fit_seconds: float
    """Mean over the seeds."""
    score_seconds: float
    """For 1,000 pictures, mean over the seeds."""
    memory_mb: float | None
    """Greatest over the seeds, in 10⁶ bytes; see `Comparison.memory`. None: not measured."""
    n_train: int
    """Pictures that it was trained on."""
    input: str
    """What it takes: rows x columns x channels."""
    notes: list[str]
    """Warnings of its fits, and how its training pictures were cut down."""


class Comparison(BaseModel):
    """Methods on the same pictures, the best first.

    In a notebook it shows itself.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    protocol: str
    """Which pictures were trained and tested on."""
    spec: InputSpec
    """What all pictures were brought to."""
    flat: InputSpec
    """The size at which methods of flattened pixels saw them."""
    n_trusted: int
    """Trusted pictures there were to train on."""
    n_normal: int
    """Normal test pictures."""
    n_anomalous: int
    """Anomalous test pictures."""
    seeds: list[int]
    rows: list[Row]
    left_out: dict[str, str]
    """Methods that gave no scores, and why."""
    memory: str
    """How memory is measured."""
    versions: dict[str, str]

    @property
    def best(self) -> Row:
        """The method of greatest AUROC."""
        return self.rows[0]

    def verdict(self) -> str:
        """Say which method is best and which ones are within noise of it."""
        best = self.best
        near = [row.method for row in self.rows[1:] if row.within_noise]
        said = f"{best.method} ranks best (AUROC {best.auroc.value:.4f})"
        if not self.rows[1:]:
            return f"{said}, of one method"
        if not near:
            return f"{said}, and the difference to every other method is beyond noise"
        return f"{said}; within noise of it: {', '.join(near)}"

    def table(self) -> Table:
        """Return the leaderboard for a terminal."""
        table = Table(
            title=escape(self._title()),
            title_justify="left",
            caption_justify="left",
            box=SIMPLE_HEAD,
            padding=(0, 1, 0, 0),
        )
        columns = self._columns()
        for name, cells in columns.items():
            # Intervals may wrap between their words where the terminal is narrow; no figure may.
            pieces = [piece for cell in cells for piece in cell.replace("≈ ", "≈.").split()]
            table.add_column(
                name,
                justify="left" if name == "method" else "right",
                min_width=max(map(len, pieces)),
            )
        for row in zip(*columns.values(), strict=True):
            table.add_row(*map(escape, row))
        table.caption = escape("\n".join(self._remarks()))
        return table

    def markdown(self) -> str:
        """Return the leaderboard as a table of Markdown, with its remarks."""
        columns = self._columns()
        lines = [
            "| " + " | ".join(columns) + " |",
            "|" + "".join("---|" if name == "method" else "--:|" for name in columns),
        ]
        lines += ["| " + " | ".join(row) + " |" for row in zip(*columns.values(), strict=True)]
        return "\n".join([*lines, "", *self._remarks()])

    def records(self) -> list[dict[str, Any]]:
        """Return one flat record a row, for a table of any kind."""
        flat: list[dict[str, Any]] = []
        for rank, row in enumerate(self.rows, 1):
            record: dict[str, Any] = {"rank": rank}
            for name, value in row.model_dump().items():
                if isinstance(value, dict):
                    record[name] = value.pop("value")
                    record |= {f"{name}_{part}": number for part, number in value.items()}
                elif isinstance(value, list):
                    record[name] = "; ".join(map(str, value))
                else:
                    record[name] = value
            flat.append(record)
        return flat

    def save(self, folder: str | Path) -> Path:
        """Write ``comparison.json`` and ``comparison.csv`` into a folder, made where missing.

        Raises
        ------
        OutputError
            They cannot be written.
        """
        folder = Path(folder)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with whole_file(folder / "comparison.json") as beside:
                beside.write_text(self.model_dump_json(indent=2) + "\n", encoding="utf-8")
            with (
                whole_file(folder / "comparison.csv") as beside,
                beside.open("w", encoding="utf-8", newline="") as file,
            ):
                records = self.records()
                writer = csv.DictWriter(file, list(records[0]))
                writer.writeheader()
                writer.writerows(records)
        except OSError as error:
            raise OutputError(f"the comparison cannot be written in {folder}: {error}") from error
        return folder

    def _repr_html_(self) -> str:
        columns = self._columns()
        head = "".join(f"<th>{html_escape(name)}</th>" for name in columns)
        body = "".join(
            "<tr>" + "".join(f"<td>{html_escape(cell)}</td>" for cell in row) + "</tr>"
            for row in zip(*columns.values(), strict=True)
        )
        remarks = "".join(f"<p>{html_escape(remark)}</p>" for remark in self._remarks())
        return (
            f"<div><table><caption>{html_escape(self._title())}</caption>"
            f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{remarks}</div>"
        )

    def _title(self) -> str:
        return (
            f"{len(self.rows)} methods; {self.n_normal:,} normal and {self.n_anomalous:,} "
            f"anomalous test pictures; seeds {', '.join(map(str, self.seeds))}"
        )

    def _columns(self) -> dict[str, list[str]]:
        rows = self.rows
        columns = {
            "method": [row.method for row in rows],
            "AUROC (95 %)": [row.auroc.text() for row in rows],
        }
        if len(self.seeds) > 1:
            columns["± seeds"] = [f"{row.auroc.spread or 0:.4f}" for row in rows]
        return columns | {
            "behind": [_behind(row, row is self.best) for row in rows],
            "AP": [f"{row.average_precision.value:.4f}" for row in rows],
            "F1": [f"{row.best_f1.value:.4f}" for row in rows],
            "FPR at 95 %": [f"{row.fpr_at_95_tpr.value:.4f}" for row in rows],
            "fit, s": [f"{row.fit_seconds:.1f}" for row in rows],
            "1,000, s": [f"{row.score_seconds:.2f}" for row in rows],
            "MB": ["–" if row.memory_mb is None else f"{row.memory_mb:,.0f}" for row in rows],
            "trained": [f"{row.n_train:,}" for row in rows],
        }

    def _remarks(self) -> list[str]:
        same = self.flat == self.spec
        seen = "" if same else f"; methods of flattened pixels: {_size(self.flat)}"
        remarks = [
            f"{self.verdict()}.",
            f"Protocol: {self.protocol}. Pictures of {_size(self.spec)}{seen}.",
            "In brackets: 95 % intervals. ≈: within noise of the best. F1 is the greatest of any "
            f"threshold. 1,000: time to score that many pictures. MB: {self.memory}.",
        ]
        inverted = [row.method for row in self.rows if row.auroc.high < 0.5]
        if inverted:
            remarks.append(
                f"Worse than chance: {', '.join(inverted)}. Such a score follows something else "
                "than how strange a picture is, its brightness for one; do not turn it round."
            )
        remarks += [f"{row.method}: {note}" for row in self.rows for note in row.notes]
        remarks += [f"left out: {name}: {why}" for name, why in self.left_out.items()]
        return remarks


def _behind(row: Row, is_best: bool) -> str:
    if is_best:
        return "best"
    mark = "≈ " if row.within_noise else ""
    return mark + row.behind.text()


def _size(spec: InputSpec) -> str:
    return f"{spec.height} × {spec.width} {spec.colour}"
