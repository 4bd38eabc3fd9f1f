"""Verdicts against the truth: at the fitted threshold, at others, and class by class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from residua.evaluation.estimate import Estimate
from residua.scoring.thresholds import MAD, Percentile, ThresholdRule, ZScore

PERCENTILES = (75.0, 80.0, 85.0, 90.0, 95.0, 97.5, 99.0, 99.5)
DEVIATIONS = (1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0)


class Confusion(BaseModel):
    """Counts of pictures by truth and verdict."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    true_positives: int
    """Anomalous and flagged."""
    false_negatives: int
    """Anomalous and missed."""
    false_positives: int
    """Normal and flagged."""
    true_negatives: int
    """Normal and passed."""

    @classmethod
    def of(cls, anomalous: NDArray[np.bool_], flagged: NDArray[np.bool_]) -> Self:
        """Count truth (N,) against verdicts (N,)."""
        from sklearn.metrics import confusion_matrix

        (tn, fp), (fn, tp) = confusion_matrix(anomalous, flagged, labels=[False, True]).tolist()
        return cls(true_positives=tp, false_negatives=fn, false_positives=fp, true_negatives=tn)

    @property
    def n_anomalous(self) -> int:
        """Anomalous pictures."""
        return self.true_positives + self.false_negatives

    @property
    def n_normal(self) -> int:
        """Normal pictures."""
        return self.false_positives + self.true_negatives


class SweepRow(BaseModel):
    """What another threshold, fitted on the same normal pictures, would give."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rule: str
    threshold: float
    """Scores above are flagged."""
    flagged: int
    true_positives: int | None
    """None: the truth is not known."""
    false_positives: int | None
    """None: the truth is not known."""
    tpr: float | None
    """Share of the anomalous that is flagged; None: there are none, or the truth is not known."""
    fpr: float | None
    """Share of the normal that is flagged; None: there are none, or the truth is not known."""
    f1: float | None
    """None: there are no anomalous pictures, or the truth is not known."""


class ClassRow(BaseModel):
    """What became of one class."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    label: str
    n: int
    mean_score: float
    flagged: int
    share_flagged: float
    anomalous: bool | None
    """Whether its pictures are anomalous; None: not known, or both kinds are in it."""


def verdict_metrics(
    confusion: Confusion, *, n_resamples: int, seed: int
) -> tuple[dict[str, Estimate], dict[str, str]]:
    """Measure verdicts against the truth.

    Drawing pictures anew within each kind and counting the flagged is drawing a binomial count,
    which never leaves 0 or all once it is there: 0 of 20 would be called certain. So the share is
    drawn from its Jeffreys posterior instead, which differs from the binomial only near the ends.

    Returns
    -------
    figures : dict of str to Estimate
        "precision", "recall", "f1", "accuracy", "balanced_accuracy", "false_positive_rate".
    unavailable : dict of str to str
        The figures that these counts do not give, and why.

    References
    ----------
    Brown, Cai and DasGupta, "Interval estimation for a binomial proportion", Statistical Science
    16(2), 2001.
    """
    c = confusion
    rng = np.random.default_rng(seed)
    drawn = [
        n * rng.beta(flagged + 0.5, n - flagged + 0.5, n_resamples)
        for n, flagged in ((c.n_anomalous, c.true_positives), (c.n_normal, c.false_positives))
    ]
    figures: dict[str, Estimate] = {}
    unavailable: dict[str, str] = {}
    points = _rates(
        np.array([c.true_positives], float), np.array([c.false_positives], float), confusion
    )
    resampled = _rates(drawn[0], drawn[1], confusion)
    for name, point in points.items():
        if np.isnan(point[0]):
            unavailable[name] = _why_not(name, confusion)
        else:
            values = resampled[name]
            figures[name] = Estimate.of(float(point[0]), values[~np.isnan(values)])
    return figures, unavailable


