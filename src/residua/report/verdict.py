"""The first thing a reader sees: what was flagged, how sure that is, and where to look."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

import numpy as np

from residua.advice.finding import Finding
from residua.evaluation.estimate import Estimate
from residua.evaluation.evaluate import Evaluation
from residua.evaluation.scored import ScoredSet
from residua.evaluation.tables import headline, promise_kept
from residua.report.sections import Section, Stat, StatsBlock, TextBlock, percent


def verdict_section(
    scored: ScoredSet, evaluation: Evaluation, findings: Sequence[Finding]
) -> Section:
    """Return the verdict in a sentence, its numbers, and warnings that put it in doubt."""
    blocks: list[TextBlock | StatsBlock] = [StatsBlock(_stats(evaluation))]
    blocks += [
        TextBlock(f"{_sentence(finding.title)} {finding.action}".strip(), "note", "Beware")
        for finding in findings
        if finding.severity == "warning"
    ]
    said = f"{headline(evaluation)}. {_how_sure(evaluation)} {_look_at(scored, evaluation)}"
    return Section("verdict", "Verdict", said.strip(), blocks)


def _how_sure(e: Evaluation) -> str:
    auroc = e.ranking.get("auroc")
    if auroc is not None:
        return (
            f"The scores put an anomalous picture above a normal one in {percent(auroc.value)} of "
            f"all pairs (AUROC {auroc.value:.4f}, interval {auroc.low:.4f} to {auroc.high:.4f}); "
            f"{_against_chance(auroc)}."
        )
    rate = e.at_threshold.get("false_positive_rate")
    if rate is not None and e.n_anomalous == 0:
        promised = (
            "" if e.promised_rate is None else f", where {percent(e.promised_rate)} were promised"
        )
        return (
            f"No picture is anomalous, so every flag is a false alarm: {percent(rate.value)} of "
            f"them ({percent(rate.low)} to {percent(rate.high)}){promised}."
        )
    if e.n_normal == 0:
        return (
            "All of these pictures are anomalous, so what is flagged is found, and nothing is "
            "known of false alarms."
        )
    if e.promised_rate is not None:
        return (
            "It is not known which pictures are anomalous; the threshold was set so that of "
            f"normal ones {percent(e.promised_rate)} are flagged by mistake, "
            f"{_about(e.promised_rate * e.n)} of {e.n:,}{_against_promise(e.promised_rate, e)}."
        )
    return (
        f"It is not known which pictures are anomalous, and the rule {e.rule} promises no rate of "
        "false alarms."
    )


def _against_chance(auroc: Estimate) -> str:
    if auroc.high < 0.5:
        return "chance would be 50\N{NARROW NO-BREAK SPACE}%, so they run the wrong way round"
    if auroc.low <= 0.5:
        return "chance would be 50\N{NARROW NO-BREAK SPACE}%, which they are not shown to beat"
    return "chance would be 50\N{NARROW NO-BREAK SPACE}%"


def _against_promise(rate: float, e: Evaluation) -> str:
    """Say whether so many flags are more than a set of normal pictures would give."""
    expected = rate * e.n
    if e.n_flagged <= expected + 2 * sqrt(expected * (1 - rate)):
        return f": {e.n_flagged:,} flagged are no sign that any picture is anomalous"
    return ""


def _look_at(scored: ScoredSet, e: Evaluation) -> str:
    if not e.n_flagged:
        top = scored.ids[int(np.argmax(scored.scores))]
        return f"Look at the highest score all the same: {_quoted(top)}."
    if e.confusion is not None and e.n_anomalous:
        missed, false = e.confusion.false_negatives, e.confusion.false_positives
        if missed or false:
            parts = []
            if missed:
                parts.append(f"the {missed:,} missed{_mostly(e, anomalous=True)}")
            if false:
                parts.append(f"the {false:,} false alarms{_mostly(e, anomalous=False)}")
            return f"Look at {' and '.join(parts)}."
        return "Every picture is judged rightly."
    worst = int(np.argmin(scored.threshold.margin(scored.scores)))
    return f"Look first at {_quoted(scored.ids[worst])}, farthest outside the limits."


def _mostly(e: Evaluation, *, anomalous: bool) -> str:
    """Name the class that gives most of the wrong verdicts, where there is more than one class."""
    wrong = {
        row.label: row.n - row.flagged if anomalous else row.flagged
        for row in e.classes
        if row.anomalous is anomalous
    }
    if len(wrong) < 2 or not any(wrong.values()):
        return ""
    label = max(wrong, key=lambda name: wrong[name])
    return f" ({wrong[label]:,} of them {_quoted(label)})"


def _stats(e: Evaluation) -> list[Stat]:
    share = f"{percent(e.n_flagged / e.n, 3)} of {e.n:,}" if e.n else ""
    stats = [Stat("flagged", f"{e.n_flagged:,}", share)]
    auroc = e.ranking.get("auroc")
    if auroc is not None:
        interval = (
            f"{auroc.low:.4f} – {auroc.high:.4f} with 95\N{NARROW NO-BREAK SPACE}% confidence"
        )
        stats.append(Stat("AUROC", f"{auroc.value:.4f}", interval))
    for name, label in (("recall", "found"), ("false_positive_rate", "false alarms")):
        rate = e.at_threshold.get(name)
        if rate is None or e.confusion is None:
            continue
        c = e.confusion
        counts = (
            f"{c.true_positives:,} of {c.n_anomalous:,} anomalous"
            if name == "recall"
            else f"{c.false_positives:,} of {c.n_normal:,} normal"
        )
        stats.append(Stat(label, percent(rate.value, 3), counts))
    if e.promised_rate is not None:
        note = promise_kept(e) or "false alarms among normal ones"
        stats.append(Stat("promised", percent(e.promised_rate), note))
    if e.n_unreadable:
        stats.append(Stat("unreadable", f"{e.n_unreadable:,}", "left out of all numbers"))
    return stats


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _about(count: float) -> str:
    return "fewer than one" if count < 1 else f"about {count:,.0f}"


def _quoted(name: str) -> str:
    # Isolated, so that a name from right to left turns nothing else round.
    return f"“\N{FIRST STRONG ISOLATE}{name}\N{POP DIRECTIONAL ISOLATE}”"
