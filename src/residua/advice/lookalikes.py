"""Anomalous pictures that look like normal ones to the model."""

from __future__ import annotations

from collections import Counter

import numpy as np

from residua.advice.finding import Finding, Picture
from residua.advice.intervals import rate_interval
from residua.advice.neighbours import comparable, nearest
from residua.advice.study import Study
from residua.advice.wording import counted, percent, percent_span

CHECK = "lookalikes"
_MOST_NORMAL = 8_000
_MOST_ANOMALOUS = 2_000
_QUERIES = 1_000
_SHARE = 0.05
_PAIRS_SHOWN = 6
_ROWS = 50


def anomalous_lookalikes(study: Study) -> Finding:
    """Find the anomalous pictures whose code lies as near to a normal one as normal ones do.

    At most 2,000 anomalous and 8,000 normal pictures are compared, drawn at random.
    """
    title = "Which anomalous pictures look normal is not known."
    if study.truth is None:
        return Finding.not_made(CHECK, title, "It is not known which pictures are anomalous.")
    anomalous, normal = np.flatnonzero(study.truth), np.flatnonzero(~study.truth)
    if len(anomalous) == 0 or len(normal) < 10:
        return Finding.not_made(
            CHECK,
            title,
            f"There are {counted(len(anomalous), 'anomalous picture')} and "
            f"{counted(len(normal), 'normal one')}; at least 1 and 10 are wanted.",
        )
    anomalous = anomalous[study.sample(len(anomalous), _MOST_ANOMALOUS)]
    normal = normal[study.sample(len(normal), _MOST_NORMAL)]
    chosen = np.concatenate([normal, anomalous])
    codes = comparable(study.scored.latent[chosen], study.seed)
    among, queries = codes[: len(normal)], codes[len(normal) :]
    own = study.sample(len(normal), _QUERIES)
    _, typical = nearest(among[own], among, same=own)
    rows, distances = nearest(queries, among)
    limit = float(np.median(typical))
    near = distances <= limit
    missed = ~study.flagged[anomalous]
    share = rate_interval(int(near.sum()), len(near))
    numbers: dict[str, float] = {
        "typical_distance": limit,
        "anomalous_distance": float(np.median(distances)),
        "lookalikes": int(near.sum()),
        "compared": len(anomalous),
        "lookalikes_missed": int((near & missed).sum()),
    }
    evidence = (
        f"Half of the normal pictures have another normal one within {limit:.3g} of them in the "
        f"code; {int(near.sum()):,} of {counted(len(anomalous), 'anomalous picture')} "
        f"({percent_span(share)}) lie as near to a normal one. The median anomalous picture lies "
        f"{_ratio(numbers['anomalous_distance'], limit)}."
    )
    order = np.argsort(distances, kind="stable")
    found = [int(i) for i in order if near[i]]
    if share.value < _SHARE or len(found) < 2:
        return Finding(
            check=CHECK,
            severity="fine",
            title="Few anomalous pictures look like a normal one to the model.",
            evidence=evidence,
            action="",
            numbers=numbers,
        )
    labels = study.labels
    evidence += f" {int((near & missed).sum()):,} of the {len(found):,} are missed."
    if labels is not None:
        classes = Counter(str(labels[normal[rows[i]]]) for i in found)
        text = ", ".join(f"{name!r} ({count})" for name, count in classes.most_common(4))
        evidence += f" Their nearest normal pictures are of {text}" + (
            f" and {len(classes) - 4} more classes." if len(classes) > 4 else "."
        )
    pictures: list[Picture] = []
    for i in found[:_PAIRS_SHOWN]:
        twin = normal[rows[i]]
        of = "" if labels is None else f" of {str(labels[twin])!r}"
        pictures += study.pictures([int(anomalous[i])], f"anomalous, {distances[i]:.3g} away")
        pictures += study.pictures([int(twin)], f"nearest normal one{of}")
    return Finding(
        check=CHECK,
        severity="advice",
        title=(
            f"{percent(share.value)} of the anomalous pictures look like a normal one to the model."
        ),
        evidence=evidence,
        action=(
            "Look at the pairs below: where the picture is in truth of that class, take it out of "
            "the anomalous ones. Where it is not, the code does not tell the two apart: a larger "
            "code, larger pictures or colour may."
        ),
        numbers=numbers,
        table=[
            {
                "anomalous": study.scored.ids[anomalous[i]],
                "nearest": study.scored.ids[normal[rows[i]]],
                "class": None if labels is None else str(labels[normal[rows[i]]]),
                "distance": float(distances[i]),
                "flagged": bool(~missed[i]),
            }
            for i in found[:_ROWS]
        ],
        pictures=pictures,
    )


def _ratio(distance: float, limit: float) -> str:
    return f"{distance / limit:.1f} times as far" if limit > 0 else f"{distance:.3g} away"
