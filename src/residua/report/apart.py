"""How well the scores tell anomalous pictures from normal ones, in figures and tables."""

from __future__ import annotations

import numpy as np

from residua.evaluation.evaluate import Evaluation
from residua.evaluation.ranking import roc_band
from residua.evaluation.scored import ScoredSet
from residua.evaluation.tables import TITLES, figures_of, promise_kept
from residua.evaluation.verdicts import SweepRow
from residua.report.figures import (
    ConfusionDisplay,
    Display,
    ErrorDensityDisplay,
    ErrorHistogramDisplay,
    PrecisionRecallDisplay,
    ROCDisplay,
    SortedErrorsDisplay,
)
from residua.report.sections import (
    Block,
    Cell,
    Section,
    TableBlock,
    TextBlock,
    figure_or_reason,
    percent,
)

# Of the sweep, those that are marked in figures.
# Below so many pictures of a kind the bootstrap's intervals are too narrow to be left unsaid.
_FEW = 10
_MARKED = ("percentile(80)", "percentile(90)", "percentile(95)", "zscore(3, two_sided=False)")


def apart_section(scored: ScoredSet, evaluation: Evaluation) -> Section:
    """Return the figures of ranking and verdicts, other thresholds, and the classes."""
    blocks: list[Block] = [_numbers(evaluation)] if figures_of(evaluation) else []
    if evaluation.confusion is None:
        blocks.append(
            TextBlock(
                "It is not known which of these pictures are anomalous. Name the classes with "
                "--normal or --anomalous, and curves, rates and their intervals appear here.",
                "note",
                "No curve of true and false positives",
            )
        )
    else:
        blocks += [
            figure_or_reason(
                "roc", "ROC curve", _read_roc(evaluation), lambda: _roc(scored, evaluation)
            ),
            figure_or_reason(
                "precision-recall",
                "Precision and recall",
                _read_precision(evaluation),
                lambda: PrecisionRecallDisplay.from_predictions(
                    _truth(scored), scored.scores, threshold=scored.threshold.upper
                ),
            ),
            figure_or_reason(
                "confusion",
                "Confusion matrix",
                "Rows are the truth, columns the verdict at the fitted threshold; the counts in "
                "the falling diagonal are right.",
                lambda: ConfusionDisplay.from_predictions(_truth(scored), scored.flagged),
            ),
        ]
    blocks += [
        figure_or_reason(
            "error-density",
            "Density of the scores",
            _read_density(scored),
            lambda: _density(scored),
        ),
        figure_or_reason(
            "error-histogram",
            "Histogram and normal curve",
            _read_histogram(scored),
            lambda: _histogram(scored),
        ),
        figure_or_reason(
            "sorted-errors",
            "Scores in order",
            "Every picture once, by rising score; a sharp bend at the line means that the "
            f"threshold {scored.threshold.upper:.4g} is easy to place, a smooth passage that "
            "pictures near it could be judged either way.",
            lambda: SortedErrorsDisplay.from_predictions(
                scored.scores,
                threshold=scored.threshold.upper,
                lower=scored.threshold.lower,
                anomalous=scored.anomalous,
                score=scored.manifest.settings.score,
            ),
        ),
        _sweep(evaluation),
    ]
    if evaluation.classes:
        blocks.append(_classes(evaluation))
    if evaluation.unavailable:
        rows = [(what.replace("_", " "), why) for what, why in evaluation.unavailable.items()]
        blocks.append(TableBlock("not-computed", "Not computed", "", ("figure", "why"), rows))
    return Section(
        "apart",
        "How well it tells them apart",
        _of_intervals(evaluation),
        blocks,
    )


def _of_intervals(e: Evaluation) -> str:
    said = (
        f"Intervals are of 95 % confidence: those of the ranking and of pixels from "
        f"{e.n_resamples:,} bootstrap resamples of these pictures, those at the threshold from the "
        "Jeffreys posterior of each share."
    )
    fewest = min(e.n_normal or 0, e.n_anomalous or 0)
    if 0 < fewest < _FEW:
        said += (
            f" With only {fewest} of one kind the bootstrap's are too narrow, since it cannot "
            "draw a picture that is not there."
        )
    return said


