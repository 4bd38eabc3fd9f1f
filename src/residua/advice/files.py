"""Files that cannot be read, pictures of odd shape or size, and unusable masks."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np

from residua.advice.finding import Finding, Severity
from residua.advice.study import Study
from residua.advice.wording import counted, percent
from residua.errors import ImageError
from residua.images.source import Failure

FILES_CHECK = "files"
SHAPES_CHECK = "shapes"
_SAMPLED = 1_000
_MANY = 0.01
_ROWS = 50
_SHOWN = 8
# Factor between a picture's aspect ratio and the model's, and by which a picture is enlarged.
_ODD_ASPECT = 1.5
_ENLARGED = 2.0


def unreadable_files(study: Study) -> Finding:
    """Count the files that cannot be read and the masks that cannot be used, by cause."""
    failures, masks = study.scored.failures, study.scored.unusable_masks
    total = len(study.scored) + len(failures)
    numbers: dict[str, float] = {
        "pictures": total,
        "unreadable": len(failures),
        "unusable_masks": len(masks),
    }
    if not failures and not masks:
        return Finding(
            check=FILES_CHECK,
            severity="fine",
            title="Every picture can be read.",
            evidence=f"{counted(total)}, none unreadable; no mask is unusable.",
            action="",
            numbers=numbers,
        )
    parts = []
    if failures:
        share = percent(len(failures) / total)
        parts.append(f"{len(failures):,} of {counted(total)} ({share}) cannot be read")
    if masks:
        parts.append(f"{counted(len(masks), 'mask')} cannot be used")
    severity: Severity = "warning" if len(failures) / total >= _MANY else "advice"
    return Finding(
        check=FILES_CHECK,
        severity=severity,
        title=f"{' and '.join(parts)}.",
        evidence=(
            f"By cause: {_causes((*failures, *masks))}. The first: {_first(failures or masks)}"
        ),
        action=(
            "Restore the files from their source or delete them: no verdict is given on what "
            "cannot be read, and pixel figures leave out what has no usable mask."
        ),
        numbers=numbers,
        table=[
            {"id": failure.id, "cause": type(failure.error).__name__, "error": str(failure.error)}
            for failure in (*failures, *masks)[:_ROWS]
        ],
    )


def odd_shapes(study: Study) -> Finding:
    """Find pictures of another aspect ratio than the model's, and ones far smaller than its input.

    At most 1,000 are looked at, drawn at random; only their headers are read.
    """
    scored, spec = study.scored, study.scored.manifest.input
    aspects, enlargements, positions = [], [], []
    for position in study.sample(len(scored), _SAMPLED).tolist():
        try:
            look = scored.source.sample(int(scored.index[position]), values=False)
        except ImageError:
            continue
        positions.append(position)
        aspects.append(math.log(look.width * spec.height / (look.height * spec.width)))
        enlargements.append(min(spec.height / look.height, spec.width / look.width))
    if not positions:
        return Finding.not_made(
            SHAPES_CHECK, "Shapes were not looked at.", "No header is readable."
        )
    odd = np.abs(aspects) > math.log(_ODD_ASPECT)
    small = np.array(enlargements) > _ENLARGED
    n = len(positions)
    numbers: dict[str, float] = {
        "looked_at": n,
        "odd_aspect": int(odd.sum()),
        "too_small": int(small.sum()),
    }
    what = (
        f"Of {counted(n)} looked at, {int(odd.sum()):,} have an aspect ratio that is off by more "
        f"than {_ODD_ASPECT:g} from the model's {spec.width} × {spec.height}, and "
        f"{int(small.sum()):,} must be enlarged more than {_ENLARGED:g} times."
    )
    if max(odd.mean(), small.mean()) < _MANY:
        return Finding(
            check=SHAPES_CHECK,
            severity="fine",
            title="The pictures have the shape and the size that the model takes.",
            evidence=what,
            action="",
            numbers=numbers,
        )
    actions = []
    if odd.mean() >= _MANY:
        hit = study.flagged[np.array(positions)]
        if odd.any() and (~odd).any():
            what += (
                f" Flagged are {percent(float(hit[odd].mean()))} of those of odd aspect ratio "
                f"and {percent(float(hit[~odd].mean()))} of the others."
            )
        actions.append(
            "fit with --resize crop or --resize pad, since stretching deforms what is seen"
            if spec.resize == "stretch"
            else "see whether what matters survives --resize " + spec.resize
        )
    if small.mean() >= _MANY:
        actions.append(
            "leave out pictures so small, or fit with a smaller --size: enlarged ones are "
            "smooth and thus easy to rebuild"
        )
    text = "; ".join(actions)
    chosen = [positions[i] for i in np.flatnonzero(odd | small)]
    return Finding(
        check=SHAPES_CHECK,
        severity="advice",
        title=f"{percent(float((odd | small).mean()))} of the pictures have an odd shape or size.",
        evidence=what,
        action=f"{text[0].upper()}{text[1:]}.",
        numbers=numbers,
        pictures=study.pictures(chosen[:_SHOWN], "odd shape or size"),
    )


def _causes(failures: tuple[Failure, ...]) -> str:
    causes = Counter(type(failure.error).__name__ for failure in failures)
    return ", ".join(f"{name} ({count:,})" for name, count in causes.most_common())


def _first(failures: tuple[Failure, ...]) -> str:
    text = f"{failures[0].id}: {' '.join(str(failures[0].error).split())}"
    return text if text.endswith(".") else f"{text}."
