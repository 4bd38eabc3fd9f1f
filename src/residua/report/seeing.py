"""What the model sees in these pictures: what it rebuilds, what it does not, and where."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua.errors import ImageError
from residua.evaluation.scored import ScoredSet, Views, fit_mask, view
from residua.report.figures import (
    AnomalousSamplesDisplay,
    ClassOverviewDisplay,
    DifferencesDisplay,
    Display,
    HeatmapOverlayDisplay,
    ReconstructionsDisplay,
)
from residua.report.figures.inputs import spread
from residua.report.sections import Block, Section, TextBlock, figure_or_reason, legible
from residua.scoring.names import is_of_code

_SHOWN = 8
_SAMPLES = 24
_FEW_CLASSES = 10
_MOST_OVERVIEW = 102
_REBUILDS = "The model rebuilds each picture from its code; what it cannot rebuild is the error."
_REBUILDS_FEATURES = (
    "The model rebuilds the features that a pretrained network makes of a picture; what it cannot "
    "rebuild of them is the error."
)
_LOST = "What is lost here, the model cannot represent; a defect of that kind may go unseen."
_STANDS_FOR = (
    "No pixel is rebuilt: below each is the picture that its code stands for by a linear read-out, "
    "for the eye alone. No score depends on it."
)


def seeing_section(model: Any, scored: ScoredSet) -> Section:
    """Return the pictures themselves beside what the model makes of them."""
    order = np.argsort(scored.threshold.margin(scored.scores), kind="stable")
    worst = np.argsort(-scored.scores, kind="stable")[:_SHOWN]
    chosen = _of_each_kind(scored, order)
    usual = _usual(scored)
    pixels = scored.manifest.model.rebuilds_pixels
    blocks: list[Block] = [
        figure_or_reason(
            "heat-maps",
            "Where the error lies",
            _read_maps(scored),
            lambda: _maps(scored, chosen, view(model, scored.source, scored.index[chosen])),
        ),
        figure_or_reason(
            "reconstructions",
            "Ordinary pictures, rebuilt" if pixels else "What the codes stand for",
            f"{_usual_name(scored)} of middling score. {_LOST if pixels else _STANDS_FOR}",
            lambda: _rebuilt(scored, usual, view(model, scored.source, scored.index[usual])),
        ),
    ]
    if pixels:
        differences = figure_or_reason(
            "differences",
            "The greatest scores",
            _read_differences(scored),
            lambda: _differences(scored, worst, view(model, scored.source, scored.index[worst])),
        )
        blocks.insert(0, differences)
    blocks += _classes(scored)
    blocks += _anomalous(scored)
    return Section(
        "sees",
        "What it sees",
        _REBUILDS if pixels else _REBUILDS_FEATURES,
        blocks,
    )


def pictures_at(scored: ScoredSet, positions: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Return scored pictures (K, H, W, C) at the model's input size."""
    spec = scored.manifest.input
    parts = [batch.images for batch in scored.source.batches(spec, 64, scored.index[positions])]
    return np.concatenate(parts)


def _differences(scored: ScoredSet, worst: NDArray[np.int64], views: Views) -> Display:
    return DifferencesDisplay(
        views.images,
        views.x_hat,
        scored.scores[worst],
        worst,
        len(scored),
        scored.flagged[worst],
    )


def _maps(scored: ScoredSet, chosen: NDArray[np.int64], views: Views) -> Display:
    ceiling = scored.manifest.map_ceiling or float(views.error_maps.max()) or 1.0
    return HeatmapOverlayDisplay.from_predictions(
        views.images,
        views.error_maps,
        ceiling=ceiling,
        threshold_map=ceiling,
        masks=_masks(scored, chosen),
        titles=_titles(scored, chosen),
    )


def _masks(scored: ScoredSet, chosen: NDArray[np.int64]) -> NDArray[np.bool_] | None:
    if not scored.source.has_masks:
        return None
    spec = scored.manifest.input
    masks = np.zeros((len(chosen), spec.height, spec.width), np.bool_)
    for row, position in enumerate(scored.index[chosen].tolist()):
        try:
            mask = scored.source.mask(position)
        except ImageError:
            continue
        if mask is not None:
            masks[row] = fit_mask(mask, spec)
    return masks if masks.any() else None


def _rebuilt(scored: ScoredSet, usual: NDArray[np.int64], views: Views) -> Display:
    pixels = scored.manifest.model.rebuilds_pixels
    return ReconstructionsDisplay.from_predictions(
        views.images,
        views.x_hat,
        titles=_titles(scored, usual),
        below="rebuilt" if pixels else "view of code",
    )


