"""Everything that can be said of one model on one set of pictures, as one record."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from residua.errors import BadLabels, InputError
from residua.evaluation.estimate import N_RESAMPLES, Estimate
from residua.evaluation.ranking import best_f1_threshold, rank_metrics
from residua.evaluation.rebuilding import Rebuilding, measure_rebuilding
from residua.evaluation.scored import ScoredSet, name_of, score_source
from residua.evaluation.truth import known_truth
from residua.evaluation.verdicts import (
    ClassRow,
    Confusion,
    SweepRow,
    class_rows,
    sweep,
    verdict_metrics,
)
from residua.images.resolve import resolve_source
from residua.scoring.thresholds import any_rule


class Evaluation(BaseModel):
    """How good a model is on pictures of which some or none are known to be anomalous."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    """What the model is called."""
    data: str
    """What the pictures are called."""
    n: int
    """Readable pictures."""
    n_normal: int | None
    """Of them normal; None: the truth is not known."""
    n_anomalous: int | None
    """Of them anomalous; None: the truth is not known."""
    n_unreadable: int
    """Pictures that could not be read."""
    n_flagged: int
    """Pictures that the fitted threshold calls anomalous."""
    rule: str
    """The threshold's rule."""
    threshold: float
    """The upper limit: scores above are anomalous."""
    lower_threshold: float | None
    """The lower limit; None: no score is too low."""
    promised_rate: float | None
    """Share of normal pictures that the rule is meant to flag; None: it names none."""
    n_calibration: int = 0
    """Held-out normal pictures on which the threshold rests."""
    ranking: dict[str, Estimate]
    """AUROC, average precision, best F1 and false-positive rate at 95 % true-positive rate."""
    best_f1_threshold: float | None
    """The score from which flagging gives the best F1: found with the labels, for comparison."""
    at_threshold: dict[str, Estimate]
    """Precision, recall, F1, accuracy, balanced accuracy and false-positive rate."""
    confusion: Confusion | None
    """Counts at the fitted threshold."""
    pixels: dict[str, Estimate]
    """Pixel AUROC, AUPRO and best pixel F1."""
    rebuilding: Rebuilding | None
    """How well normal pictures are rebuilt."""
    sweep: list[SweepRow]
    """What other thresholds would give."""
    classes: list[ClassRow]
    """One row a class, by falling share flagged."""
    unavailable: dict[str, str]
    """What cannot be computed here, and why."""
    n_resamples: int
    """Resamples behind each interval."""
    seed: int
    """Seed of the bootstrap."""

    def _repr_html_(self) -> str:
        from residua.evaluation.tables import as_html

        return as_html(self)


def evaluate_model(
    model: Any,
    data: Any,
    *,
    normal: Sequence[str] | None = None,
    anomalous: Sequence[str] | None = None,
    n_resamples: int = N_RESAMPLES,
    seed: int = 0,
) -> Evaluation:
    """Score pictures with a model and measure how good its verdicts are.

    Parameters
    ----------
    model : path-like, BundleScorer or AutoencoderDetector
        The fitted model.
    data : ImageSource, path-like, str, list or ndarray
        Pictures with classes: a folder with a sub-folder a class, a data set's name …
    normal, anomalous : sequence of str, or None
        Classes of one kind; every class not named is of the other. Neither: what the data set
        itself says, and a folder's class "good" as normal.
    n_resamples : int, default=1000
        Resamples of the bootstrap.
    seed : int, default=0
        Seed of the bootstrap.

    Raises
    ------
    BadLabels
        There are no classes, or one that is named does not exist.

    Examples
    --------
    >>> from residua import evaluate_model
    >>> evaluate_model("part.residua", "incoming/", normal=["good"])  # doctest: +SKIP
    """
    source = resolve_source(data, prefer="test")
    truth = known_truth(data, source.labels, normal=normal, anomalous=anomalous)
    if truth is None:
        raise BadLabels(
            "it is not known which pictures are anomalous; name the normal or the anomalous "
            "classes" + ("" if source.labels else ", and put each class into a sub-folder")
        )
    return evaluate(
        score_source(model, source, truth=truth),
        model=model,
        model_name=name_of(model),
        data_name=name_of(data),
        n_resamples=n_resamples,
        seed=seed,
    )


