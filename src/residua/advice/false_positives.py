"""Which normal classes cause most false positives."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from residua.advice.finding import Finding, Row
from residua.advice.intervals import LEVEL, Interval, rate_interval
from residua.advice.study import Study
from residua.advice.wording import counted, listed, percent, percent_span

CHECK = "false-positives"
_FEWEST = 3
_SHOWN = 12


def classes_behind_false_positives(study: Study) -> Finding:
    """Compare each normal class's share of the false positives with its share of the pictures.

    The intervals are exact and widened for the number of classes, so that no class is accused by
    chance.
    """
    title = "Which normal classes cause false positives is not known."
    if study.truth is None:
        return Finding.not_made(CHECK, title, "It is not known which pictures are normal.")
    false = study.flagged & ~study.truth
    n_false, n_normal = int(false.sum()), int((~study.truth).sum())
    if not n_normal:
        return Finding.not_made(CHECK, title, "There are no normal pictures.")
    numbers: dict[str, float] = {"false_positives": n_false, "normal": n_normal}
    rate = f"{n_false:,} of {counted(n_normal, 'normal picture')} are flagged"
    if n_false < _FEWEST:
        return Finding(
            check=CHECK,
            severity="fine",
            title="Hardly any normal picture is flagged.",
            evidence=f"{rate}.",
            action="",
            numbers=numbers,
        )
    if study.labels is None:
        return Finding.not_made(CHECK, title, f"{rate}, but the pictures have no classes.")
    names, of = np.unique(study.labels[~study.truth], return_inverse=True)
    if len(names) < 2:
        return Finding.not_made(CHECK, title, f"{rate}; all of them are of one class.")
    sizes = np.bincount(of)
    hits = np.bincount(of, weights=false[~study.truth]).astype(int)
    level = 1 - (1 - LEVEL) / len(names)
    classes = [
        _Class(
            name=str(names[k]),
            pictures=int(sizes[k]),
            false=int(hits[k]),
            of_pictures=float(sizes[k] / n_normal),
            of_false=rate_interval(int(hits[k]), n_false, level),
            flagged=rate_interval(int(hits[k]), int(sizes[k]), level),
        )
        for k in np.argsort(-hits, kind="stable").tolist()
    ]
    table = [found.row() for found in classes]
    accused = [found for found in classes if found.accused]
    if not accused:
        first = classes[0]
        return Finding(
            check=CHECK,
            severity="fine",
            title="No normal class causes more false positives than its size explains.",
            evidence=(
                f"{rate}. The most, {first.false:,}, are of {first.name!r}, which has "
                f"{percent(first.of_pictures)} of the pictures and "
                f"{percent(first.of_false.value)} of the false positives "
                f"({percent_span(first.of_false)})."
            ),
            action="",
            numbers=numbers,
            table=table,
        )
    culprits = [found.name for found in accused]
    together = sum(found.false for found in accused) / n_false
    pictures_too = sum(found.pictures for found in accused) / n_normal
    worst = accused[0]
    # The farthest beyond the limit first.
    order = np.argsort(study.scored.threshold.margin(study.scored.scores), kind="stable")
    labels = study.labels
    shown = [int(i) for i in order if false[i] and labels[i] in culprits][:_SHOWN]
    return Finding(
        check=CHECK,
        severity="warning" if any(found.flagged.low > 0.5 for found in accused) else "advice",
        title=(
            f"{_classes(culprits)} {percent(together)} of the false positives with "
            f"{percent(pictures_too)} of the normal pictures."
        ),
        evidence=(
            f"{rate}. {worst.name!r} alone has {percent(worst.of_false.value)} of them "
            f"({percent_span(worst.of_false)}, corrected for {len(names)} classes) with "
            f"{percent(worst.of_pictures)} of the pictures; {percent(worst.flagged.value)} of its "
            "own pictures are flagged."
        ),
        action=(
            f"Look at the pictures. If they are normal, give more of {listed(culprits)} to the "
            "fit, or fit a model for each alone; if they are not, correct their labels."
        ),
        numbers=numbers | {"accused_share_of_false_positives": together},
        table=table,
        pictures=study.pictures(shown, lambda i: f"{labels[i]}: flagged", heat_map=True),
    )


class _Class(NamedTuple):
    name: str
    pictures: int
    false: int
    of_pictures: float
    """Share of the normal pictures."""
    of_false: Interval
    """Share of the false positives."""
    flagged: Interval
    """Share of its own pictures that is flagged."""

    @property
    def accused(self) -> bool:
        return self.false >= _FEWEST and self.of_false.low > self.of_pictures

    def row(self) -> Row:
        return {
            "class": self.name,
            "pictures": self.pictures,
            "false_positives": self.false,
            "share_of_pictures": self.of_pictures,
            "share_of_false_positives": self.of_false.value,
            "share_low": self.of_false.low,
            "share_high": self.of_false.high,
            "flagged_share": self.flagged.value,
            "accused": self.accused,
        }


def _classes(names: list[str]) -> str:
    if len(names) == 1:
        return f"The class {names[0]!r} causes"
    return f"{len(names)} classes ({listed(names)}) cause"