def _classes(scored: ScoredSet) -> list[Block]:
    labels = scored.labels
    if labels is None:
        return [
            TextBlock(
                "The pictures have no classes; put each class into a sub-folder of its own to see "
                "them side by side.",
                "note",
                "No overview of classes",
            )
        ]
    texts = [legible(str(label)) for label in labels]
    names, of = np.unique(np.asarray(texts, dtype=str), return_inverse=True)
    sizes = np.bincount(of)
    shown = np.argsort(-sizes, kind="stable")[:_MOST_OVERVIEW]
    each = 3 if len(shown) <= _FEW_CLASSES else 1
    chosen = np.concatenate(
        [(members := np.flatnonzero(of == k))[spread(len(members), each)] for k in np.sort(shown)]
    )
    of_all = f"{len(names):,} class{'es' if len(names) > 1 else ''}"
    sizes_said = (
        f"with {sizes.min():,} to {sizes.max():,} pictures each" if len(names) > 1 else "only"
    )
    how = (
        f"{of_all} {sizes_said}, as the model gets them: "
        f"{scored.manifest.input.height} × {scored.manifest.input.width} pixels."
    )
    return [
        figure_or_reason(
            "classes-overview",
            "The classes",
            how,
            lambda: _overview(scored, texts, chosen, each),
        )
    ]


def _overview(scored: ScoredSet, texts: list[str], chosen: NDArray[np.int64], each: int) -> Display:
    drawn = ClassOverviewDisplay.from_predictions(
        pictures_at(scored, chosen), [texts[at] for at in chosen.tolist()], per_class=each
    )
    # Few pictures were read; the counts are those of all.
    sizes = Counter(texts)
    counts = {name: sizes[name] for name in drawn.counts}
    return ClassOverviewDisplay(drawn.images, drawn.names, counts, len(sizes))


def _anomalous(scored: ScoredSet) -> list[Block]:
    if scored.anomalous is None:
        return []
    positions = np.flatnonzero(scored.anomalous)
    if not len(positions):
        note = "None of these pictures is anomalous, so there is no sample of such to show."
        return [TextBlock(note, "note", "No anomalous pictures")]
    chosen = positions[spread(len(positions), _SAMPLES)]
    return [
        figure_or_reason(
            "anomalous-samples",
            "Anomalous pictures",
            f"{len(chosen):,} of {len(positions):,}, evenly spaced through the data. If you would "
            "call one of them normal, the labels are what to look at first.",
            lambda: AnomalousSamplesDisplay.from_predictions(
                pictures_at(scored, chosen), _titles(scored, chosen)
            ),
        )
    ]


def _of_each_kind(scored: ScoredSet, order: NDArray[np.int64]) -> NDArray[np.int64]:
    """Choose pictures far outside, a class at a time, so that one class does not fill the row."""
    if scored.labels is None:
        return order[:_SHOWN]
    turns: dict[str, int] = {}
    kind = np.ones(len(scored), bool) if scored.anomalous is None else scored.anomalous
    ranked = []
    for place, at in enumerate(order.tolist()):
        label = scored.labels[at]
        turn = turns.get(label, 0)
        turns[label] = turn + 1
        ranked.append((not kind[at], turn, place, at))
    return np.array([at for *_, at in sorted(ranked)[:_SHOWN]], dtype=np.int64)


def _usual(scored: ScoredSet) -> NDArray[np.int64]:
    """Choose normal pictures around the median score."""
    pool = np.arange(len(scored))
    if scored.anomalous is not None and not scored.anomalous.all():
        pool = np.flatnonzero(~scored.anomalous)
    ranked = pool[np.argsort(scored.scores[pool], kind="stable")]
    low, high = len(ranked) // 4, len(ranked) - len(ranked) // 4
    middle = ranked[low:high]
    return np.sort(middle[spread(len(middle), _SHOWN)])


def _usual_name(scored: ScoredSet) -> str:
    if scored.anomalous is None:
        return "Pictures"
    return "Anomalous pictures" if scored.anomalous.all() else "Normal pictures"


def _titles(scored: ScoredSet, positions: NDArray[np.int64]) -> list[str]:
    names = scored.ids if scored.labels is None else scored.labels
    return [legible(str(names[at])) for at in positions.tolist()]


def _read_differences(scored: ScoredSet) -> str:
    worst = float(scored.scores.max())
    flagged = int(scored.flagged.sum())
    said = (
        f"Original, reconstruction and their difference; the greatest score is {worst:.4g}, the "
        f"threshold {scored.threshold.upper:.4g}."
    )
    if not flagged:
        said += " None of them is flagged."
    if is_of_code(scored.manifest.settings.score):
        return f"{said} The score is of the code; the last row is what was not rebuilt."
    return f"{said} Bright places in the last row are what the model did not expect."


def _read_maps(scored: ScoredSet) -> str:
    said = (
        "Bright is error; the line surrounds pixels whose error is above that of 99.9 % of the "
        f"pixels of held-out normal pictures ({scored.manifest.map_ceiling:.3g})."
    )
    if not scored.flagged.any():
        said += " No picture is flagged; these have the highest scores."
    return said