def evaluate(
    scored: ScoredSet,
    *,
    model: Any = None,
    model_name: str = "model",
    data_name: str = "pictures",
    n_resamples: int = N_RESAMPLES,
    seed: int = 0,
) -> Evaluation:
    """Measure a model on pictures that it has scored.

    Labels have no part in the verdicts: the threshold is the one that was fitted.

    Parameters
    ----------
    scored : ScoredSet
        With the truth where it is known; see `ScoredSet.with_truth`.
    model : path-like, BundleScorer, AutoencoderDetector or None, default=None
        The model that scored them, which rebuilds a sample of normal pictures again to measure
        SSIM. None: SSIM is not measured.
    model_name, data_name : str
        What to call them.
    n_resamples : int, default=1000
        Resamples of the stratified bootstrap.
    seed : int, default=0
        Seed of the bootstrap.

    Returns
    -------
    Evaluation
        What cannot be computed, for want of labels, of a second class or of masks, is named in
        ``unavailable``.
    """
    truth, scores, threshold = scored.anomalous, scored.scores, scored.threshold
    unavailable: dict[str, str] = {}

    def if_possible(what: str, compute: Callable[[], Any], otherwise: Any) -> Any:
        try:
            return compute()
        except InputError as error:
            unavailable[what] = str(error)
            return otherwise

    def ranking() -> dict[str, Estimate]:
        return rank_metrics(_known(truth), scores, n_resamples=n_resamples, seed=seed)

    def pixels() -> dict[str, Estimate]:
        if scored.pixels is None:
            raise InputError("the pictures have no masks; pixel figures need them")
        return scored.pixels.metrics(n_resamples=n_resamples, seed=seed)

    flagged = scored.flagged
    confusion = None if truth is None else Confusion.of(truth, flagged)
    at_threshold: dict[str, Estimate] = {}
    if confusion is None:
        unavailable["figures at the threshold"] = _NO_TRUTH
    else:
        at_threshold, missing = verdict_metrics(confusion, n_resamples=n_resamples, seed=seed)
        unavailable.update(missing)
    return Evaluation(
        model=model_name,
        data=data_name,
        n=len(scored),
        n_normal=None if truth is None else int((~truth).sum()),
        n_anomalous=None if truth is None else int(truth.sum()),
        n_unreadable=len(scored.failures),
        n_flagged=int(flagged.sum()),
        rule=threshold.rule,
        threshold=threshold.upper,
        lower_threshold=threshold.lower,
        promised_rate=any_rule(threshold.rule).promised_rate,
        n_calibration=threshold.n_normal,
        ranking=if_possible("ranking", ranking, {}),
        best_f1_threshold=if_possible(
            "best F1", lambda: best_f1_threshold(_known(truth), scores)[1], None
        ),
        at_threshold=at_threshold,
        confusion=confusion,
        pixels=if_possible("pixel figures", pixels, {}),
        rebuilding=if_possible(
            "rebuilding",
            lambda: measure_rebuilding(scored, model, n_resamples=n_resamples, seed=seed),
            None,
        ),
        sweep=sweep(scored.calibration_scores, scores, truth),
        classes=class_rows(scored.labels, scores, flagged, truth),
        unavailable=unavailable,
        n_resamples=n_resamples,
        seed=seed,
    )


_NO_TRUTH = "it is not known which pictures are anomalous; name the normal or anomalous classes"


def _known(truth: NDArray[np.bool_] | None) -> NDArray[np.bool_]:
    if truth is None:
        raise InputError(_NO_TRUTH)
    return truth
