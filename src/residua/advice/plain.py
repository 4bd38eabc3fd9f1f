"""Pictures without content or without colour, and models blind to the colour there is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from residua.advice.finding import Finding
from residua.advice.study import Study
from residua.advice.wording import are, counted, percent
from residua.errors import ImageError
from residua.evaluation.content import Content
from residua.images.preprocess import InputSpec

CONSTANT_CHECK = "constant-pictures"
COLOUR_CHECK = "colour"
# Standard deviation of the grey levels, and mean distance from grey, of a picture without any.
_FLAT = 4 / 255
_GREY = 1.5 / 255
_SAMPLED = 256
_SIDE = 64
_SHOWN = 8


def constant_pictures(study: Study) -> Finding:
    """Find pictures that are nearly constant."""
    contrast = study.scored.content.contrast
    flat = np.flatnonzero(contrast < _FLAT)
    n = len(contrast)
    passed = int((~study.flagged[flat]).sum())
    numbers: dict[str, float] = {"constant": len(flat), "pictures": n, "constant_unflagged": passed}
    if not len(flat):
        return Finding(
            check=CONSTANT_CHECK,
            severity="fine",
            title="No picture is nearly constant.",
            evidence=(
                f"The least standard deviation of the grey levels is "
                f"{255 * contrast.min():.1f} of 255."
            ),
            action="",
            numbers=numbers | {"least_contrast": float(contrast.min())},
        )
    return Finding(
        check=CONSTANT_CHECK,
        severity="advice",
        title=f"{len(flat):,} of {counted(n)} {are(len(flat))} nearly constant.",
        evidence=(
            f"Their grey levels have a standard deviation below {255 * _FLAT:.0f} of 255. "
            f"Unflagged are {passed:,} of them, flagged {len(flat) - passed:,}."
        ),
        action=(
            "Look for a covered lens, a failed exposure or an empty export; leave such pictures "
            "out of the fit"
            + (
                ", and refuse them before scoring: this model lets them pass."
                if passed
                else ". Scoring them is safe: they are flagged."
            )
        ),
        numbers=numbers,
        pictures=study.pictures(
            flat[:_SHOWN],
            lambda i: f"nearly constant, {'flagged' if study.flagged[i] else 'unflagged'}",
        ),
    )


def colour_against_grey(study: Study) -> Finding:
    """Find grey pictures in a colour set, and colour pictures scored by a grey model."""
    channels = study.scored.manifest.input.channels
    if channels == 3:
        return _grey_in_colour(study)
    if channels == 1:
        return _colour_for_grey_model(study)
    return Finding.not_made(
        COLOUR_CHECK,
        "Colour was not looked at.",
        f"The model takes {channels} channels, which are no colours.",
    )


def _grey_in_colour(study: Study) -> Finding:
    grey = study.scored.content.colourfulness < _GREY
    share = float(grey.mean())
    count = int(grey.sum())
    numbers: dict[str, float] = {"grey": count, "grey_share": share}
    if count == 0:
        return Finding(
            check=COLOUR_CHECK,
            severity="fine",
            title="No picture is grey in a model for colour.",
            evidence=f"All {counted(len(grey))} have colour.",
            action="",
            numbers=numbers,
        )
    if count == len(grey):
        return Finding(
            check=COLOUR_CHECK,
            severity="advice",
            title="All pictures are grey, and the model is for colour.",
            evidence=f"The channels of all {counted(len(grey))} agree.",
            action="Fit with --channels 1: the same result in less time, with fewer numbers.",
            numbers=numbers,
        )
    hit, other = float(study.flagged[grey].mean()), float(study.flagged[~grey].mean())
    numbers |= {"grey_flagged_share": hit, "colour_flagged_share": other}
    return Finding(
        check=COLOUR_CHECK,
        severity="advice" if share >= 0.01 else "fine",
        title=f"{counted(count)} ({percent(share)}) {are(count)} grey among colour pictures.",
        evidence=(f"Of the grey ones {percent(hit)} are flagged, of the others {percent(other)}."),
        action=(
            "If colour says nothing about what you look for, fit with --channels 1; if it does, "
            "see that training holds as many grey pictures."
            if share >= 0.01
            else ""
        ),
        numbers=numbers,
        pictures=study.pictures(np.flatnonzero(grey)[:_SHOWN], "grey"),
    )


def _colour_for_grey_model(study: Study) -> Finding:
    looked = _coloured(study)
    if looked is None:
        return Finding.not_made(
            COLOUR_CHECK, "Colour was not looked at.", "The pictures have no colours to convert."
        )
    share = float(looked.colourful.mean())
    numbers: dict[str, float] = {"sampled": len(looked.colourful), "colour_share": share}
    if share < 0.01:
        return Finding(
            check=COLOUR_CHECK,
            severity="fine",
            title="The model is for grey pictures, and the pictures are grey.",
            evidence=f"{percent(share)} of {counted(len(looked.colourful))} looked at have colour.",
            action="",
            numbers=numbers,
        )
    return Finding(
        check=COLOUR_CHECK,
        severity="advice",
        title=f"{percent(share)} of the pictures have colour, which the model does not see.",
        evidence=f"{counted(len(looked.colourful))} were looked at, at random.",
        action=(
            "If an anomaly may differ in colour alone, fit with --channels 3; else nothing is lost."
        ),
        numbers=numbers,
        pictures=study.pictures(looked.positions[looked.colourful][:_SHOWN], "has colour"),
    )


@dataclass(frozen=True)
class _Looked:
    positions: NDArray[np.int64]
    colourful: NDArray[np.bool_]


def _coloured(study: Study) -> _Looked | None:
    """Look at a sample in colour; None where the source has neither grey nor RGB pictures."""
    scored = study.scored
    chosen = study.sample(len(scored), _SAMPLED)
    given = scored.manifest.input
    try:
        first = scored.source.sample(int(scored.index[0]), values=False)
    except ImageError:
        return None
    if first.channels not in (1, 3):
        return None
    spec = InputSpec(
        height=min(given.height, _SIDE),
        width=min(given.width, _SIDE),
        channels=3,
        resize=given.resize,
        value_range=given.value_range,
        background=given.background,
    )
    at = {int(scored.index[position]): int(position) for position in chosen}
    positions: list[int] = []
    parts = []
    for batch in scored.source.batches(spec, 64, scored.index[chosen]):
        positions += [at[int(index)] for index in batch.indices]
        parts.append(Content.of(batch.images).colourfulness)
    return _Looked(np.array(positions, np.int64), np.concatenate(parts) >= _GREY)
