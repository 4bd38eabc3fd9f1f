"""The results as a page of Markdown tables and as the JSON file beside it."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

from quality.figures import beside, over_seeds, verdict, with_spread, written
from quality.kept import Result
from quality.rates import LEVEL, pool
from quality.rows import NOTES, Goal, Row

CasesOf = Callable[[Row], Sequence[str]]
_BY_ROW = dict[str, list[Result]]

_HEAD = """# Quality

What the default detector tells apart: each row is `AutoencoderDetector()` as it comes. Nothing is
set but the seed and what a row names below: the size of pictures that are files, a number of
epochs that keeps the table within hours, and `model="features"` with a backbone file (ImageNet
MobileNetV2). No network, score or threshold is fitted to an anomaly. The default itself was chosen
on normal pictures, on anomalies made from them and on a data set that is not in the table, while
these test pictures were in sight ([why](decisions/0010-the-default-score-joins-parts.md)).
{quick}
    scripts/bench quality           # measures what is not kept yet, then writes this page
    scripts/bench quality --page    # writes this page from what is kept

Mean ± standard deviation over seeds, which draw weights, order, held-out pictures and, of tiles and
objects, the split ([every figure of every fit](results/quality.json)). A row of several classes is
the mean over them; a seed counts once all its classes are measured.
"""
_FLAGS = """## Do limits keep their promise?

