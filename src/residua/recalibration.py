"""A saved model's threshold fitted anew on other normal pictures, without training or torch."""

from __future__ import annotations

import hashlib
import os
import warnings
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from residua.bundle import (
    Manifest,
    RecalibrationRecord,
    check_writable,
    open_bundle,
    quantiles_of,
    write_recalibrated,
)
from residua.errors import (
    ConfigurationError,
    InputError,
    SkippedImages,
    TooFewForThreshold,
)
from residua.images.decode import printable
from residua.images.resolve import resolve_source
from residua.images.source import ImageSource
from residua.runtime import BundleScorer
from residua.scoring.thresholds import LabelledRule, Threshold, ThresholdRule, any_rule
from residua.scoring.verdicts import MAPS_FOR_SCALE, Verdict, full_scale


class Recalibration(BaseModel):
    """What fitting the threshold anew has changed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str
    """The bundle that was written."""
    pictures: int
    """New normal pictures: threshold and calibration scores rest on these alone."""
    anomalous: int | None
    """Labelled anomalies that the rule saw; None: it saw none."""
    skipped: int
    """Pictures, of both kinds, that could not be read."""
    previous: Threshold
    """The limits before."""
    threshold: Threshold
    """The limits now."""
    previous_promised_rate: float | None
    """Share of normal pictures that the old rule was meant to flag; None: it named none."""
    promised_rate: float | None
    """Share of normal pictures that the new rule is meant to flag; None: it names none."""
    previously_flagged: int
    """New normal pictures outside the old limits."""
    flagged: int
    """New normal pictures outside the new limits, which were fitted on them."""


def recalibrate(
    bundle: str | os.PathLike[str],
    normal: Any,
    *,
    threshold: str | ThresholdRule | LabelledRule | None = None,
    anomalous: Any = None,
    output: str | os.PathLike[str] | None = None,
    threads: int | None = None,
) -> Recalibration:
    """Fit threshold, calibration scores and scale of heat maps anew; the network stays.

    The new normal pictures replace the old calibration scores. They must be other pictures than
    the network was fitted on, which score lower than new ones do.

    Parameters
    ----------
    bundle : path-like
        The saved model.
    normal : ImageSource, path-like, str, list or ndarray
        Trusted pictures, from where the pictures to be judged come. Unreadable ones are left out
        with a warning.
    threshold : str, ThresholdRule, LabelledRule or None, default=None
        The rule; "best_f1" and "youden" need ``anomalous``. None: the one that the fit was told.
    anomalous : as ``normal``, or None
        Labelled anomalies, for the rules that need them.
    output : path-like or None, default=None
        The new bundle. None: it takes the place of the old one, at once and whole.
    threads : int or None, default=None
        Threads that decode and score; None: one for each core.

    Raises
    ------
    ConfigurationError
        There is no such rule, or anomalies are missing or not wanted.
    TooFewImages
        Fewer readable pictures than the rule needs.
    InputError
        These are the pictures that the network was fitted on, or nothing can be read from them.
    BundleError, OutputError
        The bundle cannot be read, or not be written.

    Examples
    --------
    >>> from residua.recalibration import recalibrate
    >>> recalibrate("part.residua", "line-2/good/", output="line-2.residua")  # doctest: +SKIP
    """
    scorer = BundleScorer(bundle, threads=threads)
    before = scorer.manifest
    rule = any_rule(before.settings.threshold if threshold is None else threshold)
    if isinstance(rule, LabelledRule) and anomalous is None:
        raise ConfigurationError(
            f"threshold rule '{rule}' needs labelled anomalies; give some with --anomalous FOLDER"
        )
    if isinstance(rule, ThresholdRule) and anomalous is not None:
        raise ConfigurationError(
            f"threshold rule '{rule}' sees no anomalies, so none can be given; leave them out, or "
            f"choose best_f1 or youden"
        )
    # A link to a bundle stays one.
    final = Path(bundle).resolve() if output is None else Path(output)
    check_writable(final)
    found = _score(scorer, resolve_source(normal, prefer="train"))
    if found.fingerprint == before.data.fingerprint:
        raise InputError(
            f"{_named(normal)} holds the pictures that the network was fitted on, which score "
            f"lower than new ones do; give normal pictures that it has not seen"
        )
    skipped, n_anomalous = found.failed, None
    if isinstance(rule, LabelledRule):
        shown = _score(scorer, resolve_source(anomalous))
        skipped, n_anomalous = [*skipped, *shown.failed], shown.scores.size
        limits = rule.fit(found.scores, shown.scores)
    else:
        limits = _fit(rule, found.scores)
    _warn_of_skipped(skipped)
    record = RecalibrationRecord(
        created=datetime.now(UTC),
        source=_named(normal),
        pictures=found.scores.size,
        anomalous=n_anomalous,
        skipped=len(skipped),
        fingerprint=found.fingerprint,
        previous_threshold=before.threshold,
    )
    after = before.model_copy(
        update={
            "threshold": limits,
            "calibration_quantiles": quantiles_of(found.scores),
            "map_ceiling": found.map_ceiling,
            "recalibrated": record,
        }
    )
    write_recalibrated(final, open_bundle(bundle), after, found.scores)
    return _outcome(final, before, after, found.scores)


@dataclass(frozen=True)
class _Scored:
    scores: NDArray[np.float64]
    map_ceiling: float
    fingerprint: str
    failed: list[Verdict]


def _score(scorer: BundleScorer, source: ImageSource) -> _Scored:
    # The same digest as a fit takes of its pictures.
    digest = hashlib.sha256(repr(scorer.manifest.input.shape).encode())
    scores: list[NDArray[np.float64]] = [np.empty(0)]
    maps: list[NDArray[np.float32]] = []
    failed: list[Verdict] = []
    for verdicts, images, scored in scorer.scored(source):
        failed += [verdict for verdict in verdicts if verdict.error is not None]
        digest.update(np.ascontiguousarray(images).data)
        scores.append(scored.scores)
        wanted = MAPS_FOR_SCALE - sum(map(len, maps))
        maps.append(scored.error_maps[:wanted])
    return _Scored(np.concatenate(scores), full_scale(maps), digest.hexdigest(), failed)


def _fit(rule: ThresholdRule, scores: NDArray[np.float64]) -> Threshold:
    limits = rule.fit(scores)
    shortage = rule.shortage(scores.size)
    if shortage is not None:
        warnings.warn(f"{shortage}. Recalibrate on more pictures", TooFewForThreshold, stacklevel=3)
    return limits


def _warn_of_skipped(failed: list[Verdict]) -> None:
    if not failed:
        return
    causes = "; ".join(f"{verdict.id}: {verdict.error}" for verdict in failed[:3])
    more = f"; and {len(failed) - 3} more" if len(failed) > 3 else ""
    warnings.warn(
        f"{len(failed)} unreadable pictures are left out. {causes}{more}",
        SkippedImages,
        stacklevel=3,
    )


def _outcome(
    path: Path, before: Manifest, after: Manifest, scores: NDArray[np.float64]
) -> Recalibration:
    record = after.recalibrated
    assert record is not None
    return Recalibration(
        path=str(path),
        pictures=record.pictures,
        anomalous=record.anomalous,
        skipped=record.skipped,
        previous=before.threshold,
        threshold=after.threshold,
        previous_promised_rate=any_rule(before.threshold.rule).promised_rate,
        promised_rate=any_rule(after.threshold.rule).promised_rate,
        previously_flagged=int(before.threshold.is_anomalous(scores).sum()),
        flagged=int(after.threshold.is_anomalous(scores).sum()),
    )


def _named(data: Any) -> str:
    if isinstance(data, str | os.PathLike):
        return printable(os.fspath(data))
    if isinstance(data, list | tuple):
        return f"{len(data):,} files"
    return f"a {type(data).__name__}"
