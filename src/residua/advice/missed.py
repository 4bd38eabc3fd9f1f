"""Anomalous pictures that are missed: of which classes, and in which clusters of the code."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from residua.advice.finding import Finding, Picture, Row, Severity
from residua.advice.intervals import rate_interval
from residua.advice.neighbours import comparable
from residua.advice.study import Study
from residua.advice.wording import counted, percent, percent_span

CHECK = "missed"
_MOST = 2_000
_MOST_CLUSTERS = 6
_FEWEST_CLUSTERED = 12
_WORTH_SPLITTING = 0.15
_SHOWN_OF_CLUSTER = 4
_SHARE = 0.05


def missed_anomalies(study: Study) -> Finding:
    """Group the missed anomalous pictures by class and by k-means in the code.

    The number of clusters, 2 to 6, is the one of best silhouette; at most 2,000 pictures are
    clustered.
    """
    title = "Which anomalous pictures are missed is not known."
    if study.truth is None:
        return Finding.not_made(CHECK, title, "It is not known which pictures are anomalous.")
    n = int(study.truth.sum())
    if not n:
        return Finding.not_made(CHECK, title, "There are no anomalous pictures.")
    missed = np.flatnonzero(study.truth & ~study.flagged)
    share = rate_interval(len(missed), n)
    numbers: dict[str, float] = {"anomalous": n, "missed": len(missed), "missed_share": share.value}
    rate = f"{len(missed):,} of {counted(n, 'anomalous picture')} are missed"
    spans = f"{percent(share.value)}, {percent_span(share)}"
    if share.value < _SHARE or len(missed) < 3:
        return Finding(
            check=CHECK,
            severity="fine",
            title="Few anomalous pictures are missed.",
            evidence=f"{rate} ({spans}).",
            action="",
            numbers=numbers,
            pictures=study.pictures(missed[:_SHOWN_OF_CLUSTER], _score_note(study)),
        )
    classes = _by_class(study)
    clusters = _clustered(study, missed)
    evidence = f"{rate} ({spans})."
    worst = [row for row in classes if row["missed"]]
    if len(classes) > 1 and worst:
        text = ", ".join(
            f"{row['class']!r} {row['missed']} of {row['pictures']}" for row in worst[:4]
        )
        evidence += f" By class: {text}" + (
            f", and {len(worst) - 4} more classes." if len(worst) > 4 else "."
        )
    upper = study.scored.threshold.upper
    table = list(classes)
    pictures: list[Picture] = []
    if len(clusters) > 1:
        evidence += f" In the code they form {len(clusters)} clusters:"
    for number, members in enumerate(clusters, start=1):
        mean = float(study.scored.scores[members].mean())
        row: Row = {
            "cluster": number,
            "pictures": len(members),
            "mean_score": mean,
            "threshold": upper,
        }
        if study.labels is not None:
            names, counts = np.unique(study.labels[members], return_counts=True)
            row["commonest_class"] = str(names[counts.argmax()])
        table.append(row)
        if len(clusters) > 1:
            evidence += (
                f" {number}: {counted(len(members))}, mean score {mean:.3g} where the threshold is "
                f"{upper:.3g};"
            )
        note = f"cluster {number}: missed" if len(clusters) > 1 else "missed"
        pictures += study.pictures(members[_evenly(len(members))], note)
    severity: Severity = "warning" if share.low > 0.5 else "advice"
    return Finding(
        check=CHECK,
        severity=severity,
        title=(
            f"{percent(share.value)} of the anomalous pictures are missed"
            + (f", in {len(clusters)} clusters." if len(clusters) > 1 else ".")
        ),
        evidence=evidence.rstrip(";").rstrip(".") + ".",
        action=(
            "Look at the pictures of each group and ask what would tell them from normal ones: "
            "a small defect asks for --reduction 'topk(0.02)' or larger pictures, a colour for "
            "--channels 3, a well-rebuilt foreign picture for a smaller --latent-dim. A lower "
            "threshold trades false positives for them: see the sweep of residua evaluate."
        ),
        numbers=numbers,
        table=table,
        pictures=pictures,
    )


def _evenly(n: int) -> NDArray[np.int64]:
    """Return a few of n, spread over all of them."""
    return np.unique(np.linspace(0, n - 1, min(n, _SHOWN_OF_CLUSTER)).astype(np.int64))


def _by_class(study: Study) -> list[Row]:
    if study.labels is None or study.truth is None:
        return []
    names, of = np.unique(study.labels[study.truth], return_inverse=True)
    sizes = np.bincount(of)
    missed = np.bincount(of, weights=~study.flagged[study.truth]).astype(int)
    sums = np.bincount(of, weights=study.scored.scores[study.truth])
    return [
        {
            "class": str(names[k]),
            "pictures": int(sizes[k]),
            "missed": int(missed[k]),
            "missed_share": float(missed[k] / sizes[k]),
            "mean_score": float(sums[k] / sizes[k]),
        }
        for k in np.argsort(-missed, kind="stable").tolist()
    ]


def _clustered(study: Study, missed: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Return the missed pictures in clusters, the largest first; one where none stand apart."""
    chosen = missed[study.sample(len(missed), _MOST)]
    if len(chosen) < _FEWEST_CLUSTERED:
        return [chosen]
    from sklearn.cluster import KMeans
    from sklearn.metrics import silhouette_score

    codes = comparable(study.scored.latent[chosen], study.seed)
    best, of = _WORTH_SPLITTING, np.zeros(len(chosen), np.int64)
    distinct = len(np.unique(codes, axis=0))
    for k in range(2, min(_MOST_CLUSTERS, len(chosen) // 4, distinct - 1) + 1):
        found = KMeans(k, n_init=2, random_state=study.seed).fit_predict(codes)
        quality = float(silhouette_score(codes, found))
        if quality > best and np.bincount(found).min() > 1:
            best, of = quality, found
    clusters = [chosen[of == k] for k in np.unique(of)]
    return sorted(clusters, key=len, reverse=True)


def _score_note(study: Study) -> str:
    return f"missed; threshold {study.scored.threshold.upper:.3g}"
