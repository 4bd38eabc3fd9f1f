"""The gallery: which pictures it holds, and their small versions, within a budget of bytes."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from residua.evaluation.scored import ScoredSet, view
from residua.heatmaps import overlay
from residua.report.sections import legible
from residua.scoring.calibration import p_values

SIDES = (192, 160, 128, 96, 72, 56)
_PROBED = 16
_QUALITY = 82


@dataclass(frozen=True)
class Card:
    """A picture of the gallery."""

    id: str
    label: str
    """Empty: it has no class."""
    truth: bool | None
    score: float
    flagged: bool
    """At the fitted threshold."""
    p: float
    """Share of held-out normal scores at least as high, the picture itself counted in."""
    picture: str
    """A data URI, as the two others."""
    rebuilt: str
    heat: str


@dataclass(frozen=True)
class Gallery:
    """The cards, from the farthest outside the limits inwards."""

    cards: list[Card]
    side: int
    """Longest side of the small pictures, at most."""
    width: int
    """Of each small picture, in pixels."""
    height: int
    note: str
    """What was chosen, in words."""
    rebuilt: str = "reconstruction"
    """What stands beside each picture."""


def gallery_of(model: Any, scored: ScoredSet, *, most: int, budget: int) -> Gallery:
    """Choose pictures and bring them to a size at which all of them fit into ``budget`` bytes."""
    chosen = chosen_for(scored, most)
    probe = chosen[:: max(1, len(chosen) // _PROBED)]
    natural = max(scored.manifest.input.height, scored.manifest.input.width)
    sides = [side for side in SIDES if side < natural] if natural > SIDES[-1] else []
    sides = [min(natural, SIDES[0]), *(side for side in sides if side < min(natural, SIDES[0]))]
    side = sides[-1]
    for candidate in sides:
        sizes = [_size(card) for card in _cards(model, scored, probe, candidate)]
        if np.mean(sizes or [0]) * len(chosen) * 1.1 <= budget:
            side = candidate
            break
    cards: list[Card] = []
    spent = 0
    for card in _cards(model, scored, chosen, side):
        spent += _size(card)
        if spent > budget:
            break
        cards.append(card)
    kept = chosen[: len(cards)]
    order = np.argsort(scored.threshold.margin(scored.scores[kept]), kind="stable")
    width, height = _fitted(scored.manifest.input.width, scored.manifest.input.height, side)
    pixels = scored.manifest.model.rebuilds_pixels
    return Gallery(
        [cards[at] for at in order.tolist()],
        side,
        width,
        height,
        _note(scored, kept, side),
        "reconstruction" if pixels else "view of the code",
    )


def chosen_for(scored: ScoredSet, most: int) -> NDArray[np.int64]:
    """Choose at most ``most`` pictures: the farthest out, wrong verdicts, and close calls.

    The first come first to mind, so that a list cut short still has some of each kind.
    """
    margin, flagged = scored.threshold.margin(scored.scores), scored.flagged
    farthest = np.argsort(margin, kind="stable")
    close = np.argsort(np.abs(margin), kind="stable")
    flags = farthest[flagged[farthest]]
    queues: list[tuple[NDArray[np.int64], int]] = [(flags, 3), (close, 1)]
    if scored.anomalous is not None:
        bad = scored.anomalous
        false = flags[~bad[flags]]
        passed = farthest[~flagged[farthest]]
        queues += [(false, 1), (passed[bad[passed]], 1)]
    picked = list(dict.fromkeys(_in_turn(queues, most)))[:most]
    return np.array(picked, dtype=np.int64)


def _in_turn(queues: list[tuple[NDArray[np.int64], int]], most: int) -> Iterator[int]:
    """Take from each queue as many at a time as its weight says, until ``most`` differ."""
    places = [0] * len(queues)
    seen: set[int] = set()
    while len(seen) < most and any(p < len(q) for p, (q, _) in zip(places, queues, strict=True)):
        for turn, (queue, weight) in enumerate(queues):
            part = queue[places[turn] : places[turn] + weight].tolist()
            places[turn] += weight
            seen.update(part)
            yield from part


def _cards(model: Any, scored: ScoredSet, chosen: NDArray[np.int64], side: int) -> Iterator[Card]:
    rarity = p_values(scored.scores[chosen], scored.calibration_scores)
    ceiling = scored.manifest.map_ceiling
    flagged = scored.flagged
    width, height = scored.manifest.input.width, scored.manifest.input.height
    at_once = int(np.clip(4_000_000 // (width * height), 1, 64))
    for start in range(0, len(chosen), at_once):
        part = chosen[start : start + at_once]
        views = view(model, scored.source, scored.index[part])
        for row, at in enumerate(part.tolist()):
            score = float(scored.scores[at])
            heat = overlay(views.images[row], views.error_maps[row], ceiling)
            label = None if scored.labels is None else scored.labels[at]
            yield Card(
                id=legible(scored.ids[at]),
                label="" if label is None else legible(str(label)),
                truth=None if scored.anomalous is None else bool(scored.anomalous[at]),
                score=score,
                flagged=bool(flagged[at]),
                p=float(rarity[start + row]),
                picture=data_uri(views.images[row], side),
                rebuilt=data_uri(np.rint(255 * np.clip(views.x_hat[row], 0, 1)), side),
                # The overlay was enlarged by whole factors; back to a pixel a pixel.
                heat=data_uri(
                    np.asarray(heat.resize((width, height), Image.Resampling.NEAREST)), side
                ),
            )


def data_uri(picture: NDArray[Any], side: int) -> str:
    """Return a picture (H, W, C), 0 to 255, as a data URI of at most ``side`` pixels."""
    pixels = np.asarray(picture).astype(np.uint8)
    if pixels.shape[-1] not in (1, 3):
        pixels = pixels.mean(axis=-1, keepdims=True).astype(np.uint8)
    image = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    size = _fitted(image.width, image.height, side)
    if size != image.size:
        image = image.resize(size, Image.Resampling.BOX)
    # Small pictures keep every pixel; larger ones are photographs more often than not.
    small = max(image.size) <= SIDES[-1]
    kind, options = ("png", {"optimize": True}) if small else ("jpeg", {"quality": _QUALITY})
    buffer = io.BytesIO()
    image.save(buffer, kind.upper(), **options)
    content = buffer.getvalue()
    return f"data:image/{kind};base64,{base64.b64encode(content).decode('ascii')}"


def _fitted(width: int, height: int, side: int) -> tuple[int, int]:
    scale = min(1.0, side / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))


def _size(card: Card) -> int:
    return len(card.picture) + len(card.rebuilt) + len(card.heat) + 4 * len(card.id) + 600


def _note(scored: ScoredSet, kept: NDArray[np.int64], side: int) -> str:
    flagged = scored.flagged
    shown, there = int(flagged[kept].sum()), int(flagged.sum())
    passed = len(kept) - shown
    if not there:
        said = f"No picture is flagged. These {len(kept):,} come closest to it"
    elif shown == there:
        said = "The one flagged picture" if there == 1 else f"All {there:,} flagged pictures"
        said += f", and {passed:,} that passed" if passed else ""
    else:
        said = f"{shown:,} of the {there:,} flagged pictures, and {passed:,} that passed"
    if passed and there:
        said += ": the highest scores, those nearest the threshold"
        said += ", and wrong verdicts" if scored.anomalous is not None else ""
    natural = max(scored.manifest.input.height, scored.manifest.input.width)
    if side < natural:
        said += f". Pictures are reduced to {side} pixels so that this file can be sent by mail"
    return f"{said}."
