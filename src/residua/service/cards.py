"""What a served model says of itself: its card, its warnings, its calibration scores."""

from __future__ import annotations

import numpy as np

from residua.images.simple import LOW_RANK
from residua.scoring.drift import DriftState
from residua.scoring.drift_words import words
from residua.scoring.thresholds import Threshold, ThresholdRule, any_rule
from residua.service.models import ServedModels
from residua.service.schemas import (
    Calibration,
    Drift,
    Fact,
    InputSize,
    Limits,
    ModelDetail,
    ModelSummary,
)
from residua.service.served import ServedModel
from residua.summary import facts

_BINS = 48
_QUANTILES = 101


def summary_of(model: ServedModel, models: ServedModels) -> ModelSummary:
    """Return what a model is, in short."""
    spec = model.manifest.input
    return ModelSummary(
        name=model.name,
        revision=model.revision,
        input=InputSize(
            height=spec.height, width=spec.width, channels=spec.channels, resize=spec.resize
        ),
        threshold=limits_of(model.manifest.threshold),
        rebuilds_pixels=model.manifest.model.rebuilds_pixels,
        loaded=model.loaded,
        reload_failed=models.failure(model.name),
        drift=drift_of(model.drift),
    )


def detail_of(model: ServedModel, models: ServedModels) -> ModelDetail:
    """Return what a model is, with its card."""
    return ModelDetail(
        **dict(summary_of(model, models)),
        facts=[Fact(name=name, value=value) for name, value in facts(model.manifest).items()],
        warnings=[*warnings_of(model), *trap_of(model)],
        calibration=calibration_of(model),
    )


def limits_of(threshold: Threshold) -> Limits:
    """Return the limits of the verdict."""
    return Limits(
        upper=threshold.upper,
        lower=threshold.lower,
        rule=threshold.rule,
        n_normal=threshold.n_normal,
        promised_rate=any_rule(threshold.rule).promised_rate,
    )


def drift_of(state: DriftState) -> Drift:
    """Return the watch for drift, with its words."""
    return Drift(
        watched=state.watched,
        window=state.window,
        looks=state.looks,
        distance=state.distance,
        p_value=state.p_value,
        level=state.level,
        alarm=state.alarm,
        since=state.since,
        direction=state.direction,
        words=words(state),
    )


def calibration_of(model: ServedModel) -> Calibration:
    """Return the calibration scores as a histogram that shows the limits too."""
    scores, threshold = model.calibration_scores, model.manifest.threshold
    ends = [scores[0], scores[-1], threshold.upper]
    ends += [] if threshold.lower is None else [threshold.lower]
    margin = 0.02 * (max(ends) - min(ends))
    counts, edges = np.histogram(scores, _BINS, (min(ends) - margin, max(ends) + margin))
    return Calibration(
        n=scores.size,
        edges=edges.tolist(),
        counts=counts.tolist(),
        quantiles=np.quantile(scores, np.linspace(0, 1, _QUANTILES)).tolist(),
    )


def warnings_of(model: ServedModel) -> list[str]:
    """Return what the bundle itself gives reason to warn of."""
    manifest = model.manifest
    checks, threshold = manifest.checks, manifest.threshold
    found = []
    if checks.network_mse >= checks.mean_image_mse:
        found.append("It rebuilds no better than the mean picture does: it has learned nothing.")
    elif checks.pca_mse is not None and checks.network_mse > checks.pca_mse:
        found.append(
            f"A linear code (PCA) of the same size rebuilds better: error {checks.pca_mse:.3g} "
            f"against {checks.network_mse:.3g}. Train longer, or take a smaller network."
        )
    if manifest.model.rebuilds_pixels and checks.code_size >= checks.picture_size:
        found.append("Its code is not smaller than the picture, so that it may copy what it sees.")
    if manifest.interrupted:
        found.append("Its training was ended before it was done.")
    rule = any_rule(threshold.rule)
    if isinstance(rule, ThresholdRule):
        shortage = rule.shortage(threshold.n_normal)
        if shortage is not None:
            found.append(f"{shortage}. Recalibrate on more pictures.")
    else:
        found.append(
            f"Its threshold was fitted with {threshold.n_anomalous or 0:,} labelled anomalies: it "
            f"promises no rate of false alarms."
        )
    return found


def trap_of(model: ServedModel) -> list[str]:
    """Return a warning where pictures without content pass for the most normal ones.

    It comes a little after the model is served; see `residua.service.trap`.
    """
    if not model.fooled_by:
        return []
    return [
        f"Pictures without content ({', '.join(model.fooled_by)}) score below "
        f"{1 - LOW_RANK:.0%} of the normal ones. Unless such pictures are normal here, the score "
        f"follows how much there is in a picture: do not trust it on pictures that are emptier "
        f"than those it was fitted on."
    ]