def sweep(
    normal_scores: NDArray[np.float64],
    scores: NDArray[np.float64],
    anomalous: NDArray[np.bool_] | None,
) -> list[SweepRow]:
    """Return what thresholds fitted on the calibration scores (n,) would do to scores (N,)."""
    rules: list[ThresholdRule] = [Percentile(q) for q in PERCENTILES]
    rules += [ZScore(k) for k in DEVIATIONS]
    rules.append(MAD())
    return [_sweep_row(rule, normal_scores, scores, anomalous) for rule in rules]


def sweep_row(
    name: str, limit: float, scores: NDArray[np.float64], anomalous: NDArray[np.bool_] | None
) -> SweepRow:
    """Return what flagging the scores above ``limit`` gives."""
    flagged = scores > limit
    counts = None if anomalous is None else Confusion.of(anomalous, flagged)
    tp, fp = (None, None) if counts is None else (counts.true_positives, counts.false_positives)
    n_anomalous = 0 if counts is None else counts.n_anomalous
    n_normal = 0 if counts is None else counts.n_normal
    total = int(flagged.sum())
    return SweepRow(
        rule=name,
        threshold=limit,
        flagged=total,
        true_positives=tp,
        false_positives=fp,
        tpr=tp / n_anomalous if tp is not None and n_anomalous else None,
        fpr=fp / n_normal if fp is not None and n_normal else None,
        f1=2 * tp / (total + n_anomalous) if tp is not None and n_anomalous else None,
    )


def class_rows(
    labels: Sequence[str] | None,
    scores: NDArray[np.float64],
    flagged: NDArray[np.bool_],
    anomalous: NDArray[np.bool_] | None,
) -> list[ClassRow]:
    """Return one row a class, by falling share flagged, then by falling mean score."""
    if labels is None:
        return []
    names, of = np.unique(np.asarray(labels, dtype=str), return_inverse=True)
    counts = np.bincount(of)
    sums = np.bincount(of, weights=scores)
    hits = np.bincount(of, weights=flagged)
    bad = None if anomalous is None else np.bincount(of, weights=anomalous)
    rows = [
        ClassRow(
            label=str(name),
            n=int(counts[k]),
            mean_score=float(sums[k] / counts[k]),
            flagged=int(hits[k]),
            share_flagged=float(hits[k] / counts[k]),
            anomalous=None if bad is None or 0 < bad[k] < counts[k] else bool(bad[k]),
        )
        for k, name in enumerate(names)
    ]
    return sorted(rows, key=lambda row: (-row.share_flagged, -row.mean_score))


def _sweep_row(
    rule: ThresholdRule,
    normal_scores: NDArray[np.float64],
    scores: NDArray[np.float64],
    anomalous: NDArray[np.bool_] | None,
) -> SweepRow:
    upper, _ = rule.limits(normal_scores)
    return sweep_row(str(rule), upper, scores, anomalous)


def _rates(
    tp: NDArray[np.float64], fp: NDArray[np.float64], confusion: Confusion
) -> dict[str, NDArray[np.float64]]:
    """Return each figure from counts of true and false positives (r,); NaN where undefined."""
    n_anomalous, n_normal = confusion.n_anomalous, confusion.n_normal
    with np.errstate(divide="ignore", invalid="ignore"):
        recall = np.true_divide(tp, n_anomalous)
        fpr = np.true_divide(fp, n_normal)
        # With one kind alone these would only repeat how many of it are flagged.
        both = n_anomalous > 0 and n_normal > 0
        return {
            "precision": np.where(both, np.true_divide(tp, tp + fp), np.nan),
            "recall": recall,
            "f1": np.where(both, np.true_divide(2 * tp, tp + fp + n_anomalous), np.nan),
            "accuracy": np.where(
                both, np.true_divide(tp + n_normal - fp, n_anomalous + n_normal), np.nan
            ),
            "balanced_accuracy": (recall + 1 - fpr) / 2,
            "false_positive_rate": fpr,
        }


def _why_not(name: str, confusion: Confusion) -> str:
    if name != "false_positive_rate" and not confusion.n_anomalous:
        return f"there are no anomalous pictures; {name.replace('_', ' ')} needs some"
    if not confusion.n_normal:
        return f"there are no normal pictures; {name.replace('_', ' ')} needs some"
    return "nothing is flagged, so no share of what is flagged can be taken"
