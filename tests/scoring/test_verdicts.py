from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from residua.images.source import ArraySource
from residua.scoring.thresholds import Conformal
from residua.scoring.verdicts import (
    ScoredBatch,
    Verdict,
    VerdictMaker,
    judged_together,
    scored_batches,
)

NORMAL = np.arange(1.0, 100.0)


def brightness(images: NDArray[np.uint8]) -> ScoredBatch:
    """Score pictures by their mean level, with nothing else computed."""
    scores = images.mean((1, 2, 3))
    nothing = np.zeros((len(images), 1), np.float32)
    return ScoredBatch(scores, nothing, nothing, nothing)


def test_verdict_and_p_value_of_a_picture_agree() -> None:
    levels = np.array([0, 50, 98, 99, 100, 255], np.uint8)
    source = ArraySource(np.broadcast_to(levels[:, None, None], (6, 8, 8)))
    maker = VerdictMaker(source, Conformal(0.02).fit(NORMAL), NORMAL)
    spec = source.suggest_spec()
    rows = [
        verdict
        for batch, scored in scored_batches(source, spec, brightness)
        for verdict in maker.of(batch, scored)
    ]
    assert [row.p for row in rows] == [1.0, 0.51, 0.03, 0.02, 0.01, 0.01]
    assert [row.anomalous for row in rows] == [False, False, False, True, True, True]


def test_pictures_judged_together_keep_order_and_all_but_the_verdict() -> None:
    scores = [0.5, 200.0, None, 300.0, 98.5]
    verdicts = [
        Verdict(at, f"{at}.png", score, 50.0, None if score is None else score > 50)
        for at, score in enumerate(scores)
    ]
    judged = judged_together(verdicts, NORMAL, 0.05)
    assert [verdict.anomalous for verdict in judged] == [False, True, None, True, True]
    harder = judged_together(verdicts, NORMAL, 0.02)
    assert [verdict.anomalous for verdict in harder] == [False, True, None, True, False]
    assert [(v.id, v.score, v.threshold) for v in judged] == [
        (v.id, v.score, v.threshold) for v in verdicts
    ]