def _numbers(e: Evaluation) -> TableBlock:
    rows: list[tuple[Cell, ...]] = []
    for group, figures in figures_of(e):
        for name, estimate, _ in figures:
            rows.append((group, name, estimate.value, estimate.low, estimate.high))
            if name == TITLES["false_positive_rate"] and e.promised_rate is not None:
                kept = f"promised, {promise_kept(e)}"
                rows.append((group, kept, e.promised_rate, None, None))
    shown = "best F1 is what a threshold chosen with the labels would give"
    return TableBlock(
        "figures",
        "All figures",
        f"The fitted threshold knows no labels; {shown}." if e.ranking else "",
        ("of what", "figure", "value", "from", "to"),
        rows,
        dict.fromkeys(("value", "from", "to"), ".4f"),
        grouped=True,
    )


def _roc(scored: ScoredSet, evaluation: Evaluation) -> Display:
    truth, scores = _truth(scored), scored.scores
    n_anomalous, n_normal = int(truth.sum()), int((~truth).sum())
    # Refuses one class alone, before any rate is taken.
    band = roc_band(truth, scores)
    # By the verdicts, since a rule may have a lower limit too.
    flagged = scored.flagged
    points = {
        f"fitted, {rule_name(scored.threshold.rule)}": (
            float(flagged[~truth].mean()),
            float(flagged[truth].mean()),
        )
    }
    points |= {
        rule_name(row.rule): (
            (row.false_positives or 0) / n_normal,
            (row.true_positives or 0) / n_anomalous,
        )
        for row in evaluation.sweep
        if row.rule in _MARKED and row.rule != scored.threshold.rule
    }
    auroc = evaluation.ranking.get("auroc")
    return ROCDisplay.from_predictions(
        truth,
        scores,
        operating_points=points,
        band=band,
        auroc_text=None if auroc is None else f"AUROC {auroc:.4f}",
    )


def _density(scored: ScoredSet) -> Display:
    lines = {"fitted": scored.threshold.upper}
    for q in (80, 85, 90):
        lines[f"{q}th percentile"] = float(np.percentile(scored.calibration_scores, q))
    return ErrorDensityDisplay.from_predictions(
        scored.scores,
        scored.anomalous,
        thresholds=lines,
        score=scored.manifest.settings.score,
    )


def _histogram(scored: ScoredSet) -> Display:
    limits = [("fitted threshold", scored.threshold.upper)]
    if scored.threshold.lower is not None:
        limits.append(("lower limit", scored.threshold.lower))
    mean, deviation = scored.threshold.normal_mean, scored.threshold.normal_std
    if not scored.threshold.rule.startswith("zscore"):
        limits += [("mean + 3 s", mean + 3 * deviation), ("mean − 3 s", mean - 3 * deviation)]
    normal, second, other = scored.calibration_scores, scored.scores, "scored"
    if scored.anomalous is not None:
        other = "anomalous"
        if not scored.anomalous.all():
            normal, second = scored.scores[~scored.anomalous], scored.scores[scored.anomalous]
    return ErrorHistogramDisplay.from_predictions(
        normal,
        anomalous_scores=second,
        limits=limits,
        other=other,
        score=scored.manifest.settings.score,
    )


def _sweep(e: Evaluation) -> TableBlock:
    columns: tuple[str, ...] = ("rule", "threshold", "flagged")
    with_truth = e.confusion is not None
    if with_truth:
        columns += ("found", "false alarms", "found, share", "false alarms, share", "F1")
    return TableBlock(
        "sweep",
        "Other thresholds",
        "Each rule is fitted on the same held-out normal pictures as the model's own, which is "
        f"{rule_name(e.rule)}.",
        columns,
        [_sweep_cells(row, with_truth) for row in e.sweep],
        {"threshold": ".5g", "found, share": ".1%", "false alarms, share": ".2%", "F1": ".3f"},
    )


