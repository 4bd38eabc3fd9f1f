from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from residua.evaluation.scored import ScoredSet, score_source
from residua.images.source import ArraySource
from residua.report.page.gallery import chosen_for, data_uri, gallery_of
from residua.scoring.calibration import p_values


def test_all_flagged_pictures_are_chosen_where_there_is_room(scored: ScoredSet) -> None:
    chosen = set(chosen_for(scored, 1_000).tolist())
    assert set(np.flatnonzero(scored.flagged).tolist()) <= chosen


def test_wrong_verdicts_are_among_the_first_where_there_is_little_room(scored: ScoredSet) -> None:
    missed = np.flatnonzero(scored.anomalous & ~scored.flagged)
    chosen = chosen_for(scored, 12).tolist()
    assert len(chosen) == len(set(chosen)) == 12
    assert set(chosen) & set(missed.tolist())


def test_a_gallery_keeps_to_its_budget(bundle: Path, blobs: NDArray) -> None:
    scored = score_source(bundle, ArraySource(blobs[:60]))
    full = gallery_of(bundle, scored, most=50, budget=10_000_000)
    assert len(full.cards) == 50
    size = sum(len(c.picture) + len(c.rebuilt) + len(c.heat) for c in full.cards)
    small = gallery_of(bundle, scored, most=50, budget=size // 2)
    kept = sum(len(c.picture) + len(c.rebuilt) + len(c.heat) for c in small.cards)
    assert 0 < len(small.cards) < 50
    assert kept <= size // 2


def test_cards_come_from_the_farthest_out_inwards(bundle: Path, scored: ScoredSet) -> None:
    gallery = gallery_of(bundle, scored, most=30, budget=10_000_000)
    margins = [scored.threshold.upper - card.score for card in gallery.cards]
    assert margins == sorted(margins)


def test_a_card_has_its_pictures_p_value(bundle: Path, scored: ScoredSet) -> None:
    cards = gallery_of(bundle, scored, most=30, budget=10_000_000).cards
    p = p_values([card.score for card in cards], scored.calibration_scores)
    assert [card.p for card in cards] == p.tolist()
    assert 0 < min(p) < max(p)


def test_a_small_picture_comes_back_as_it_was() -> None:
    picture = np.arange(64 * 3, dtype=np.uint8).reshape(8, 8, 3)
    kind, _, content = data_uri(picture, 96).partition(",")
    assert kind == "data:image/png;base64"
    assert (np.asarray(Image.open(io.BytesIO(base64.b64decode(content)))) == picture).all()


def test_a_large_picture_is_reduced_in_its_ratio() -> None:
    picture = np.zeros((100, 200, 1), np.uint8)
    content = data_uri(picture, 50).partition(",")[2]
    assert Image.open(io.BytesIO(base64.b64decode(content))).size == (50, 25)
