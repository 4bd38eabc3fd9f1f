"""How well scores rank anomalous pictures above normal ones, whatever the threshold.

scikit-learn computes each figure; the bootstrap repeats it on weights, all resamples at once.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import (
    average_precision_score,
    precision_recall_curve,
    roc_auc_score,
    roc_curve,
)

from residua.errors import InputError
from residua.evaluation.estimate import LEVEL, N_RESAMPLES, Estimate, resampled_counts
from residua.scoring.rules.labelled import BestF1, Flagged

RECALL_WANTED = 0.95
METRICS = ("auroc", "average_precision", "best_f1", "fpr_at_95_tpr")


def rank_metrics(
    anomalous: ArrayLike, scores: ArrayLike, *, n_resamples: int = N_RESAMPLES, seed: int = 0
) -> dict[str, Estimate]:
    """Measure how well scores separate anomalous pictures from normal ones.

    Parameters
    ----------
    anomalous : array-like of bool, shape (N,)
        The truth; both kinds must occur.
    scores : array-like of float, shape (N,)
        The higher, the more anomalous; finite.
    n_resamples : int, default=1000
        Resamples of the stratified bootstrap.
    seed : int, default=0
        Seed of the bootstrap.

    Returns
    -------
    dict of str to Estimate
        "auroc"; "average_precision"; "best_f1", over all thresholds; "fpr_at_95_tpr", the
        false-positive rate at the highest threshold that finds 95 % of the anomalous.

    Raises
    ------
    InputError
        One kind alone, or a score that is not finite.
    """
    truth, values = checked(anomalous, scores)
    ranked = _ranked(truth, values)
    blocks = [
        _figures(ranked, counts[:, ranked.order])
        for counts in resampled_counts(truth.astype(np.int64), n_resamples, seed)
    ]
    resampled = np.concatenate(blocks, axis=1)
    points = _points(truth, values)
    return {name: Estimate.of(points[name], resampled[row]) for row, name in enumerate(METRICS)}


def auroc_difference(
    anomalous: ArrayLike,
    scores_a: ArrayLike,
    scores_b: ArrayLike,
    *,
    n_resamples: int = N_RESAMPLES,
    seed: int = 0,
) -> Estimate:
    """Return AUROC of ``scores_a`` minus AUROC of ``scores_b``, resampling both together.

    Where the interval holds 0, the difference is within noise.

    Raises
    ------
    InputError
        As for `rank_metrics`.
    """
    truth, a = checked(anomalous, scores_a)
    _, b = checked(anomalous, scores_b)
    ranked_a, ranked_b = _ranked(truth, a), _ranked(truth, b)
    differences = [
        _auroc(*_cumulated(ranked_a, counts[:, ranked_a.order]))
        - _auroc(*_cumulated(ranked_b, counts[:, ranked_b.order]))
        for counts in resampled_counts(truth.astype(np.int64), n_resamples, seed)
    ]
    point = float(roc_auc_score(truth, a)) - float(roc_auc_score(truth, b))
    return Estimate.of(point, np.concatenate(differences))


def best_f1_threshold(anomalous: ArrayLike, scores: ArrayLike) -> tuple[float, float]:
    """Return the highest F1 over all thresholds, and the score from which pictures are flagged."""
    truth, values = checked(anomalous, scores)
    flagged = Flagged.of(values[~truth], values[truth])
    f1 = BestF1().worth(flagged)
    best = int(np.argmax(f1))
    return float(f1[best]), float(flagged.scores[best])


class RocBand(NamedTuple):
    """A pointwise confidence band around a ROC curve."""

    fpr: NDArray[np.float64]
    """False-positive rates (G,)."""
    low: NDArray[np.float64]
    """Lower end of the true-positive rate there (G,)."""
    high: NDArray[np.float64]
    """Upper end (G,)."""


def roc_band(
    anomalous: ArrayLike,
    scores: ArrayLike,
    *,
    points: int = 101,
    n_resamples: int = 400,
    seed: int = 0,
) -> RocBand:
    """Return the band that holds the true-positive rate at each false-positive rate, pointwise."""
    truth, values = checked(anomalous, scores)
    ranked = _ranked(truth, values)
    grid = np.linspace(0, 1, points)
    rows = []
    for counts in resampled_counts(truth.astype(np.int64), n_resamples, seed):
        true, false = _cumulated(ranked, counts[:, ranked.order])
        tpr, fpr = true / true[:, -1:], false / false[:, -1:]
        rows += [np.interp(grid, x, y) for x, y in zip(fpr, tpr, strict=True)]
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(np.stack(rows), (tail, 1 - tail), axis=0)
    return RocBand(grid, low, high)


def checked(
    anomalous: ArrayLike, scores: ArrayLike
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Return truth and scores as arrays (N,), refused where no ranking can be measured."""
    truth = np.asarray(anomalous, dtype=bool).ravel()
    values = np.asarray(scores, dtype=np.float64).ravel()
    if len(truth) != len(values):
        raise InputError(f"there are {len(truth)} labels and {len(values)} scores; wanted as many")
    if not np.isfinite(values).all():
        raise InputError("a score is NaN or infinite; a ranking needs finite ones")
    if truth.all() or not truth.any():
        kind = "anomalous" if len(truth) and truth.all() else "normal"
        raise InputError(
            f"all {len(truth)} pictures are {kind}; a ranking needs pictures of both kinds"
        )
    return truth, values


