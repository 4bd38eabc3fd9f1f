"""An evaluation as tables: on a terminal and in a notebook."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from rich.markup import escape as escape_markup
from rich.table import Table

from residua.evaluation.estimate import Estimate

if TYPE_CHECKING:
    from residua.evaluation.evaluate import Evaluation

TITLES = {
    "auroc": "AUROC",
    "average_precision": "average precision",
    "best_f1": "best F1, threshold by the labels",
    "fpr_at_95_tpr": "FPR at 95 % TPR",
    "precision": "precision",
    "recall": "recall (TPR)",
    "f1": "F1",
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "false_positive_rate": "false-positive rate (FPR)",
    "pixel_auroc": "pixel AUROC",
    "aupro": "AUPRO (up to 30 % false positives)",
    "pixel_best_f1": "best pixel F1",
}
MAX_CLASSES = 15


def figures_of(evaluation: Evaluation) -> list[tuple[str, list[tuple[str, Estimate, str]]]]:
    """Return each group's title with its figures: title, estimate, format."""
    e = evaluation
    named = [
        ("Ranking, whatever the threshold", e.ranking),
        (f"At the fitted threshold {e.threshold:.6g}, {e.rule}", e.at_threshold),
        ("Where, against the masks", e.pixels),
    ]
    groups = [
        (title, [(TITLES[name], estimate, ".4f") for name, estimate in figures.items()])
        for title, figures in named
        if figures
    ]
    if e.rebuilding is not None:
        rows = [("peak signal-to-noise ratio, dB", e.rebuilding.psnr, ".2f")]
        if e.rebuilding.ssim is not None:
            title = f"structural similarity ({e.rebuilding.n_ssim} pictures)"
            rows.append((title, e.rebuilding.ssim, ".4f"))
        groups.append(("How well normal pictures are rebuilt", rows))
    return groups


def tables_of(evaluation: Evaluation) -> list[Table]:
    """Return an evaluation for a terminal."""
    parts = [_figures(evaluation), _sweep(evaluation)]
    if evaluation.classes:
        parts.append(_classes(evaluation))
    if evaluation.unavailable:
        parts.append(_unavailable(evaluation))
    return parts


def as_html(evaluation: Evaluation) -> str:
    """Return an evaluation as an HTML table for a notebook."""
    rows = [f"<caption>{escape(headline(evaluation))}</caption>"]
    for title, figures in figures_of(evaluation):
        rows.append(f'<tr><th colspan="3" style="text-align:left">{escape(title)}</th></tr>')
        for name, estimate, form in figures:
            rows.append(
                f"<tr><td style='text-align:left'>{escape(name)}</td>"
                f"<td>{estimate.value:{form}}</td>"
                f"<td>{estimate.low:{form}} – {estimate.high:{form}}</td></tr>"
            )
            if name == TITLES["false_positive_rate"] and evaluation.promised_rate is not None:
                rows.append(
                    "<tr><td style='text-align:left'>promised</td>"
                    f"<td>{evaluation.promised_rate:{form}}</td>"
                    f"<td>{promise_kept(evaluation)}</td></tr>"
                )
    for what, why in evaluation.unavailable.items():
        rows.append(
            f"<tr><td style='text-align:left'>{escape(what)}</td>"
            f"<td colspan='2' style='text-align:left'>not computed: {escape(why)}</td></tr>"
        )
    return "<table>" + "".join(rows) + "</table>"


def promise_kept(evaluation: Evaluation) -> str | None:
    """Say whether the promised false-positive rate is kept; None: none was made, or measured.

    Beyond a limit that is the l-th greatest of n calibration scores lies a share of normal pictures
    that is itself random, Beta(l, n + 1 - l), if they are alike. A count among m of them is then
    beta-binomial, and it is held against the middle 95 % of that: an interval which takes the limit
    for given would accuse sound ones.
    """
    promised, n, m = evaluation.promised_rate, evaluation.n_calibration, evaluation.n_normal
    measured = evaluation.at_threshold.get("false_positive_rate")
    if promised is None or measured is None or not m or not n:
        return None
    from scipy.stats import betabinom

    # A rate rarer than n scores can show promises at least what their greatest does.
    beyond = max(1, int(promised * (n + 1) + 1e-9))
    low, high = betabinom(m, beyond, n + 1 - beyond).ppf([0.025, 0.975]) / m
    span = f"{low:.1%} to {high:.1%}"
    if measured.value > high:
        return f"not kept: more are flagged than chance allows, {span}"
    if measured.value < low:
        return f"kept: fewer are flagged than chance allows, {span}"
    return f"kept: within what chance allows, {span}"