For each fit both limits are fitted again on its calibration scores, and the normal test pictures
beyond them are counted, over all classes and seeds of a row. **Interval**: where 95 % of such
counts lie if the promise holds. Beyond a limit that is the l-th greatest of n calibration scores
lies a share of normal pictures that is itself random, Beta(l, n + 1 - l), so that a count among m
of them is beta-binomial; a binomial interval, which takes the limit for given, is too narrow. The
seeds of a row score the same test pictures, or many of them, and are taken as dependent as can be;
classes are taken as independent. Of {judged} lines at most {strays:.1f} would be outside by chance.
The published training and test parts of MNIST have different writers, which no interval knows of.
"""


def page(
    results: Iterable[Result], rows: Sequence[Row], cases_of: CasesOf, *, quick: bool = False
) -> str:
    """Return the page.

    Parameters
    ----------
    results : iterable of Result
        Those that still hold; rows without any stand as not measured.
    rows : sequence of Row
    cases_of : callable
        Returns the cases of a row that are measured.
    quick : bool, default=False
        Whether the results are of fewer pictures and epochs, which the page then says.
    """
    by_row: _BY_ROW = defaultdict(list)
    for result in results:
        by_row[result.row].append(result)
    note = "\n**QUICK: few pictures and epochs; no figure here is one of the table.**\n" * quick
    parts = [
        _HEAD.format(quick=note),
        _goals(by_row, rows, cases_of),
        _notes(rows),
        *(_classes(by_row[row.name], row, cases_of(row)) for row in rows if len(row.cases) > 1),
        _others(by_row, rows, cases_of),
        _flags(by_row, rows),
        _protocols(by_row, rows),
        _time(by_row),
    ]
    return "\n".join(part for part in parts if part)


def as_json(results: Iterable[Result]) -> str:
    """Return the results as JSON, in an order that does not hang on that of measuring."""
    ordered = sorted(results, key=lambda r: (r.row, r.seed, r.case))
    content = {
        "machines": sorted({result.machine for result in ordered}),
        "seconds": round(sum(result.seconds for result in ordered), 1),
        "results": [result.model_dump() for result in ordered],
    }
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def _goals(by_row: _BY_ROW, rows: Sequence[Row], cases_of: CasesOf) -> str:
    numbers = {name: number for number, name in enumerate(_notes_used(rows), 1)}
    lines = []
    for row in rows:
        for goal in row.goals:
            values = over_seeds(by_row[row.name], goal.measure, cases_of(row))
            marks = "".join(f"<sup>{numbers[name]}</sup>" for name in goal.notes)
            lines.append(
                [
                    row.title,
                    goal.title,
                    _wanted(goal),
                    with_spread(values, goal.form),
                    str(len(values)),
                    verdict(goal, values),
                    f"{goal.reference}{marks}",
                ]
            )
    header = ["row", "figure", "goal", "measured", "seeds", "", "others"]
    return _table(header, lines, right=(2, 3, 4))


def _wanted(goal: Goal) -> str:
    value = f"{100 * goal.bound:g} %" if goal.form.endswith("%") else f"{goal.bound:g}"
    return f"{'≤' if goal.at_most else '≥'} {value}"


def _notes(rows: Sequence[Row]) -> str:
    return "".join(f"{n}. {NOTES[name]}\n" for n, name in enumerate(_notes_used(rows), 1))


def _notes_used(rows: Sequence[Row]) -> list[str]:
    used = (name for row in rows for goal in row.goals for name in goal.notes)
    return list(dict.fromkeys(used))


def _classes(results: Sequence[Result], row: Row, cases: Sequence[str]) -> str:
    if not results:
        return ""
    lines = [
        [case, *(with_spread(over_seeds(results, m, [case]), f) for m, f in _PER_CLASS.values())]
        for case in cases
    ]
    table = _table(["normal class", *_PER_CLASS], lines, right=range(1, 1 + len(_PER_CLASS)))
    return f"## {row.title}: class by class\n\n{table}"


_PER_CLASS = {
    "AUROC": ("auroc", ".4f"),
    "anomalous flagged": ("tpr", ".2%"),
    "normal flagged (false)": ("fpr", ".2%"),
}


def _others(by_row: _BY_ROW, rows: Sequence[Row], cases_of: CasesOf) -> str:
    lines = []
    for row in rows:
        own = over_seeds(by_row[row.name], "auroc", cases_of(row))
        for kind, title in (("baselines", "baseline"), ("other_scores", "same network")):
            for name, values in beside(by_row[row.name], kind, cases_of(row)).items():
                cells = [with_spread(values, ".4f"), with_spread(own, ".4f")]
                lines.append([row.title, title, f"`{name}`", *cells])
    if not lines:
        return ""
    table = _table(["row", "", "score", "its AUROC", "the detector's"], lines, right=(3, 4))
    return f"## Other scores of the same pictures\n\n{table}"


def _flags(by_row: _BY_ROW, rows: Sequence[Row]) -> str:
    lines = []
    for row in rows:
        for found in pool(by_row[row.name]):
            least, most = found.n_calibration
            sizes = f"{least:,}" if least == most else f"{least:,} to {most:,}"
            start = [row.title, f"`{found.rule}`", sizes]
            if found.refused == found.fits:
                lines.append([*start, "–", "–", "–", "–", f"refused: {found.why}"])
                continue
            word = found.verdict + f"; refused in {found.refused} fits" * bool(found.refused)
            lines.append(
                [
                    *start,
                    f"{found.n_normal:,}",
                    f"{found.flagged:,}",
                    written(found.rate, ".2%"),
                    f"{written(found.low, '.2%')} to {written(found.high, '.2%')}",
                    word,
                ]
            )
    if not lines:
        return ""
    header = [
        "row",
        "limit",
        "calibration scores",
        "normal tests",
        "flagged",
        "rate",
        "interval",
        "",
    ]
    judged = sum(not line[-1].startswith("refused:") for line in lines)
    head = _FLAGS.format(judged=judged, strays=(1 - LEVEL) * judged)
    return f"{head}\n{_table(header, lines, right=range(2, 7))}"


def _protocols(by_row: _BY_ROW, rows: Sequence[Row]) -> str:
    lines = []
    for row in rows:
        results = by_row[row.name]
        counts = [
            _span([getattr(result, field) for result in results])
            for field in ("n_train", "n_normal", "n_anomalous")
        ]
        times = [
            _span([round(getattr(result, field)) for result in results])
            for field in ("fit_seconds", "score_seconds")
        ]
        lines.append([row.title, row.words, *counts, *times])
    header = ["row", "protocol", "trusted", "normal", "anomalous", "fit, s", "score, s"]
    return f"## Protocols\n\n{_table(header, lines, right=range(2, 7))}"


def _span(values: Sequence[int]) -> str:
    if not values:
        return "–"
    least, most = min(values), max(values)
    return f"{least:,}" if least == most else f"{least:,} to {most:,}"


def _time(by_row: _BY_ROW) -> str:
    results = [result for found in by_row.values() for result in found]
    if not results:
        return "Nothing is measured yet.\n"
    machines = "; ".join(sorted({result.machine for result in results}))
    seconds = sum(result.seconds for result in results)
    return f"{len(results)} fits in {_hours(seconds)}, one after the other, on: {machines}.\n"


def _hours(seconds: float) -> str:
    minutes = round(seconds / 60)
    return (
        f"{minutes // 60} h {minutes % 60:02} min" if minutes >= 60 else f"{seconds / 60:.1f} min"
    )


def _table(header: Sequence[str], lines: Iterable[Sequence[str]], right: Iterable[int]) -> str:
    rule = ["--:" if column in set(right) else "---" for column in range(len(header))]
    rows = [header, rule, *lines]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)
