"""Whether the score says more than the simplest figures of a picture's content do."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from residua.advice.finding import Finding, Picture, Row, Severity
from residua.advice.intervals import Interval, rank_correlation
from residua.advice.study import Study
from residua.advice.wording import area, area_span, counted
from residua.evaluation.content import Content
from residua.evaluation.estimate import Estimate
from residua.scoring.names import SURPRISE

CHECK = "content"
FIGURES = {
    "brightness": "mean grey level",
    "contrast": "contrast",
    "entropy": "entropy of the grey levels",
    "gradient": "mean gradient",
    "compressed": "compressed size",
    "colourfulness": "colourfulness",
}
"""Names of the figures of `Content`, as they are called in text."""
_STRONG = 0.7
# Correlation with the figure from which the score is said to go along with it.
_ALONG = 0.3
_MOST_OF_KIND = 3_000
_RESAMPLES = 300
# An AUROC that a figure must reach before it is called an explanation.
_TELLS = 0.55
# A lead in AUROC that is none.
_EVEN = 0.02
_SHOWN = 4


class _Alone(NamedTuple):
    """A figure of content as the only score."""

    name: str
    auroc: float
    """Of the figure, or of its negative, whichever is at least 0.5."""
    sign: int


class _Verdict(NamedTuple):
    severity: Severity
    title: str
    action: str


def score_against_content(study: Study) -> Finding:
    """Correlate the score with each figure of content, and rank the anomalous by each alone.

    The sign of a figure is chosen in its favour. The paired bootstrap against the best figure
    takes at most 3,000 pictures of each kind.
    """
    scored = study.scored
    normal = study.normal
    correlations = _correlations(scored.scores[normal], scored.content, normal)
    every = _correlations(scored.scores, scored.content, np.ones(len(normal), bool))
    alone: list[_Alone] = []
    if study.truth is not None and study.truth.any() and not study.truth.all():
        alone = _alone(scored.content, study.truth)
    numbers: dict[str, float] = {}
    table: list[Row] = []
    aurocs = {figure.name: figure for figure in alone}
    for name in FIGURES:
        rho, over_all = correlations.get(name), every.get(name)
        figure = aurocs.get(name)
        table.append(
            {
                "figure": name,
                f"correlation_{study.normal_name}": None if rho is None else rho.value,
                "correlation_low": None if rho is None else rho.low,
                "correlation_high": None if rho is None else rho.high,
                "correlation_all": None if over_all is None else over_all.value,
                "auroc_alone": None if figure is None else figure.auroc,
                "sign": None if figure is None else figure.sign,
            }
        )
        if rho is not None:
            numbers[f"correlation_{name}"] = rho.value
    strongest = max(correlations, key=lambda name: abs(correlations[name].value), default=None)
    parts = []
    follows = False
    if strongest is not None:
        rho = correlations[strongest]
        follows = min(abs(rho.low), abs(rho.high)) >= _STRONG
        parts.append(
            f"Among {counted(int(normal.sum()), f'{study.normal_name} picture')} the score's rank "
            f"correlation is strongest with the {FIGURES[strongest]}: {rho.value:+.2f} "
            f"({rho.low:+.2f} to {rho.high:+.2f})."
        )
    if not alone:
        return _without_truth(study, strongest, parts, numbers, table, follows=follows)
    figures = ", ".join(f"{FIGURES[one.name]} {area(one.auroc)}" for one in alone[:3])
    parts.append(f"Alone, the best figures give: {figures}.")
    return _with_truth(
        study, alone[0], correlations, strongest, parts, numbers, table, follows=follows
    )


def _without_truth(
    study: Study,
    strongest: str | None,
    parts: list[str],
    numbers: dict[str, float],
    table: list[Row],
    *,
    follows: bool,
) -> Finding:
    if strongest is None:
        return Finding.not_made(
            CHECK,
            "Whether the score follows the content is not known.",
            f"There are fewer than 10 {study.normal_name} pictures, or all are alike.",
        )
    return Finding(
        check=CHECK,
        severity="advice" if follows else "fine",
        title=(
            f"The score mostly follows the {FIGURES[strongest]} of a picture."
            if follows
            else "The score does not merely follow brightness or complexity."
        ),
        evidence=" ".join(parts),
        action=_remedy(study) if follows else "",
        numbers=numbers,
        table=table,
        pictures=_extremes(study) if follows else [],
    )


def _with_truth(
    study: Study,
    best: _Alone,
    correlations: dict[str, Interval],
    strongest: str | None,
    parts: list[str],
    numbers: dict[str, float],
    table: list[Row],
    *,
    follows: bool,
) -> Finding:
    from residua.evaluation.ranking import auroc_difference, rank_metrics

    assert study.truth is not None
    rows = _balanced(study, study.truth)
    truth, scores = study.truth[rows], study.scored.scores[rows]
    figure = best.sign * getattr(study.scored.content, best.name)[rows]
    own = rank_metrics(truth, scores, n_resamples=_RESAMPLES, seed=study.seed)["auroc"]
    gain = auroc_difference(truth, scores, figure, n_resamples=_RESAMPLES, seed=study.seed)
    numbers |= {
        "auroc": own.value,
        "auroc_low": own.low,
        "auroc_high": own.high,
        "best_figure_auroc": own.value - gain.value,
        "gain": gain.value,
        "gain_low": gain.low,
        "gain_high": gain.high,
    }
    side = "more" if best.sign > 0 else "less"
    name = FIGURES[best.name]
    alone = own.value - gain.value
    parts.insert(
        0,
        f"AUROC {area(own.value)} ({area_span(own.low, own.high)}) with the model; "
        f"{area(alone)} with the {name} alone ({side} is anomalous), without any learning. The "
        f"model's lead is {gain.value:+.4f} ({gain.low:+.4f} to {gain.high:+.4f}).",
    )
    rho = correlations.get(best.name)
    verdict = _verdict(study, best, own, gain, None if rho is None else rho.value)
    if verdict is None and strongest is not None and follows:
        verdict = _Verdict(
            "advice",
            "The model ranks better than any simple figure here, but its score follows the "
            f"{FIGURES[strongest]}.",
            _remedy(study),
        )
    if verdict is None:
        verdict = _Verdict(
            "fine",
            f"The model ranks better than any simple figure: {area(own.value)} against "
            f"{area(alone)}.",
            "",
        )
    severity, title, action = verdict
    return Finding(
        check=CHECK,
        severity=severity,
        title=title,
        evidence=" ".join(parts),
        action=action,
        numbers=numbers,
        table=table,
        pictures=_extremes(study) if severity != "fine" else [],
    )


def _verdict(
    study: Study, best: _Alone, own: Estimate, gain: Estimate, rho: float | None
) -> _Verdict | None:
    """Judge the model's AUROC beside that of the best figure; None: the model is better."""
    name, alone = FIGURES[best.name], own.value - gain.value
    figures = f"{area(alone)} against {area(own.value)}"
    if own.high < 0.5:
        return _Verdict(
            "warning",
            f"The score ranks the wrong way, AUROC {area(own.value)}: these anomalous pictures "
            "are easier for the model than its own.",
            _remedy(study),
        )
    if own.low <= 0.5:
        beside = "" if alone < _TELLS or gain.low > 0 else f"; the {name} alone gives {area(alone)}"
        return _Verdict(
            "warning",
            f"The score does not find these anomalous pictures: AUROC {area(own.value)}{beside}.",
            f"Whatever tells them apart, the model does not see it: try {_other_means(study)}.",
        )
    if gain.low > 0:
        return None
    if alone < _TELLS:
        return _Verdict(
            "advice",
            "Neither the model nor any simple figure tells these pictures apart well: "
            f"{area(own.value)} with the model, {area(alone)} with the {name}.",
            f"Try {_other_means(study)}.",
        )
    if gain.value > _EVEN:
        return _Verdict(
            "advice",
            f"That the model ranks better than the {name} alone is not shown: {figures}.",
            "Score more pictures of both kinds until the interval of the lead leaves 0 out.",
        )
    how = "better than" if gain.high < 0 else "as well as"
    if rho is None or best.sign * rho < _ALONG:
        among = "does not vary" if rho is None else f"correlates {rho:+.2f} with the score"
        return _Verdict(
            "advice",
            f"The {name} alone tells these pictures apart {how} the model: {figures}.",
            f"The model does not live on it: among {study.normal_name} pictures it {among}. But "
            "on these pictures a figure that costs nothing does as well; measure the model on "
            "anomalous pictures of like content too.",
        )
    return _Verdict(
        "warning",
        f"The {name} alone ranks {how} the model: {figures}.",
        f"The score goes along with the {name}, so these pictures do not show that the model has "
        f"learned anything which the {name} does not say. {_remedy(study)}",
    )


