"""All checks on one set of scored pictures, the gravest finding first."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from residua.advice.backbone import pretrained_backbone
from residua.advice.border import error_at_border
from residua.advice.calibration import drift, enough_for_threshold
from residua.advice.content import score_against_content
from residua.advice.duplicates import duplicates
from residua.advice.false_positives import classes_behind_false_positives
from residua.advice.files import odd_shapes, unreadable_files
from residua.advice.finding import GRAVEST_FIRST, Finding
from residua.advice.fit import record_of_fit
from residua.advice.lookalikes import anomalous_lookalikes
from residua.advice.missed import missed_anomalies
from residua.advice.plain import colour_against_grey, constant_pictures
from residua.advice.simple_pictures import simple_pictures
from residua.advice.study import Check, Study
from residua.errors import MissingExtra
from residua.evaluation.scored import ScoredSet, scorer_of
from residua.images.source import ImageSource

if TYPE_CHECKING:
    from rich.console import Console

CHECKS: Mapping[str, Check] = MappingProxyType(
    {
        "content": score_against_content,
        "simple-pictures": simple_pictures,
        "fit": record_of_fit,
        "backbone": pretrained_backbone,
        "threshold": enough_for_threshold,
        "drift": drift,
        "false-positives": classes_behind_false_positives,
        "missed": missed_anomalies,
        "lookalikes": anomalous_lookalikes,
        "border": error_at_border,
        "duplicates": duplicates,
        "constant-pictures": constant_pictures,
        "colour": colour_against_grey,
        "shapes": odd_shapes,
        "files": unreadable_files,
    }
)
"""Every check by name, in the order in which findings of one severity are given."""


def advise(
    model: Any,
    scored: ScoredSet,
    *,
    training: ImageSource | None = None,
    seed: int = 0,
    console: Console | None = None,
) -> list[Finding]:
    """Say what the scores of a set of pictures tell about the data and the model.

    Each check is made by itself: one that fails becomes a finding that says so. What grows faster
    than the number of pictures is done on a sample, whose size the finding names.

    Parameters
    ----------
    model : path-like, BundleScorer or AutoencoderDetector
        The model that scored them.
    scored : ScoredSet
        What it says of the pictures; with the truth, where that is known. Labels set no limit:
        they say which pictures a finding is about.
    training : ImageSource, optional
        The pictures that the model was fitted on.
    seed : int, default=0
        Seed of every sample.
    console : rich Console, optional
        Where to show which check is being made.

    Returns
    -------
    list of Finding
        Warnings first, then advice, then what is fine, then the checks that could not be made.
    """
    study = Study(scorer_of(model), scored, training, seed)
    findings: list[Finding] = []
    if console is None:
        for name, check in CHECKS.items():
            findings += _made(name, check, study)
    else:
        with console.status("advice") as status:
            for name, check in CHECKS.items():
                status.update(f"advice: {name}")
                findings += _made(name, check, study)
    return sorted(findings, key=lambda found: (GRAVEST_FIRST.index(found.severity), not found.made))


def _made(name: str, check: Check, study: Study) -> list[Finding]:
    title = f"The check of {name} could not be made."
    try:
        found = check(study)
    except ModuleNotFoundError as error:
        missing = MissingExtra.behind(error)
        if missing is None:
            raise
        return [Finding.not_made(name, title, f"{missing}.")]
    except Exception as error:
        # One check that fails must not take the others with it.
        return [Finding.not_made(name, title, f"It failed: {type(error).__name__}: {error}")]
    return found if isinstance(found, list) else [found]
