from __future__ import annotations

import base64
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from residua.evaluation.evaluate import evaluate
from residua.evaluation.scored import ScoredSet
from residua.report.page.steps import live_payload


def unpacked(text: str, kind: str) -> NDArray:
    return np.frombuffer(base64.b64decode(text), kind)


def test_each_step_counts_the_scores_up_to_it(scored: ScoredSet) -> None:
    payload = live_payload(scored, evaluate(scored, n_resamples=100))
    steps = unpacked(payload["steps"], "<f8")
    assert steps.tolist() == np.unique(scored.scores).tolist()
    counted = [(scored.scores <= step).sum() for step in steps]
    assert unpacked(payload["at_most"], "<u4").tolist() == counted
    bad = [(scored.scores[scored.anomalous] <= step).sum() for step in steps]
    assert unpacked(payload["anomalous_at_most"], "<u4").tolist() == bad
    assert not payload["thinned"]


def test_with_too_many_scores_the_rules_counts_stay_exact(scored: ScoredSet) -> None:
    found = evaluate(scored, n_resamples=100)
    payload = live_payload(scored, found, most_steps=8)
    steps, at_most = unpacked(payload["steps"], "<f8"), unpacked(payload["at_most"], "<u4")
    assert payload["thinned"]
    assert len(steps) < len(np.unique(scored.scores))
    assert at_most[-1] == len(scored)
    for row in found.sweep:
        k = np.searchsorted(steps, row.threshold, "right")
        assert len(scored) - (at_most[k - 1] if k else 0) == row.flagged


def test_without_truth_there_are_no_counts_of_anomalous_pictures(scored: ScoredSet) -> None:
    from dataclasses import replace

    blind = replace(scored, anomalous=None)
    payload = live_payload(blind, evaluate(blind, n_resamples=100))
    assert payload["n_anomalous"] is None
    assert payload["anomalous_at_most"] is None


def test_the_rule_of_best_f1_flags_from_its_score_on(scored: ScoredSet) -> None:
    found = evaluate(scored, n_resamples=100)
    rule = next(r for r in live_payload(scored, found)["rules"] if r["rule"] == "labels")
    assert found.best_f1_threshold is not None
    flagged = scored.scores > rule["threshold"]
    assert (flagged == (scored.scores >= found.best_f1_threshold)).all()


def test_only_a_score_in_deviations_forbids_a_logarithmic_axis(scored: ScoredSet) -> None:
    found = evaluate(scored, n_resamples=100)
    for score, linear in (("surprise", True), ("error", False), ("knn(3)", False)):
        settings = scored.manifest.settings.model_copy(update={"score": score})
        manifest = scored.manifest.model_copy(update={"settings": settings})
        assert live_payload(replace(scored, manifest=manifest), found)["linear"] == linear