def _remedy(study: Study) -> str:
    manifest = study.scored.manifest
    checks, score = manifest.checks, manifest.settings.score
    if 2 * checks.code_size >= checks.picture_size:
        how = "Fit with a real bottleneck, --model conv or a far smaller --latent-dim,"
    elif score == "error":
        how = f"Fit with --score {SURPRISE}, which sets errors against content,"
    else:
        how = "Fit with another --score, --model or --latent-dim,"
    beside = (
        "; the finding on simple pictures compares scores" if manifest.model.rebuilds_pixels else ""
    )
    return f"{how} so that a picture's content does not drive the score{beside}."


def _other_means(study: Study) -> str:
    manifest = study.scored.manifest
    if not manifest.model.rebuilds_pixels:
        return "larger pictures (--size), another backbone or a smaller --latent-dim"
    score = f"--score {SURPRISE}, " if manifest.settings.score == "error" else ""
    return f"larger pictures, colour, {score}a smaller --latent-dim or a pretrained --backbone"


def correlations_with_content(scores: NDArray[np.float64], content: Content) -> dict[str, Interval]:
    """Return the rank correlation of scores (N,) with each figure that varies."""
    found = {}
    for name in FIGURES:
        rho = rank_correlation(scores, getattr(content, name))
        if rho is not None:
            found[name] = rho
    return found


