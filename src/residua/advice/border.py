"""How much of the error comes from the border of the pictures."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from residua.advice.finding import Finding
from residua.advice.intervals import Interval
from residua.advice.study import Study
from residua.advice.wording import percent, percent_span
from residua.errors import ImageError
from residua.evaluation.content import border_ring
from residua.scoring.names import is_of_code

CHECK = "border"
# How much denser the error must be in the ring than inside.
_DENSER = 1.5
_FEWEST = 5
_SHOWN = 8
_SAMPLED = 64
_ERROR = "the scores judge the background"
_CODE = "the heat maps show the background, though the score looks at the code"


def error_at_border(study: Study) -> Finding:
    """Compare the ring's share of the error with its share of the area, flagged and not."""
    scored = study.scored
    spec = scored.manifest.input
    top, left, area = border_ring(spec.height, spec.width)
    every = _mean(scored.border)
    numbers: dict[str, float] = {"area_share": area, "border_share": every.value}
    parts = [
        f"The outer {top} of {spec.height} pixels on each side are {percent(area)} of the area "
        f"and hold {percent(every.value)} of the error ({percent_span(every)})"
    ]
    judged, density = every, _density(every.low, area)
    if study.flagged.sum() >= _FEWEST and (~study.flagged).sum() >= _FEWEST:
        flagged, passed = _mean(scored.border[study.flagged]), _mean(scored.border[~study.flagged])
        numbers |= {"flagged_border_share": flagged.value, "passed_border_share": passed.value}
        parts.append(
            f"{percent(flagged.value)} of it in flagged and {percent(passed.value)} in unflagged "
            "pictures"
        )
        judged, density = flagged, _density(flagged.low, area)
    numbers["times_denser"] = _density(judged.value, area)
    evidence = "; ".join(parts) + "."
    if density < _DENSER:
        return Finding(
            check=CHECK,
            severity="fine",
            title="The error does not come from the border.",
            evidence=evidence,
            action="",
            numbers=numbers,
        )
    of_code = is_of_code(scored.manifest.settings.score)
    shown = _most(scored.border, study.flagged if study.flagged.any() else scored.border > 0)
    return Finding(
        check=CHECK,
        severity="advice",
        title=(
            f"The error is {numbers['times_denser']:.1f} times as dense at the border as inside: "
            f"{_CODE if of_code else _ERROR}."
        ),
        evidence=evidence,
        action=_action(study, top, left),
        numbers=numbers,
        pictures=study.pictures(
            shown,
            lambda i: f"{percent(scored.border[i])} of its error at the border",
            heat_map=True,
        ),
    )


def _action(study: Study, top: int, left: int) -> str:
    spec = study.scored.manifest.input
    cut = (
        f"cut the pictures to what matters before the fit (here about {top} of {spec.height} rows "
        f"and {left} of {spec.width} columns on each side)"
    )
    if spec.resize == "crop" or not _other_aspect(study):
        return f"{cut[0].upper()}{cut[1:]}."
    return (
        "Fit again with --resize crop, which leaves out what goes beyond the model's aspect "
        f"ratio; if that is not enough, {cut}."
    )


def _other_aspect(study: Study) -> bool:
    """Say whether most pictures have another aspect ratio than the model's input."""
    spec, source = study.scored.manifest.input, study.scored.source
    other, seen = 0, 0
    for position in study.scored.index[study.sample(len(study.scored), _SAMPLED)].tolist():
        try:
            look = source.sample(position, values=False)
        except ImageError:
            continue
        seen += 1
        other += abs(math.log(look.width * spec.height / (look.height * spec.width))) > 0.1
    return 2 * other > seen


def _density(share: float, area: float) -> float:
    """Return how dense the error is in the ring, as a multiple of that inside."""
    return (share / area) / max((1 - share) / (1 - area), 1e-9)


def _mean(values: NDArray[np.float64]) -> Interval:
    mean = float(values.mean())
    reach = 1.96 * float(values.std(ddof=1)) / math.sqrt(len(values)) if len(values) > 1 else 0.0
    return Interval(mean, max(mean - reach, 0.0), min(mean + reach, 1.0))


def _most(border: NDArray[np.float64], where: NDArray[np.bool_]) -> NDArray[np.int64]:
    chosen = np.flatnonzero(where)
    return chosen[np.argsort(-border[chosen], kind="stable")][:_SHOWN]