class _Ranked(NamedTuple):
    order: NDArray[np.int64]
    """Pictures by falling score (N,)."""
    truth: NDArray[np.bool_]
    """Truth in that order (N,)."""
    ends: NDArray[np.int64]
    """Position of the last picture of each distinct score (T,)."""


def _ranked(truth: NDArray[np.bool_], scores: NDArray[np.float64]) -> _Ranked:
    order = np.argsort(-scores, kind="stable")
    falling = scores[order]
    ends = np.append(np.flatnonzero(np.diff(falling)), len(falling) - 1)
    return _Ranked(order, truth[order], ends)


def _cumulated(
    ranked: _Ranked, weights: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return true and false positives (r, T + 1) at each distinct threshold, from none flagged."""
    start = np.zeros((len(weights), 1))
    true, false = (
        np.hstack([start, np.cumsum(weights * kind, axis=1)[:, ranked.ends]])
        for kind in (ranked.truth, ~ranked.truth)
    )
    return true, false


def _figures(ranked: _Ranked, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return each of `METRICS` for each row of weights (4, r)."""
    true, false = _cumulated(ranked, weights)
    flagged = true + false
    precision = np.divide(true, flagged, out=np.ones_like(true), where=flagged > 0)
    recall = true / true[:, -1:]
    reached = np.argmax(recall >= RECALL_WANTED - 1e-12, axis=1)
    fpr = false / false[:, -1:]
    return np.stack(
        [
            _auroc(true, false),
            (np.diff(recall, axis=1) * precision[:, 1:]).sum(1),
            (2 * true / (flagged + true[:, -1:])).max(1),
            np.take_along_axis(fpr, reached[:, None], 1)[:, 0],
        ]
    )


def _auroc(true: NDArray[np.float64], false: NDArray[np.float64]) -> NDArray[np.float64]:
    area: NDArray[np.float64] = np.trapezoid(true, false, axis=1) / (true[:, -1] * false[:, -1])
    return area


def _points(truth: NDArray[np.bool_], scores: NDArray[np.float64]) -> dict[str, float]:
    precision, recall, _ = precision_recall_curve(truth, scores)
    fpr, tpr, _ = roc_curve(truth, scores, drop_intermediate=False)
    return {
        "auroc": float(roc_auc_score(truth, scores)),
        "average_precision": float(average_precision_score(truth, scores)),
        "best_f1": float(_f1(precision, recall).max()),
        "fpr_at_95_tpr": float(fpr[np.argmax(tpr >= RECALL_WANTED - 1e-12)]),
    }


def _f1(precision: NDArray[np.float64], recall: NDArray[np.float64]) -> NDArray[np.float64]:
    total = precision + recall
    return np.divide(2 * precision * recall, total, out=np.zeros_like(total), where=total > 0)
