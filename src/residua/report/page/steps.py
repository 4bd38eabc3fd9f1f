"""The counts behind every threshold, small enough to travel with the page."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua.evaluation.evaluate import Evaluation
from residua.evaluation.scored import ScoredSet
from residua.report.apart import rule_name
from residua.scoring.names import SURPRISE

# Distinct scores that the page can step through; 16 bytes each.
MOST_STEPS = 50_000


def live_payload(
    scored: ScoredSet, evaluation: Evaluation, *, most_steps: int = MOST_STEPS
) -> dict[str, Any]:
    """Return what the page needs to count verdicts at any threshold.

    ``steps`` are the distinct scores, rising, and ``at_most`` how many scores lie at or below each:
    little-endian float64 and uint32 as base64. Where there are more than ``most_steps``, some are
    left out, evenly, and the counts are exact at those that are kept; the rules' are among them.
    """
    rules: list[dict[str, Any]] = [
        {"name": rule_name(row.rule), "rule": row.rule, "threshold": row.threshold}
        for row in evaluation.sweep
    ]
    if evaluation.best_f1_threshold is not None:
        # Scores from this one on are flagged; the page flags those above.
        below = float(np.nextafter(evaluation.best_f1_threshold, -np.inf))
        rules.append({"name": "best F1", "rule": "labels", "threshold": below})
    limits = [scored.threshold.upper, *(rule["threshold"] for rule in rules)]
    lower = scored.threshold.lower
    kept, positions = _steps(scored.scores, limits, lower, most_steps)
    payload: dict[str, Any] = {
        "threshold": scored.threshold.upper,
        "rule": rule_name(scored.threshold.rule),
        "lower": lower,
        # Standard deviations of a logarithm want no logarithmic axis.
        "linear": scored.manifest.settings.score == SURPRISE,
        "n": len(scored),
        "n_anomalous": None,
        "steps": _packed(kept, "<f8"),
        "at_most": _packed(positions, "<u4"),
        "anomalous_at_most": None,
        "thinned": len(kept) < len(np.unique(scored.scores)),
        "rules": rules,
    }
    if scored.anomalous is not None:
        bad = np.sort(scored.scores[scored.anomalous])
        payload["n_anomalous"] = len(bad)
        payload["anomalous_at_most"] = _packed(np.searchsorted(bad, kept, "right"), "<u4")
    return payload


def _steps(
    scores: NDArray[np.float64], limits: Sequence[float], lower: float | None, most: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return distinct scores (S,), rising, and how many of all lie at or below each."""
    values, counts = np.unique(scores, return_counts=True)
    at_most = np.cumsum(counts)
    if len(values) > most:
        kept = np.linspace(0, len(values) - 1, most).round().astype(np.int64)
        at_limits = np.searchsorted(values, limits, "right") - 1
        extra = at_limits[at_limits >= 0]
        if lower is not None:
            extra = np.append(extra, max(int(np.searchsorted(values, lower, "left")) - 1, 0))
        kept = np.union1d(kept, extra)
        values, at_most = values[kept], at_most[kept]
    return values, at_most


def _packed(values: NDArray[Any], kind: str) -> str:
    return base64.b64encode(np.ascontiguousarray(values, dtype=kind).tobytes()).decode("ascii")