def _sweep_cells(row: SweepRow, with_truth: bool) -> tuple[str | int | float | None, ...]:
    cells = (rule_name(row.rule), row.threshold, row.flagged)
    if not with_truth:
        return cells
    return (*cells, row.true_positives, row.false_positives, row.tpr, row.fpr, row.f1)


def _classes(e: Evaluation) -> TableBlock:
    kinds = {None: None, True: "anomalous", False: "normal"}
    return TableBlock(
        "classes",
        "Class by class",
        "Most flagged first. A normal class near the top gives the false alarms, an anomalous one "
        "near the bottom is what is missed.",
        ("class", "kind", "pictures", "mean score", "flagged", "share flagged"),
        [
            (c.label, kinds[c.anomalous], c.n, c.mean_score, c.flagged, c.share_flagged)
            for c in e.classes
        ],
        {"share flagged": ".1%", "mean score": ".4g"},
    )


def rule_name(rule: str) -> str:
    """Return a rule in words: "90th percentile", "mean + 3 s", "conformal, 1 %"."""
    name, _, arguments = rule.partition("(")
    first = arguments.rstrip(")").partition(",")[0]
    if name == "percentile":
        ends = {"1": "st", "2": "nd", "3": "rd"}
        teen = first[-2:] in ("11", "12", "13")
        return f"{first}{'th' if '.' in first or teen else ends.get(first[-1:], 'th')} percentile"
    if name == "zscore":
        return f"mean {'±' if 'True' in arguments else '+'} {first} s"
    if name in ("conformal", "tail"):
        how = "conformal" if name == "conformal" else "extrapolated tail"
        return f"{how}, {percent(float(first))}"
    words = {"mad": f"median + {first} MAD", "best_f1": "best F1 by labels", "youden": "Youden's J"}
    return words.get(name, rule)


def _truth(scored: ScoredSet) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    assert scored.anomalous is not None
    return scored.anomalous


def _read_roc(e: Evaluation) -> str:
    auroc, rate = e.ranking.get("auroc"), e.ranking.get("fpr_at_95_tpr")
    if auroc is None or rate is None:
        return ""
    return (
        "The further the curve bends to the upper left, the better; the diagonal is guessing. The "
        f"area is {auroc.value:.4f}, and finding 95 % of the anomalous pictures costs "
        f"{percent(rate.value, 3)} false alarms. The marks are thresholds that normal pictures "
        "alone give."
    )


def _read_precision(e: Evaluation) -> str:
    if not e.n_anomalous or not e.n_normal:
        return ""
    share, best = e.n_anomalous / e.n, e.ranking.get("best_f1")
    said = (
        f"Guessing would give a precision of {percent(share, 3)}, the share of anomalous pictures"
    )
    if best is not None:
        said += f"; the best F1 on the curve is {best.value:.3f}"
    return f"{said}. With rarer anomalies precision falls, though the model is the same."


def _read_density(scored: ScoredSet) -> str:
    if scored.anomalous is None:
        return (
            "A second hill to the right of the line would be pictures unlike the others. The "
            "percentiles are those of the held-out normal pictures."
        )
    kinds = [("normal", ~scored.anomalous), ("anomalous", scored.anomalous)]
    medians = [f"{np.median(scored.scores[of]):.4g} ({kind})" for kind, of in kinds if of.any()]
    return (
        "Where two hills overlap, the score cannot tell the kinds apart. The medians are "
        f"{' and '.join(medians)}; the percentiles are those of the held-out normal pictures."
    )


def _read_histogram(scored: ScoredSet) -> str:
    shown = (
        "The normal pictures here are the held-out ones of the fit; the others are those scored. "
        if scored.anomalous is None or scored.anomalous.all()
        else ""
    )
    scores = scored.calibration_scores
    spread = float(scores.std())
    skew = float(((scores - scores.mean()) ** 3).mean() / spread**3) if spread else 0.0
    fits = (
        "not skewed, as a normal curve is not"
        if abs(skew) < 0.5
        else f"skewed ({skew:+.1f}), so limits in standard deviations miss their nominal rate"
    )
    return f"{shown}The held-out normal scores are {fits}."
