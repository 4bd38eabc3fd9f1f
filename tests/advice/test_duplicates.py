from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image

from residua.advice.duplicates import duplicates
from residua.advice.prints import groups, near_duplicates, prints_of
from residua.images.preprocess import InputSpec
from residua.images.source import ArraySource

SPEC = InputSpec(height=32, width=32, channels=1)


def smooth(n: int, side: int = 32, seed: int = 0) -> Any:
    """Soft random pictures, no two alike."""
    coarse = np.random.default_rng(seed).integers(0, 256, (n, 6, 6)).astype(np.uint8)
    size = (side, side)
    return np.stack([np.asarray(Image.fromarray(c).resize(size, 3)) for c in coarse])


def found_groups(images: Any) -> list[list[int]]:
    prints = prints_of(ArraySource(images), np.arange(len(images)), SPEC)
    return [sorted(rows.tolist()) for rows in groups(len(prints), near_duplicates(prints, 0))]


def test_equal_pictures_are_one_group() -> None:
    images = smooth(60)
    images[[7, 50]] = images[3]
    assert found_groups(images) == [[3, 7, 50]]


def test_a_slightly_changed_picture_is_a_near_duplicate() -> None:
    images = smooth(60)
    noise = np.random.default_rng(1).integers(-3, 4, images[5].shape)
    images[40] = np.clip(images[5].astype(int) + noise, 0, 255)
    assert found_groups(images) == [[5, 40]]


def test_aligned_pictures_of_alike_parts_stay_apart() -> None:
    part = smooth(1)[0].astype(int)
    rng = np.random.default_rng(2)
    images = np.clip(part + rng.integers(-4, 5, (80, 32, 32)), 0, 255).astype(np.uint8)
    assert found_groups(images) == []


def test_many_equal_pictures_take_less_than_all_pairs() -> None:
    images = np.zeros((3000, 32, 32), np.uint8)
    prints = prints_of(ArraySource(images), np.arange(3000), SPEC)
    pairs = near_duplicates(prints, 0)
    assert len(pairs.first) < 3000 * 700
    assert [len(rows) for rows in groups(3000, pairs)] == [3000]


def test_twins_within_and_across_are_reported(study_of: Any) -> None:
    train, test = smooth(40), smooth(40, seed=9)
    test[4], test[10] = train[6], test[11]
    study = study_of(test, training=train, spec={"height": 32, "width": 32}, anomalous=[0] * 40)
    within, training, between = duplicates(study)
    assert within.numbers["with_twin"] == 2
    assert within.severity == "advice"
    assert training.severity == "fine"
    assert between.severity == "warning"
    assert between.numbers["also_in_training"] == 1
    assert [picture.origin for picture in between.pictures] == ["training", "scored"]
    assert between.pictures[0].position == 6


def test_no_twins_are_fine(study_of: Any) -> None:
    spec = {"height": 32, "width": 32}
    study = study_of(smooth(40), training=smooth(40, seed=9), spec=spec)
    assert [found.severity for found in duplicates(study)] == ["fine"] * 3


def test_without_training_pictures_the_overlap_cannot_be_told(study_of: Any) -> None:
    assert [found.made for found in duplicates(study_of(smooth(10, 16)))] == [True, False]


@pytest.mark.parametrize("n", [1, 2])
def test_hardly_any_pictures_have_no_twins(study_of: Any, n: int) -> None:
    assert duplicates(study_of(smooth(n, 16)))[0].severity == "fine"