def headline(evaluation: Evaluation) -> str:
    """Say in one line what was found."""
    e = evaluation
    said = f"{e.n_flagged:,} of {e.n:,} pictures are flagged"
    if e.confusion is not None and e.n_anomalous:
        c = e.confusion
        said += f": {c.true_positives:,} of {c.n_anomalous:,} anomalous"
        if c.n_normal:
            said += f" and {c.false_positives:,} of {c.n_normal:,} normal ones"
    elif e.confusion is not None:
        said += ", all of them normal" if e.n_flagged else ""
    if e.n_unreadable:
        said += f"; {e.n_unreadable:,} cannot be read"
    return said


def _figures(evaluation: Evaluation) -> Table:
    e = evaluation
    table = Table(
        title=escape_markup(f"{e.model} on {e.data}: {headline(e)}"), title_justify="left"
    )
    table.add_column("figure")
    table.add_column("value", justify="right")
    table.add_column("95 % interval", justify="right")
    for title, figures in figures_of(e):
        table.add_row(f"[bold]{title}[/]")
        for name, estimate, form in figures:
            interval = f"{estimate.low:{form}} – {estimate.high:{form}}"
            table.add_row(f"  {name}", f"{estimate.value:{form}}", interval)
            if name == TITLES["false_positive_rate"] and e.promised_rate is not None:
                table.add_row("    promised", f"{e.promised_rate:{form}}", promise_kept(e))
    if e.rebuilding is not None:
        r = e.rebuilding
        sizes = f"{r.code_size:,} : {r.picture_size:,}"
        table.add_row("  numbers in code : picture", sizes, f"1 : {r.compression:.1f}")
    return table


def _sweep(evaluation: Evaluation) -> Table:
    table = Table(
        title="Other thresholds, fitted on the same held-out normal pictures", title_justify="left"
    )
    table.add_column("rule", no_wrap=True)
    columns = ("threshold", "flagged", "true", "false", "TPR", "FPR", "F1")
    for column in columns:
        table.add_column(column, justify="right")
    for row in evaluation.sweep:
        table.add_row(
            row.rule.replace(", two_sided=False", ""),
            f"{row.threshold:.5g}",
            f"{row.flagged:,}",
            *("–" if n is None else f"{n:,}" for n in (row.true_positives, row.false_positives)),
            *("–" if x is None else f"{x:.3f}" for x in (row.tpr, row.fpr, row.f1)),
        )
    return table


def _classes(evaluation: Evaluation) -> Table:
    rows = evaluation.classes
    more = len(rows) - MAX_CLASSES
    note = f" (the first {MAX_CLASSES} of {len(rows)})" if more > 0 else ""
    table = Table(title=f"Classes, most flagged first{note}", title_justify="left")
    table.add_column("class")
    for column in ("kind", "pictures", "mean score", "flagged", "share"):
        table.add_column(column, justify="left" if column == "kind" else "right")
    kinds = {None: "–", True: "anomalous", False: "normal"}
    for row in rows[:MAX_CLASSES]:
        table.add_row(
            escape_markup(row.label),
            kinds[row.anomalous],
            f"{row.n:,}",
            f"{row.mean_score:.5g}",
            f"{row.flagged:,}",
            f"{row.share_flagged:.1%}",
        )
    return table


def _unavailable(evaluation: Evaluation) -> Table:
    table = Table(title="Not computed", title_justify="left")
    table.add_column("figure")
    table.add_column("why")
    for what, why in evaluation.unavailable.items():
        table.add_row(what.replace("_", " "), escape_markup(why))
    return table
