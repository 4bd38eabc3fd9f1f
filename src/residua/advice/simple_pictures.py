"""The test with simple pictures: constant, gradients, lines, normal pictures blurred or faded.

It needs no labels. The same pictures, with their reconstructions at hand, also say which raw error,
and whether the error relative to content, would be fooled least.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from residua.advice.content import FIGURES, correlations_with_content
from residua.advice.finding import Finding, Row, Severity
from residua.advice.other_scores import OtherScores, options_of, other_scores, own_name_of
from residua.advice.study import Study
from residua.advice.wording import counted, percent
from residua.evaluation.content import Content
from residua.evaluation.scored import Scorer
from residua.images.simple import LOW_RANK, Family, Outcome, outcome_of, simple_families, unlike
from residua.scoring.names import SURPRISE

CHECK = "simple-pictures"
_MOST_NORMAL = 400
_MOST_CHANGED = 100
_FEWEST_CHANGED = 8
_FEWEST = 20
# Pixel values of normal pictures that are read, and of pictures that are scored at a time.
_READ_VALUES = 6_000_000
_CHANGED_VALUES = 1_500_000
_VALUES_AT_A_TIME = 2_000_000


@dataclass(frozen=True)
class Trial:
    """How one score does on simple pictures and against content."""

    name: str
    """Of the score: its error map and reduction where it is a raw error."""
    outcomes: tuple[Outcome, ...]
    correlation: float
    """Greatest rank correlation with a figure of content among normal pictures, absolute."""
    figure: str | None
    """That figure; None: no correlation could be taken."""

    @property
    def fooled_by(self) -> list[Outcome]:
        """The families that rank below nearly all normal pictures."""
        return [outcome for outcome in self.outcomes if outcome.fools]

    @property
    def share_low(self) -> float:
        """Mean share of the foreign families that ranks below nearly all normal pictures."""
        return float(np.mean([outcome.share_low for outcome in self.outcomes if outcome.foreign]))


def simple_pictures(study: Study) -> Finding:
    """Score simple pictures and see whether they rank below nearly all normal ones.

    At most 400 normal pictures are drawn at random, of which 100 are blurred and faded; fewer
    where they are large. Raw errors of every map and reduction, and the model's own error relative
    to content, are tried on the same reconstructions where torch is installed and pixels are
    rebuilt.
    """
    rows = np.flatnonzero(study.normal)
    rows = rows[study.sample(len(rows), study.affordable(_MOST_NORMAL, _READ_VALUES))]
    normal = study.read(rows) if len(rows) else np.empty((0,), np.uint8)
    if min(len(normal), len(study.scored.calibration_scores)) < _FEWEST:
        return Finding.not_made(
            CHECK,
            "Simple pictures were not tried.",
            f"There are {counted(len(normal), f'{study.normal_name} picture')} and "
            f"{counted(len(study.scored.calibration_scores), 'calibration score')} to compare "
            f"with; {_FEWEST} of each are wanted.",
        )
    each = normal[0].size
    most = int(np.clip(_CHANGED_VALUES // each, _FEWEST_CHANGED, _MOST_CHANGED))
    changed = study.sample(len(normal), most)
    families = list(simple_families(normal[changed], study.seed))
    calibration = study.scored.calibration_scores
    own, here, others = _trials(study.scorer, normal, families, calibration)
    numbers: dict[str, float] = {
        "calibration": len(calibration),
        "normal": len(normal),
        "share_low": own.share_low,
        "families_low": len(own.fooled_by),
        "correlation": own.correlation,
    }
    unlike = [outcome for outcome in own.fooled_by if not outcome.made_from_normal]
    evidence = _evidence(own, len(calibration))
    table = [_row(trial) for trial in (here, *others)]
    if not own.fooled_by:
        return Finding(
            check=CHECK,
            severity="fine",
            title="Pictures without content do not pass for the most normal ones.",
            evidence=evidence,
            action="",
            numbers=numbers,
            table=table,
        )
    severity: Severity = "warning" if unlike else "advice"
    names = " and ".join(_families(own.fooled_by))
    return Finding(
        check=CHECK,
        severity=severity,
        title=(
            f"The score measures how much is in a picture: {names} score below nearly all normal "
            "pictures."
            if unlike
            else f"A loss of detail goes unseen: {names} score below nearly all normal pictures."
        ),
        evidence=evidence,
        action=_action(study, here, others),
        numbers=numbers,
        table=table,
    )


def _trials(
    scorer: Scorer,
    normal: NDArray[np.uint8],
    families: list[Family],
    calibration: NDArray[np.float64],
) -> tuple[Trial, Trial, list[Trial]]:
    """Try the model's own score and the others that can be computed here.

    Returns
    -------
    own : Trial
        The model's score, ranked among the calibration scores, which are of trusted pictures.
    here : Trial
        The same, ranked among the normal pictures here: what the others are compared with.
    others : list of Trial
        The other scores, ranked among the normal pictures here.
    """
    others = other_scores(scorer.manifest, normal)
    own_name = own_name_of(scorer.manifest)
    base = _scores(scorer, normal, others, own_name)
    names = [own_name, *(name for name in base if name != own_name)]
    content = Content.of(normal)
    outcomes: dict[str, list[Outcome]] = {name: [] for name in (*names, "")}
    among = {name: np.sort(base[name]) for name in names} | {"": np.sort(calibration)}
    for family in families:
        # The others are judged by foreign pictures alone.
        found = _scores(scorer, family.images, others if family.foreign else None, own_name)
        found[""] = found[own_name]
        kept = unlike(family, normal)
        for name in found if kept.any() else ():
            outcomes[name].append(outcome_of(family, found[name][kept], among[name]))
    trials = []
    for name in names:
        correlations = correlations_with_content(base[name], content)
        figure = max(correlations, key=lambda key: abs(correlations[key].value), default=None)
        rho = 0.0 if figure is None else abs(correlations[figure].value)
        trials.append(Trial(name, tuple(outcomes[name]), rho, figure))
    own = replace(trials[0], outcomes=tuple(outcomes[""]))
    return own, trials[0], trials[1:]


def _scores(
    scorer: Scorer, images: NDArray[np.uint8], others: OtherScores | None, own_name: str
) -> dict[str, NDArray[np.float64]]:
    """Return the model's own score and the others of pictures (K, H, W, C), by name."""
    found: dict[str, list[NDArray[np.float64]]] = {}
    step = max(1, min(64, _VALUES_AT_A_TIME // images[0].size))
    for start in range(0, len(images), step):
        part = images[start : start + step]
        scored = scorer.score_batch(part)
        scores = {} if others is None else others(part, scored.x_hat)
        for name, values in (scores | {own_name: scored.scores}).items():
            found.setdefault(name, []).append(values)
    return {name: np.concatenate(parts) for name, parts in found.items()}


def _evidence(own: Trial, n: int) -> str:
    ordered = sorted(own.outcomes, key=lambda outcome: outcome.median_rank)
    judged = [outcome for outcome in ordered if outcome.foreign]
    shown = own.fooled_by or judged[:3]
    text = ", ".join(
        f"{outcome.family} {percent(outcome.median_rank)}"
        for outcome in sorted(shown, key=lambda outcome: outcome.median_rank)
    )
    which = "the lowest: " if not own.fooled_by else ""
    return (
        f"Share of {n:,} calibration pictures that score below the median simple picture, "
        f"{which}{text}. At half or more a simple picture looks anomalous; below "
        f"{percent(LOW_RANK)} it looks more normal than the normal ones."
    )


def _families(outcomes: list[Outcome]) -> list[str]:
    kinds = []
    for outcome in outcomes:
        kind = outcome.family.partition(" (")[0]
        kind = {
            "constant": "constant pictures",
            "gradient": "gradients",
            "light line on black": "light lines on black",
            "dark line on white": "dark lines on white",
            "blurred": "blurred pictures",
        }.get(kind, "faded pictures")
        if kind not in kinds:
            kinds.append(kind)
    return kinds if len(kinds) < 3 else [", ".join(kinds[:-1]), kinds[-1]]


def _action(study: Study, own: Trial, others: list[Trial]) -> str:
    manifest = study.scored.manifest
    wide_code = manifest.checks.code_size >= _half(study)
    first = (
        "The code is wide enough to copy pictures: fit with --model conv or a far smaller "
        "--latent-dim. "
        if wide_code
        else ""
    )
    raw = manifest.settings.score == "error"
    default = f"Fit with --score {SURPRISE}, which sets errors against content. " if raw else ""
    if not others:
        why = (
            "torch is not installed to compare scores here"
            if manifest.model.rebuilds_pixels
            else "features are rebuilt, so that no other error can be compared here"
        )
        then = default or "Fit with another --score or a smaller --latent-dim. "
        return f"{first}{then}{_capital(why)}."
    best = min(others, key=lambda trial: (round(trial.share_low, 2), trial.correlation))
    figures = (
        f"{percent(best.share_low)} of the simple pictures rank that low with "
        f"{options_of(best.name)}, the least of {len(others) + 1} scores tried on the present "
        f"reconstructions, against {percent(own.share_low)} with {own.name}"
    )
    if best.share_low > 0.5 * own.share_low:
        first = first or default or "Fit with a smaller --latent-dim or another --model. "
        return f"{first}None of the scores tried here mends it: {figures}."
    content = (
        ""
        if best.figure is None
        else f" (rank correlation with content at most {best.correlation:.2f}, with the "
        f"{FIGURES[best.figure]}, against {own.correlation:.2f})"
    )
    then = (
        "Without a bottleneck another score alone mends little."
        if wide_code
        else "It may find fewer of other anomalies: compare both with residua evaluate first."
    )
    return f"{first}{_capital(figures)}{content}. {then}"


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


def _half(study: Study) -> float:
    return study.scored.manifest.checks.picture_size / 2


def _row(trial: Trial) -> Row:
    row: Row = {
        "score": trial.name,
        "share_low": trial.share_low,
        "correlation": trial.correlation,
        "figure": trial.figure,
    }
    return row | {f"rank of {outcome.family}": outcome.median_rank for outcome in trial.outcomes}
