from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from residua.errors import InputError
from residua.evaluation.pixels import PixelTally, _bins


def tally_of(maps: np.ndarray, masks: np.ndarray) -> PixelTally:
    tally = PixelTally()
    for picture, (error_map, mask) in enumerate(zip(maps, masks, strict=True)):
        tally.add(error_map, mask if mask.any() else None, picture=picture)
    return tally


@pytest.fixture
def noisy() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    masks = np.zeros((12, 20, 20), bool)
    masks[:6, 4:10, 4:10] = True
    masks[:3, 15:18, 2:5] = True
    maps = rng.exponential(0.01, masks.shape) * np.where(masks, 3, 1)
    return maps.astype(np.float32), masks


def test_pixel_auroc_is_scikit_learns(noisy: tuple[np.ndarray, np.ndarray]) -> None:
    maps, masks = noisy
    found = tally_of(maps, masks).metrics()["pixel_auroc"]
    assert found.value == pytest.approx(roc_auc_score(masks.ravel(), maps.ravel()), abs=2e-4)
    assert found.low < found.value < found.high


def test_best_pixel_f1_is_that_of_the_best_limit(noisy: tuple[np.ndarray, np.ndarray]) -> None:
    maps, masks = noisy
    limits = np.quantile(maps, np.linspace(0.5, 0.999, 200))
    best = max(2 * (masks & (maps > t)).sum() / ((maps > t).sum() + masks.sum()) for t in limits)
    assert tally_of(maps, masks).metrics()["pixel_best_f1"].value == pytest.approx(best, abs=5e-3)


def test_a_perfect_map_finds_everything() -> None:
    masks = np.zeros((2, 8, 8), bool)
    masks[0, 2:4, 2:4] = True
    found = tally_of(np.where(masks, 1.0, 0.1).astype(np.float32), masks).metrics()
    assert {name: estimate.value for name, estimate in found.items()} == {
        "pixel_auroc": 1.0,
        "aupro": pytest.approx(1.0),
        "pixel_best_f1": 1.0,
    }


def test_aupro_weighs_a_small_region_as_much_as_a_large_one() -> None:
    masks = np.zeros((1, 20, 20), bool)
    masks[0, :10, :10] = True
    masks[0, 15:17, 15:17] = True
    # The large region is found at once, the small one with half of the sound pixels.
    maps = np.where(masks, 1.0, 0.1).astype(np.float32)
    maps[0, 15:17, 15:17] = 0.05
    maps[0, :, :10][~masks[0, :, :10]] = 0.01
    found = tally_of(maps, masks).metrics()
    assert found["aupro"].value < 0.75
    assert found["pixel_auroc"].value > 0.96


def test_regions_that_touch_at_a_corner_are_one() -> None:
    mask = np.zeros((6, 6), bool)
    mask[1, 1] = mask[2, 2] = mask[5, 5] = True
    tally = PixelTally()
    tally.add(np.ones((6, 6), np.float32), mask, picture=0)
    assert len(tally._regions) == 2


def test_pictures_can_be_left_out(noisy: tuple[np.ndarray, np.ndarray]) -> None:
    maps, masks = noisy
    tally = tally_of(maps, masks)
    assert tally.unmarked([2, 7, 9, 99]) == [7, 9]
    others = [i for i in range(12) if i != 7]
    without = tally.without({7})
    assert len(without) == 11
    assert without.metrics() == tally_of(maps[others], masks[others]).metrics()


def test_the_interval_rests_on_pictures_and_not_on_pixels() -> None:
    masks = np.zeros((4, 40, 40), bool)
    masks[:2, :20] = True
    rng = np.random.default_rng(0)
    maps = rng.uniform(0.1, 0.2, masks.shape).astype(np.float32)
    maps[0][masks[0]] += 0.1  # one of two defects is found
    found = tally_of(maps, masks).metrics()["pixel_auroc"]
    assert found.high - found.low > 0.4


def test_without_a_marked_pixel_nothing_is_measured() -> None:
    with pytest.raises(InputError, match="no mask marks a defect"):
        tally_of(np.ones((2, 4, 4), np.float32), np.zeros((2, 4, 4), bool)).metrics()


@given(st.lists(st.floats(0, 50, width=32), min_size=2, max_size=20))
@settings(max_examples=80, deadline=None)
def test_bins_keep_the_order_of_values(values: list[float]) -> None:
    rising = np.sort(np.array(values, np.float32))
    assert (np.diff(_bins(rising)) >= 0).all()
