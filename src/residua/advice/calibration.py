"""Whether the threshold keeps what it promises: how many pictures set it, and how it does here."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from residua.advice.finding import Finding, Severity
from residua.advice.intervals import (
    Interval,
    order_statistic_interval,
    rate_interval,
    two_sample,
)
from residua.advice.study import Study
from residua.advice.wording import counted, percent, percent_span
from residua.errors import ResiduaError
from residua.scoring.thresholds import MAD, Conformal, Percentile, Rule, ZScore, any_rule

THRESHOLD_CHECK = "threshold"
DRIFT_CHECK = "drift"
# The upper end of the rate's interval, as a multiple of the promised rate, that is wanted.
_WANTED = 1.5
_TOO_WIDE = 2.0
_MOST_NEEDED = 1_000_000
_SKEWED = 1.0
_FAR, _VERY_FAR, _SURE = 0.1, 0.3, 0.01
# Standard deviations by which medians must differ to be called higher or lower.
_MOVED = 0.1
_FEWEST = 20


def enough_for_threshold(study: Study) -> Finding:
    """Give the interval of the false-positive rate that the calibration pictures allow."""
    threshold = study.scored.threshold
    try:
        rule = any_rule(threshold.rule)
    except ResiduaError as error:
        return Finding.not_made(THRESHOLD_CHECK, "The threshold was not looked at.", str(error))
    if isinstance(rule, Percentile | Conformal):
        return _of_percentile(study, rule)
    return _of_other_rule(study, rule)


def _of_percentile(study: Study, rule: Percentile | Conformal) -> Finding:
    n = study.scored.threshold.n_normal
    if isinstance(rule, Percentile):
        promised, q, wanted = 1 - rule.q / 100, rule.q, rule.q
    else:
        # The percentile of n scores that its limit is, and the one that it would be of very many.
        promised, q, wanted = rule.fpr, 100 * (rule.rank(n) - 1) / (n - 1), 100 * (1 - rule.fpr)
    if promised <= 0:
        expected = order_statistic_interval(n, q)
        return Finding(
            check=THRESHOLD_CHECK,
            severity="fine",
            title=f"{rule} is the highest of {n:,} scores and promises no rate.",
            evidence=f"Of new normal pictures it flags {percent_span(expected)} (95%).",
            action="",
            numbers={"n": n, "expected": expected.value},
        )
    allowed = order_statistic_interval(n, q)
    needed = _needed(wanted, _WANTED * promised)
    measured = _measured(study)
    numbers: dict[str, float] = {
        "n": n,
        "promised": promised,
        "expected": allowed.value,
        "low": allowed.low,
        "high": allowed.high,
        "needed": needed,
    }
    evidence = (
        f"{rule} promises {percent(promised)}. With {counted(n, 'calibration picture')} the true "
        f"rate lies between {percent(allowed.low)} and {percent(allowed.high)} (95%); for at "
        f"most {percent(_WANTED * promised)}, {needed:,} are needed."
    )
    broken = False
    if measured is not None:
        numbers |= _as_numbers(measured)
        evidence += f" Measured here: {percent(measured.value)} ({percent_span(measured)})."
        broken = measured.low > allowed.high
    severity: Severity = "fine"
    title = f"{counted(n, 'calibration picture')} are enough for {percent(promised)}."
    action = ""
    if allowed.high > _TOO_WIDE * promised:
        severity = "advice"
        title = f"{counted(n, 'normal picture')} are few for a threshold of {percent(promised)}."
        fraction = study.scored.manifest.settings.calibration_fraction
        action = (
            f"Give {math.ceil(needed / fraction):,} pictures to the fit at the present "
            f"--calibration-fraction {fraction:g}, raise that fraction, recalibrate on {needed:,} "
            f"other normal ones, or ask for a rate that so few can show, such as "
            f"--threshold 'conformal({1 - _affordable(n) / 100:.3g})'."
        )
    if broken:
        assert measured is not None
        severity = "warning"
        title = (
            f"{percent(measured.value)} of the normal pictures are flagged, where "
            f"{percent(promised)} is promised."
        )
        action = (
            "These normal pictures are not like the calibration pictures: see the finding on "
            "drift, and fit again with pictures from where these come from."
        )
    return Finding(
        check=THRESHOLD_CHECK,
        severity=severity,
        title=title,
        evidence=evidence,
        action=action,
        numbers=numbers,
    )


def _of_other_rule(study: Study, rule: Rule) -> Finding:
    scores = study.scored.calibration_scores
    n = len(scores)
    if n < 2:
        return Finding.not_made(
            THRESHOLD_CHECK, "The threshold was not looked at.", "There are no calibration scores."
        )
    own = rate_interval(int(study.scored.threshold.is_anomalous(scores).sum()), n)
    skew = _skew(scores)
    measured = _measured(study)
    numbers: dict[str, float] = {
        "n": n,
        "on_calibration": own.value,
        "low": own.low,
        "high": own.high,
        "skew": skew,
    }
    promise = "no rate" if rule.promised_rate is None else percent(rule.promised_rate)
    evidence = (
        f"{rule} promises {promise}. It flags {percent(own.value)} of its own "
        f"{counted(n, 'calibration picture')} ({percent_span(own)}), whose scores have a skewness "
        f"of {skew:.1f} (0 if they were normally distributed)."
    )
    broken = False
    if measured is not None:
        numbers |= _as_numbers(measured)
        evidence += f" Measured here: {percent(measured.value)} ({percent_span(measured)})."
        broken = measured.low > 2 * max(own.high, 1 / n)
    severity: Severity = "fine"
    title = f"The threshold flags {percent(own.value)} of the calibration pictures."
    action = ""
    if abs(skew) > _SKEWED and isinstance(rule, ZScore | MAD):
        severity = "advice"
        title = "The scores are not normally distributed, so the threshold's rate is a surprise."
        action = (
            "Use a rule that needs no such assumption, --threshold 'conformal(0.01)', which "
            "promises a rate."
        )
    if broken:
        assert measured is not None
        severity = "warning"
        title = (
            f"{percent(measured.value)} of the normal pictures are flagged, and "
            f"{percent(own.value)} of the calibration pictures."
        )
        action = "See the finding on drift, and fit again with pictures from where these come from."
    return Finding(
        check=THRESHOLD_CHECK,
        severity=severity,
        title=title,
        evidence=evidence,
        action=action,
        numbers=numbers,
    )


def _all_flagged(study: Study) -> Finding:
    """Return the finding where hardly a picture is left within the limits."""
    share = float(study.flagged.mean())
    return Finding(
        check=DRIFT_CHECK,
        severity="warning",
        title=f"{percent(share)} of the pictures are flagged: these are not such as the model was "
        "fitted on.",
        evidence=f"{int(study.flagged.sum()):,} of {len(study.flagged):,} pictures lie outside "
        "the limits.",
        action="Look for what changed since the fit (camera, light, cropping, file format), and "
        "fit again with trusted pictures from where these come from.",
        numbers={"flagged_share": share},
    )


def drift(study: Study) -> Finding:
    """Compare the scores of the normal pictures here with those of the calibration pictures.

    Where the truth is not known, what lies within the limits is compared on both sides.
    """
    scored = study.scored
    here = scored.scores[study.normal]
    before = scored.calibration_scores
    if study.truth is None:
        before = before[~scored.threshold.is_anomalous(before)]
    name = f"{study.normal_name} pictures"
    if study.truth is None and len(here) < _FEWEST <= int(study.flagged.sum()):
        return _all_flagged(study)
    if len(here) < _FEWEST or len(before) < _FEWEST:
        return Finding.not_made(
            DRIFT_CHECK,
            "Drift was not looked at.",
            f"There are {len(here):,} {name} and {len(before):,} calibration scores; "
            f"{_FEWEST} of each are wanted.",
        )
    test = two_sample(here, before)
    # In deviations and not as a quotient: scores may be negative.
    moved, spread = float(np.median(here) - np.median(before)), float(before.std())
    shift = moved / spread if spread else math.copysign(math.inf, moved) if moved else 0.0
    flagged = float(study.flagged.mean())
    numbers: dict[str, float] = {
        "distance": test.distance,
        "p_value": test.p_value,
        "flagged_share": flagged,
    }
    if math.isfinite(shift):
        numbers["median_shift"] = shift
    evidence = (
        f"The distributions of the scores of {len(here):,} {name} and of {len(before):,} "
        f"calibration pictures are at most {test.distance:.3f} apart (Kolmogorov-Smirnov, "
        f"p {_p(test.p_value)}); the median lies {shift:+.2f} of their standard deviations from "
        "that of calibration."
    )
    mostly_flagged = study.truth is None and flagged > 0.5
    far = test.p_value < _SURE and test.distance >= _FAR
    if not far and not mostly_flagged:
        return Finding(
            check=DRIFT_CHECK,
            severity="fine",
            title=f"The {name} score as the calibration pictures do.",
            evidence=evidence,
            action="",
            numbers=numbers,
        )
    if mostly_flagged:
        evidence += f" {percent(flagged)} of all pictures are flagged."
    how = "higher" if shift > _MOVED else "lower" if shift < -_MOVED else "otherwise"
    return Finding(
        check=DRIFT_CHECK,
        severity="warning" if test.distance >= _VERY_FAR or mostly_flagged else "advice",
        title=(
            f"The {name} score {how} than the calibration "
            "pictures: the threshold's rate does not hold here."
            if far
            else "Most pictures are flagged: these are not what the model was fitted on."
        ),
        evidence=evidence,
        action=(
            "Look for what changed since the fit (camera, light, cropping, file format), and fit "
            "again with trusted pictures from where these come from."
        ),
        numbers=numbers,
    )


def _measured(study: Study) -> Interval | None:
    """Return the measured false-positive rate; None where the truth is not known."""
    if study.truth is None or study.truth.all():
        return None
    normal = ~study.truth
    return rate_interval(int(study.flagged[normal].sum()), int(normal.sum()))


def _as_numbers(measured: Interval) -> dict[str, float]:
    return {
        "measured": measured.value,
        "measured_low": measured.low,
        "measured_high": measured.high,
    }


def _needed(q: float, at_most: float) -> int:
    """Return the fewest scores whose interval ends below ``at_most``, to three digits."""
    low, high = 1, 2
    while order_statistic_interval(high, q).high > at_most and high < _MOST_NEEDED:
        low, high = high, 2 * high
    while high - low > max(1, high // 200):
        middle = (low + high) // 2
        if order_statistic_interval(middle, q).high > at_most:
            low = middle
        else:
            high = middle
    return high


def _affordable(n: int) -> float:
    """Return the highest percentile, of usual ones, whose interval n scores keep narrow."""
    for q in (99.9, 99.5, 99.0, 98.0, 97.0, 95.0, 90.0):
        if order_statistic_interval(n, q).high <= _TOO_WIDE * (1 - q / 100):
            return q
    return 80.0


def _skew(scores: NDArray[np.float64]) -> float:
    deviation = scores.std()
    return float((((scores - scores.mean()) / deviation) ** 3).mean()) if deviation > 0 else 0.0


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"
