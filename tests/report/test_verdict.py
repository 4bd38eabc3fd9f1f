from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from residua.advice.finding import Finding
from residua.evaluation.evaluate import evaluate
from residua.evaluation.scored import ScoredSet, score_source
from residua.images.source import ArraySource
from residua.report.sections import StatsBlock, TextBlock
from residua.report.verdict import verdict_section


@pytest.fixture(scope="module")
def scored(bundle: Path, blobs: NDArray, stripes: NDArray) -> ScoredSet:
    labels = ["blob"] * 40 + ["stripe"] * 20 + ["hidden"] * 5
    pictures = np.concatenate([blobs[:40], stripes, blobs[40:45]])
    return score_source(bundle, ArraySource(pictures, labels=labels))


def test_with_the_truth_it_says_how_sure_and_what_was_missed(scored: ScoredSet) -> None:
    known = scored.with_truth(np.repeat([False, True], [40, 25]))
    section = verdict_section(known, evaluate(known, n_resamples=100), ())
    assert "AUROC" in section.intro
    missed = int((known.anomalous & ~known.flagged).sum())
    assert missed
    assert f"Look at the {missed} missed ({missed} of them “\u2068hidden\u2069”)" in section.intro
    stats = section.blocks[0]
    assert isinstance(stats, StatsBlock)
    assert {"flagged", "AUROC", "found", "false alarms"} <= {stat.label for stat in stats.stats}


def test_without_the_truth_it_falls_back_on_the_promise(scored: ScoredSet) -> None:
    section = verdict_section(scored, evaluate(scored, n_resamples=100), ())
    assert "of normal ones 5.89\N{NARROW NO-BREAK SPACE}% are flagged by mistake" in section.intro
    assert "AUROC" not in section.intro
    worst = scored.ids[int(np.argmax(scored.scores))]
    assert f"Look first at “\u2068{worst}\u2069”" in section.intro


def test_the_promised_rate_stands_beside_the_measured_one(scored: ScoredSet) -> None:
    known = scored.with_truth(np.repeat([False, True], [40, 25]))
    stats = verdict_section(known, evaluate(known, n_resamples=100), ()).blocks[0]
    assert isinstance(stats, StatsBlock)
    promised = next(stat for stat in stats.stats if stat.label == "promised")
    assert promised.value == "5.89\N{NARROW NO-BREAK SPACE}%"
    assert promised.note.startswith("kept: within what chance allows")


def test_where_all_is_right_it_says_so(scored: ScoredSet) -> None:
    right = scored.with_truth(scored.flagged)
    section = verdict_section(right, evaluate(right, n_resamples=100), ())
    assert section.intro.endswith("Every picture is judged rightly.")


def test_only_warnings_stand_beside_the_verdict(scored: ScoredSet) -> None:
    findings = [
        Finding(check="a", severity="warning", title="It is a trap", evidence="", action="Flee."),
        Finding(check="b", severity="advice", title="Crop", evidence="", action=""),
    ]
    section = verdict_section(scored, evaluate(scored, n_resamples=100), findings)
    notes = [block.text for block in section.blocks if isinstance(block, TextBlock)]
    assert notes == ["It is a trap. Flee."]


def test_a_score_that_is_no_better_than_chance_is_called_so(scored: ScoredSet) -> None:
    blind = scored.with_truth(np.arange(len(scored)) % 2 == 0)
    section = verdict_section(blind, evaluate(blind, n_resamples=100), ())
    assert "which they are not shown to beat" in section.intro


def test_scores_that_run_the_wrong_way_round_are_called_so(scored: ScoredSet) -> None:
    turned = scored.with_truth(scored.scores < np.median(scored.scores))
    section = verdict_section(turned, evaluate(turned, n_resamples=100), ())
    assert "so they run the wrong way round" in section.intro


def test_no_more_flags_than_promised_are_no_sign_of_anomalies(
    bundle: Path, blobs: NDArray, scored: ScoredSet
) -> None:
    normal = score_source(bundle, ArraySource(blobs[:100]))
    calm = verdict_section(normal, evaluate(normal, n_resamples=100), ())
    assert "are no sign that any picture is anomalous" in calm.intro
    many = verdict_section(scored, evaluate(scored, n_resamples=100), ())
    assert "no sign" not in many.intro
