"""From the scores of each fit to the rows of the leaderboard."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from residua.comparison.leaderboard import Measured, Row
from residua.comparison.methods import Method
from residua.evaluation.estimate import Estimate
from residua.evaluation.ranking import auroc_difference, rank_metrics


@dataclass(frozen=True)
class Fit:
    """What one fit gave and what it took."""

    scores: NDArray[np.float64]
    """Of the test pictures (N,); the higher, the more anomalous."""
    n_train: int
    in_pictures: bool
    """Whether it took pictures; else flattened rows."""
    fit_seconds: float
    score_seconds: float
    """For all N."""
    memory_mb: float | None
    notes: list[str]


class Result(NamedTuple):
    """The fits of one method, one for each seed."""

    method: Method
    seeds: list[int]
    fits: list[Fit]
    input: str
    """Size of what it took, in words."""
    notes: list[str]


def ranked_rows(anomalous: NDArray[np.bool_], results: Sequence[Result]) -> list[Row]:
    """Measure every method and put the greatest AUROC first.

    Parameters
    ----------
    anomalous : ndarray of bool, shape (N,)
        The truth.
    results : sequence of Result
        At least one; all with the same seeds.

    Returns
    -------
    list of Row
        AUROC is the mean over the seeds; the interval comes from resampling test pictures.
    """
    figures = {
        result.method.name: [rank_metrics(anomalous, fit.scores) for fit in result.fits]
        for result in results
    }

    def auroc(result: Result) -> float:
        return fmean(found["auroc"].value for found in figures[result.method.name])

    ordered = sorted(results, key=auroc, reverse=True)
    return [
        _row(result, figures[result.method.name], _behind(anomalous, ordered[0], result))
        for result in ordered
    ]


def _behind(anomalous: NDArray[np.bool_], best: Result, result: Result) -> list[Estimate]:
    """Return, for each seed, the AUROC of the best less that of this one."""
    return [
        auroc_difference(anomalous, leading.scores, own.scores)
        for leading, own in zip(best.fits, result.fits, strict=True)
    ]


def _row(result: Result, figures: list[dict[str, Estimate]], behind: list[Estimate]) -> Row:
    method, fits = result.method, result.fits
    memories = [fit.memory_mb for fit in fits if fit.memory_mb is not None]
    difference = over_seeds(behind)
    notes = dict.fromkeys([*result.notes, *(note for fit in fits for note in fit.notes)])
    return Row(
        method=method.name,
        title=method.title,
        what=method.what,
        source=method.source,
        seeds=result.seeds,
        **{name: over_seeds([found[name] for found in figures]) for name in figures[0]},
        behind=difference,
        within_noise=is_noise(behind),
        fit_seconds=fmean(fit.fit_seconds for fit in fits),
        score_seconds=fmean(1_000 * fit.score_seconds / len(fit.scores) for fit in fits),
        memory_mb=max(memories) if len(memories) == len(fits) else None,
        n_train=fits[0].n_train,
        input=result.input,
        notes=list(notes),
    )


def over_seeds(estimates: Sequence[Estimate]) -> Measured:
    """Return the mean of some seeds' estimates and of their intervals' ends, and the spread."""
    values = [estimate.value for estimate in estimates]
    return Measured(
        value=fmean(values),
        low=fmean(estimate.low for estimate in estimates),
        high=fmean(estimate.high for estimate in estimates),
        spread=stdev(values) if len(values) > 1 else None,
    )


def is_noise(behind: Sequence[Estimate]) -> bool:
    """Say whether the best may be no better than another method.

    Parameters
    ----------
    behind : sequence of Estimate
        For each seed, the best one's figure less the other's.

    Returns
    -------
    bool
        The mean interval reaches 0, or the seeds disagree on which of the two is better.
    """
    return over_seeds(behind).low <= 0 or any(estimate.value <= 0 for estimate in behind)