def _correlations(
    scores: NDArray[np.float64], content: Content, where: NDArray[np.bool_]
) -> dict[str, Interval]:
    return correlations_with_content(scores, Content(*(figure[where] for figure in content)))


def _alone(content: Content, truth: NDArray[np.bool_]) -> list[_Alone]:
    """Return each figure as the only score, the best first."""
    from sklearn.metrics import roc_auc_score

    found = []
    for name in FIGURES:
        figure = getattr(content, name)
        if np.ptp(figure) == 0:
            continue
        auroc = float(roc_auc_score(truth, figure))
        found.append(_Alone(name, max(auroc, 1 - auroc), 1 if auroc >= 0.5 else -1))
    return sorted(found, key=lambda figure: -figure.auroc)


def _balanced(study: Study, truth: NDArray[np.bool_]) -> NDArray[np.int64]:
    kinds = (np.flatnonzero(truth), np.flatnonzero(~truth))
    return np.sort(np.concatenate([kind[study.sample(len(kind), _MOST_OF_KIND)] for kind in kinds]))


def _extremes(study: Study) -> list[Picture]:
    rows = np.flatnonzero(study.normal)
    order = rows[np.argsort(study.scored.scores[rows], kind="stable")]
    name = study.normal_name
    low, high = order[:_SHOWN], order[::-1][:_SHOWN]
    return [
        *study.pictures(low, f"lowest score of the {name}"),
        *study.pictures(high, f"highest score of the {name}"),
    ]
