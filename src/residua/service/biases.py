"""Of what the pictures that persons confirmed normal are no fair sample, in words."""

from __future__ import annotations

import math

import numpy as np

from residua.scoring.thresholds import Threshold, ThresholdRule, any_rule
from residua.service.schemas import Sample
from residua.service.served import ServedModel
from residua.service.settings import Keep
from residua.service.store.reviewed import Reviewed
from residua.service.store.store import ReviewStore

# As many flagged ones come by chance in one of a thousand fair samples.
_RARE = 1e-3
# What a sample may lack: it adds a tenth to the share of false alarms that is promised.
_LACKING = 0.1


def biases_of(
    confirmed: Reviewed,
    *,
    sample: Sample,
    model: ServedModel,
    after: Threshold,
    keep: Keep,
    store: ReviewStore,
) -> list[str]:
    """Say why a threshold that rests on confirmed normal pictures would be too high or too low.

    Parameters
    ----------
    confirmed : Reviewed
        The pictures, each confirmed normal.
    sample : {"all", "random"}
        How they were chosen.
    model : ServedModel
        As it is now.
    after : Threshold
        The limits that rest on them.
    keep : {"off", "flagged", "all"}
        What is kept now.
    store : ReviewStore
        Where they come from.
    """
    if keep == "flagged":
        return [
            "Only flagged pictures are kept, so that the normal ones among them are those "
            "that score highest. A threshold that rests on them will be far too high, and "
            "anomalies pass: keep all pictures (--keep all), and review in random order."
        ]
    if sample == "all":
        chosen = [
            "Pictures that came up as the least certain ones score higher than most normal "
            "ones. A threshold that rests on them will be too high: take those of random "
            "order alone."
        ]
    else:
        chosen = _lacking(confirmed, model.name, after, store)
    return [*chosen, *_flagged(confirmed, model)]


def chance_of_as_many(outside: int, new: int, rate: float, n: int) -> float:
    """Return how often at least so many of new normal scores lie outside the limits, by chance.

    The share that a limit lets out varies with the scores it rests on. Where it is the j-th
    greatest of n, that share is drawn from Beta(j, n + 1 - j), so that the count is beta-binomial;
    of other limits that is an approximation, with j = rate (n + 1).

    Parameters
    ----------
    outside : int
        New scores outside the limits, 0 to ``new``.
    new : int
        New normal scores.
    rate : float
        Share of normal scores expected outside, in (0, 1).
    n : int
        Normal scores that the limits rest on.

    References
    ----------
    Wilks, "Determination of sample sizes for setting tolerance limits", Annals of Mathematical
    Statistics 12(1), 1941.
    """
    a, b = rate * (n + 1), (1 - rate) * (n + 1)
    none = math.lgamma(new + b) + math.lgamma(a + b) - math.lgamma(new + a + b) - math.lgamma(b)
    x = np.arange(new)
    steps = np.log((new - x) / (x + 1)) + np.log((x + a) / (new - x - 1 + b))
    logarithms = np.cumsum(np.append(none, steps))
    return min(1.0, float(np.exp(logarithms[outside:]).sum()))


def _flagged(confirmed: Reviewed, model: ServedModel) -> list[str]:
    """Warn where more were flagged when they were kept than any fair sample has."""
    flags = [one.verdict == "anomalous" for one in confirmed.records()]
    flagged, pictures = sum(flags), len(flags)
    # Some may have been kept before the latest recalibration.
    limits, recalibrated = [model.manifest.threshold], model.manifest.recalibrated
    if recalibrated is not None:
        limits.append(recalibrated.previous_threshold)
    rates = [_expected(one, model) for one in limits]
    chances = [
        chance_of_as_many(flagged, pictures, rate, one.n_normal)
        for rate, one in zip(rates, limits, strict=True)
    ]
    if max(chances) > _RARE:
        return []
    return [
        f"{flagged:,} of these {pictures:,} normal pictures were flagged when they were kept, "
        f"where {max(rates):.1%} are to be expected. If only flagged pictures were kept then "
        f"(--keep flagged), they are the normal ones that score highest, the threshold will be "
        f"too high, and anomalies pass: review pictures that were kept since, in random order. "
        f"If all were kept, normal pictures are no longer those of calibration."
    ]


def _expected(limits: Threshold, model: ServedModel) -> float:
    """Return the share of normal pictures that limits are expected to flag."""
    rule, n = any_rule(limits.rule), limits.n_normal
    expected = rule.expected_rate(n) if isinstance(rule, ThresholdRule) else None
    rate = max(rule.promised_rate or 0, expected or 0)
    if not rate:  # it promises none: as of the scores of calibration
        rate = float(limits.is_anomalous(model.calibration_scores).mean())
    return min(max(rate, 1 / (n + 1)), n / (n + 1))


def _lacking(confirmed: Reviewed, name: str, after: Threshold, store: ReviewStore) -> list[str]:
    """Warn where normal pictures near the threshold could not come up at random any more."""
    others = len(store.reviewed(name, truth="normal")) - len(confirmed)
    kept = max(store.summary(name).kept, 1)
    rate = any_rule(after.rule).promised_rate or 1 / (after.n_normal + 1)
    if others <= _LACKING * rate * kept:
        return []
    return [
        f"{others:,} normal pictures of the {kept:,} that are kept were reviewed in another order "
        f"and so never came up at random. Where those were the least certain ones, the sample "
        f"lacks scores near the threshold; the new one will be too low, and flag up to "
        f"{min(others / kept, 1):.1%} of normal pictures more than it is meant to: take those "
        f"judgements back, and review in random order."
    ]
