"""Near-duplicates among the scored pictures, among the training pictures, and between the two."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from residua.advice.finding import Finding, Picture, Row, Severity
from residua.advice.prints import MOST_PRINTED, Prints, groups, joined, near_duplicates
from residua.advice.study import Study
from residua.advice.wording import are, counted, percent

CHECK = "duplicates"
_GROUPS_SHOWN = 4
_SHOWN_OF_GROUP = 4
_ROWS = 50
# Share of pictures with a twin below which it does not matter.
_NEGLIGIBLE = 0.005
_LEAK = 0.01

Origin = Literal["scored", "training"]


def duplicates(study: Study) -> list[Finding]:
    """Find groups of nearly equal pictures; at most 20,000 of each source are compared."""
    findings = [_within(study, "scored", study.prints)]
    training = study.training_prints
    if training is None:
        return [
            *findings,
            Finding.not_made(
                f"{CHECK}-training",
                "Whether training and scored pictures overlap is not known.",
                "The training pictures are not at hand; give them with --train.",
            ),
        ]
    return [*findings, _within(study, "training", training), _between(study, training)]


def _within(study: Study, origin: Origin, prints: Prints) -> Finding:
    check = CHECK if origin == "scored" else f"{CHECK}-training"
    pairs = near_duplicates(prints, study.seed)
    found = groups(len(prints), pairs)
    twins = sum(len(rows) for rows in found)
    spare = twins - len(found)
    exact = len(np.unique(np.concatenate([pairs.first[pairs.exact], pairs.second[pairs.exact]])))
    share = twins / max(len(prints), 1)
    mixed = [rows for rows in found if len(_classes(study, origin, prints.positions[rows])) > 1]
    numbers: dict[str, float] = {
        "compared": len(prints),
        "with_twin": twins,
        "groups": len(found),
        "exact": exact,
    }
    numbers["groups_of_several_classes"] = len(mixed)
    what = f"{counted(len(prints), f'{origin} picture')}{_sampled(prints)} were compared"
    if not found:
        return Finding(
            check=check,
            severity="fine",
            title=f"No two {origin} pictures are nearly equal.",
            evidence=f"{what}.",
            action="",
            numbers=numbers,
        )
    evidence = (
        f"{what}: {counted(twins)} ({percent(share)}) have a near-duplicate, in "
        f"{counted(len(found), 'group')}, the largest of {len(found[0])}; {exact:,} are equal in "
        f"every pixel."
    )
    if mixed:
        evidence += f" {counted(len(mixed), 'group')} hold pictures of different classes."
    matters = share >= _NEGLIGIBLE or bool(mixed)
    first = [*mixed, *(rows for rows in found if not any(rows is other for other in mixed))]
    return Finding(
        check=check,
        severity="advice" if matters else "fine",
        title=(
            f"{counted(twins, f'{origin} picture')} have near-duplicates among themselves"
            + ("." if matters else ": too few to matter.")
        ),
        evidence=evidence,
        action=_action(origin, spare, mixed=bool(mixed)) if matters else "",
        numbers=numbers,
        table=_rows(study, origin, prints, first),
        pictures=_shown(study, origin, prints, first),
    )


def _action(origin: Origin, spare: int, *, mixed: bool) -> str:
    relabel = (
        " Correct the classes of the groups shown first: twins have one class." if mixed else ""
    )
    if origin == "scored":
        return (
            f"Leave {counted(spare)} out before you evaluate: twins count twice and make the "
            f"intervals too narrow.{relabel}"
        )
    return (
        f"Leave {counted(spare)} out before the fit: a twin of a training picture among the "
        f"calibration pictures scores too low and pulls the threshold down.{relabel}"
    )


def _between(study: Study, training: Prints) -> Finding:
    check = f"{CHECK}-between"
    n = len(training)
    scored = study.prints
    pairs = near_duplicates(joined(training, scored), study.seed)
    # A chain of equal pictures may cross the two sources anywhere, so groups are asked.
    crossing = [
        rows for rows in groups(n + len(scored), pairs) if (rows < n).any() & (rows >= n).any()
    ]
    leaked = (
        np.concatenate([rows[rows >= n] for rows in crossing]) if crossing else np.empty(0, int)
    )
    share = len(leaked) / max(len(scored), 1)
    numbers: dict[str, float] = {
        "compared": len(scored),
        "training": n,
        "also_in_training": len(leaked),
    }
    what = (
        f"{counted(len(scored), 'scored picture')}{_sampled(scored)} were compared with "
        f"{n:,} training pictures{_sampled(training)}"
    )
    if not len(leaked):
        return Finding(
            check=check,
            severity="fine",
            title="No scored picture is nearly equal to a training picture.",
            evidence=f"{what}.",
            action="",
            numbers=numbers,
        )
    severity: Severity = "fine" if len(leaked) == 1 else "advice"
    if study.truth is not None and share >= _LEAK:
        severity = "warning"
    truth = study.truth
    kinds = ""
    if truth is not None:
        by_position = dict(zip(study.scored.index.tolist(), truth.tolist(), strict=True))
        bad = sum(by_position[int(scored.positions[row - n])] for row in leaked)
        numbers["anomalous_in_training"] = bad
        if bad:
            kinds = f" Of them {bad:,} {are(bad)} anomalous: the model was taught them as normal."
            severity = "warning"
    pictures: list[Picture] = []
    for rows in crossing[:_GROUPS_SHOWN]:
        old, new = rows[rows < n], rows[rows >= n]
        pictures.append(study.picture("training", int(training.positions[old[0]]), "in training"))
        twin = int(scored.positions[new[0] - n])
        pictures.append(study.picture("scored", twin, "its twin among the scored"))
    return Finding(
        check=check,
        severity=severity,
        title=(
            f"{counted(len(leaked), 'scored picture')} ({percent(share)}) {are(len(leaked))} "
            "nearly equal to "
            "training pictures."
        ),
        evidence=f"{what}.{kinds}",
        action=(
            "Leave them out of the evaluation: the model has seen them, so the figures measured "
            "on them are too good."
            + (" Take the anomalous ones out of training and fit again." if kinds else "")
        ),
        numbers=numbers,
        table=[
            {
                "scored": study.scored.source.ids[int(scored.positions[rows[rows >= n][0] - n])],
                "training": _id(study, "training", int(training.positions[rows[rows < n][0]])),
            }
            for rows in crossing[:_ROWS]
        ],
        pictures=pictures,
    )


def _rows(
    study: Study, origin: Origin, prints: Prints, found: list[NDArray[np.int64]]
) -> list[Row]:
    rows: list[Row] = []
    for members in found[:_ROWS]:
        positions = prints.positions[members]
        rows.append(
            {
                "pictures": len(members),
                "classes": ", ".join(sorted(_classes(study, origin, positions))) or None,
                "first": _id(study, origin, int(positions[0])),
                "second": _id(study, origin, int(positions[1])),
            }
        )
    return rows


def _shown(
    study: Study, origin: Origin, prints: Prints, found: list[NDArray[np.int64]]
) -> list[Picture]:
    return [
        study.picture(origin, int(prints.positions[row]), f"group {number}")
        for number, members in enumerate(found[:_GROUPS_SHOWN], start=1)
        for row in members[:_SHOWN_OF_GROUP]
    ]


def _classes(study: Study, origin: Origin, positions: NDArray[np.int64]) -> set[str]:
    source = study.scored.source if origin == "scored" else study.training
    labels = None if source is None else source.labels
    return set() if labels is None else {labels[position] for position in positions.tolist()}


def _id(study: Study, origin: Origin, position: int) -> str:
    source = study.scored.source if origin == "scored" else study.training
    assert source is not None
    return source.ids[position]


def _sampled(prints: Prints) -> str:
    return " (a random sample)" if len(prints) == MOST_PRINTED else ""
