"""The folder beside the page: every number as CSV or JSON, every figure as SVG."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from residua.advice.finding import Finding
from residua.errors import OutputError
from residua.evaluation.evaluate import Evaluation
from residua.evaluation.scored import ScoredSet
from residua.images.decode import printable
from residua.report.sections import FigureBlock, Section, TableBlock
from residua.writing import whole_file

CONTENTS = "contents.json"


def check_report_folder(folder: Path) -> None:
    """Refuse, before any work is done, a folder that holds something other than a report.

    Raises
    ------
    OutputError
        It is a file, or has files and is no report's.
    """
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise OutputError(f"{folder} is no folder; choose another name for the report")
    # Hidden ones may be of a report that was killed before it wrote anything.
    others = folder.is_dir() and any(not path.name.startswith(".") for path in folder.iterdir())
    if others and not (folder / CONTENTS).is_file():
        raise OutputError(
            f"the report's numbers would go to {folder}, which has other files in it; choose "
            "another name for the report"
        )


def write_folder(
    folder: Path,
    *,
    scored: ScoredSet,
    evaluation: Evaluation,
    findings: Sequence[Finding],
    sections: Sequence[Section],
    drawings: dict[str, str],
) -> list[str]:
    """Write all numbers and figures, and delete what an earlier report left there.

    Parameters
    ----------
    folder : Path
        Made where it is missing.
    drawings : dict of str to str
        SVG of each figure, by its name.

    Returns
    -------
    list of str
        Names of the files.

    Raises
    ------
    OutputError
        A file cannot be written.
    """
    texts = {
        "scores.csv": _csv(("id", "label", "truth", "score", "flagged"), _score_rows(scored)),
        "evaluation.json": evaluation.model_dump_json(indent=2) + "\n",
        "findings.json": json.dumps([f.model_dump(mode="json") for f in findings], indent=2) + "\n",
    }
    if scored.failures:
        rows = [(printable(f.id), " ".join(str(f.error).split())) for f in scored.failures]
        texts["unreadable.csv"] = _csv(("id", "error"), rows)
    for section in sections:
        for block in section.blocks:
            if isinstance(block, TableBlock):
                texts[f"{block.name}.csv"] = _csv(block.columns, block.rows)
            elif isinstance(block, FigureBlock):
                data = block.display.data()
                texts[f"{block.name}.csv"] = _csv(list(data), zip(*data.values(), strict=True))
                texts[f"{block.name}.svg"] = _PROLOG + drawings[block.name]
    try:
        folder.mkdir(exist_ok=True)
        stale = _earlier(folder) - set(texts)
        # Named before they are there, so that a run that is killed leaves nothing unnamed.
        _write(folder / CONTENTS, json.dumps(sorted({*texts, *stale}), indent=2) + "\n")
        for name, text in texts.items():
            _write(folder / name, text)
        for name in stale:
            (folder / name).unlink(missing_ok=True)
        _write(folder / CONTENTS, json.dumps(sorted(texts), indent=2) + "\n")
    except OSError as error:
        reason = error.strerror or error
        raise OutputError(f"the numbers cannot be written to {folder}: {reason}") from error
    return sorted(texts)


_PROLOG = '<?xml version="1.0" encoding="utf-8"?>\n'


def _score_rows(scored: ScoredSet) -> Iterable[Sequence[Any]]:
    labels: Sequence[str | None] = scored.labels or [None] * len(scored)
    truth = [None] * len(scored) if scored.anomalous is None else scored.anomalous.tolist()
    return zip(
        scored.ids, labels, truth, scored.scores.tolist(), scored.flagged.tolist(), strict=True
    )


def _csv(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Write rows as CSV: numbers to the last digit, truth values in lower case, None as nothing."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow([_plain(value) for value in row])
    return buffer.getvalue()


def _plain(value: Any) -> Any:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return repr(value)
    return printable(value) if isinstance(value, str) else value


def _write(path: Path, text: str) -> None:
    with whole_file(path) as beside:
        beside.write_text(text, encoding="utf-8", newline="")


def _earlier(folder: Path) -> set[str]:
    """Return the names that an earlier report wrote here; only plain names count."""
    try:
        names = json.loads((folder / CONTENTS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return set()
    if not isinstance(names, list):
        return set()
    return {name for name in names if isinstance(name, str) and Path(name).name == name} - {
        CONTENTS
    }
