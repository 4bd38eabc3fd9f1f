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

from residua.bundle import Bundle, open_bundle
from residua.bundle_writing import check_writable, write_recalibrated
from residua.engines.base import Precision
from residua.engines.registry import AUTO
from residua.errors import (
    BundleAltered,
    ConfigurationError,
    InputError,
    NoSpread,
    ResiduaWarning,
    SkippedImages,
    TooFewForThreshold,
)
from residua.images.decode import printable
from residua.images.resolve import resolve_source
from residua.images.source import ImageSource
from residua.manifest import Manifest, RecalibrationRecord, quantiles_of
from residua.runtime import BundleScorer
from residua.scoring.thresholds import LabelledRule, Threshold, ThresholdRule, any_rule
from residua.scoring.verdicts import MAPS_FOR_SCALE, Verdict, full_scale
from residua.storage import Location, as_local


class Recalibration(BaseModel):
    """What fitting the threshold anew changes, or has changed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str | None
    """The bundle that was written. None: nothing was."""
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


@dataclass(frozen=True)
class RecalibrationPlan:
    """A threshold that was fitted anew and not yet written."""

    bundle: Bundle
    """The saved model as it was when the plan was made."""
    manifest: Manifest
    """The manifest to be."""
    calibration_scores: NDArray[np.float64]
    """The calibration scores to be (n,)."""
    warned: tuple[ResiduaWarning, ...]
    """What speaks against it, as `recalibrate` warns."""

    @property
    def warnings(self) -> list[str]:
        """What speaks against it, in words; empty: nothing."""
        return [str(warning) for warning in self.warned]

    @property
    def changes(self) -> Recalibration:
        """Limits and counts, before and after; of no path, since nothing is written."""
        return _outcome(self.bundle.manifest, self.manifest, self.calibration_scores)

    def warn(self, *, stacklevel: int = 1) -> None:
        """Give the warnings as such, as if the caller gave them."""
        for warning in self.warned:
            warnings.warn(warning, stacklevel=stacklevel + 1)

    def write(self, output: str | os.PathLike[str] | None = None) -> Recalibration:
        """Write the model as it was planned.

        Parameters
        ----------
        output : path-like or None, default=None
            The new bundle. None: it takes the place of the old one, at once and whole.

        Raises
        ------
        BundleAltered
            The saved model is no longer the one that the plan was made for.
        BundleError, OutputError
            It cannot be read any more, or the new one not be written.
        """
        now = open_bundle(self.bundle.location)
        if now != self.bundle:
            raise BundleAltered(
                f"{self.bundle.location} was replaced since this recalibration was planned; plan "
                f"it again"
            )
        final = _place(self.bundle.location, output)
        write_recalibrated(final, now, self.manifest, self.calibration_scores)
        return self.changes.model_copy(update={"path": str(final)})


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
    bundle : path-like or URL
        The saved model.
    normal : ImageSource, path-like, str, list or ndarray
        Trusted pictures, from where the pictures to be judged come. Unreadable ones are left out
        with a warning.
    threshold : str, ThresholdRule, LabelledRule or None, default=None
        The rule; "best_f1" and "youden" need ``anomalous``. None: the one that the fit was told.
    anomalous : as ``normal``, or None
        Labelled anomalies, for the rules that need them.
    output : path-like, URL or None, default=None
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
    rule = _rule(scorer.manifest, threshold, anomalous)
    final = _place(bundle, output)
    check_writable(final)
    plan = _plan(bundle, scorer, rule, normal, anomalous, None)
    plan.warn(stacklevel=2)
    return plan.write(final)


def plan_recalibration(
    bundle: str | os.PathLike[str],
    normal: Any,
    *,
    threshold: str | ThresholdRule | LabelledRule | None = None,
    anomalous: Any = None,
    threads: int | None = None,
    engine: str = AUTO,
    precision: Precision = "float32",
    called: str | None = None,
) -> RecalibrationPlan:
    """Fit threshold, calibration scores and scale of heat maps anew, and write nothing.

    It warns of nothing either: the plan holds what speaks against it.

    Parameters
    ----------
    bundle, normal, threshold, anomalous, threads
        As of `recalibrate`.
    engine, precision
        As for `residua.runtime.BundleScorer`: what computes the scores. Those that will be
        compared with the threshold should come from the same.
    called : str or None, default=None
        What the manifest is to call the new normal pictures. None: the path, or what they are.

    Raises
    ------
    BundleAltered
        The saved model is replaced meanwhile.
    ConfigurationError, TooFewImages, InputError, BundleError
        As for `recalibrate`.

    Examples
    --------
    >>> from residua.recalibration import plan_recalibration
    >>> plan = plan_recalibration("part.residua", "line-2/good/")  # doctest: +SKIP
    >>> plan.changes.threshold.upper, plan.warnings  # doctest: +SKIP
    >>> plan.write("line-2.residua")  # doctest: +SKIP
    """
    scorer = BundleScorer(bundle, threads=threads, engine=engine, precision=precision)
    rule = _rule(scorer.manifest, threshold, anomalous)
    return _plan(bundle, scorer, rule, normal, anomalous, called)


def _rule(
    manifest: Manifest, threshold: str | ThresholdRule | LabelledRule | None, anomalous: Any
) -> ThresholdRule | LabelledRule:
    rule = any_rule(manifest.settings.threshold if threshold is None else threshold)
    if isinstance(rule, LabelledRule) and anomalous is None:
        raise ConfigurationError(
            f"threshold rule '{rule}' needs labelled anomalies; give some with --anomalous FOLDER"
        )
    if isinstance(rule, ThresholdRule) and anomalous is not None:
        raise ConfigurationError(
            f"threshold rule '{rule}' sees no anomalies, so none can be given; leave them out, or "
            f"choose best_f1 or youden"
        )
    return rule


def _place(bundle: Location, output: Location | None) -> Location:
    local = as_local(bundle if output is None else output)
    if local is None:
        return bundle if output is None else output
    # A link to a bundle stays one.
    return Path(local).resolve() if output is None else Path(local)


def _plan(
    path: str | os.PathLike[str],
    scorer: BundleScorer,
    rule: ThresholdRule | LabelledRule,
    normal: Any,
    anomalous: Any,
    called: str | None,
) -> RecalibrationPlan:
    before = scorer.manifest
    found = _score(scorer, resolve_source(normal, prefer="train"))
    if found.fingerprint == before.data.fingerprint:
        raise InputError(
            f"{called or _named(normal)} holds the pictures that the network was fitted on, which "
            f"score lower than new ones do; give normal pictures that it has not seen"
        )
    skipped, n_anomalous = found.failed, None
    warned: list[ResiduaWarning] = []
    if isinstance(rule, LabelledRule):
        shown = _score(scorer, resolve_source(anomalous))
        skipped, n_anomalous = [*skipped, *shown.failed], shown.scores.size
        limits = rule.fit(found.scores, shown.scores)
    else:
        limits = rule.fit_quietly(found.scores)
        warned += _shortcomings(rule, found.scores)
    warned += _skipped(skipped)
    record = RecalibrationRecord(
        created=datetime.now(UTC),
        source=called or _named(normal),
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
    bundle = open_bundle(path)
    if bundle.manifest != before:
        raise BundleAltered(f"{path} was replaced while it was recalibrated; do it again")
    return RecalibrationPlan(bundle, after, found.scores, tuple(warned))


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


def _shortcomings(rule: ThresholdRule, scores: NDArray[np.float64]) -> list[ResiduaWarning]:
    flat, shortage = rule.flatness(scores), rule.shortage(scores.size)
    found: list[ResiduaWarning] = []
    if flat is not None:
        found.append(NoSpread(flat))
    if shortage is not None:
        found.append(TooFewForThreshold(f"{shortage}. Recalibrate on more pictures"))
    return found


def _skipped(failed: list[Verdict]) -> list[ResiduaWarning]:
    if not failed:
        return []
    causes = "; ".join(f"{verdict.id}: {verdict.error}" for verdict in failed[:3])
    more = f"; and {len(failed) - 3} more" if len(failed) > 3 else ""
    text = f"{len(failed)} unreadable pictures are left out. {causes}{more}"
    return [SkippedImages(text)]


def _outcome(before: Manifest, after: Manifest, scores: NDArray[np.float64]) -> Recalibration:
    record = after.recalibrated
    assert record is not None
    return Recalibration(
        path=None,
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
