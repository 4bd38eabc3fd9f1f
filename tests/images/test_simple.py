from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from residua.images.simple import (
    LOW_RANK,
    Family,
    blurred,
    faded,
    outcome_of,
    simple_families,
    unlike,
)

PICTURES = arrays(np.uint8, st.tuples(st.just(2), st.just(9), st.just(11), st.sampled_from([1, 3])))


def noise(n: int = 20, height: int = 12, width: int = 16, channels: int = 1) -> NDArray[np.uint8]:
    shape = (n, height, width, channels)
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def family(name: str, normal: NDArray[np.uint8], seed: int = 0) -> Family:
    return next(found for found in simple_families(normal, seed) if found.name.startswith(name))


@pytest.mark.parametrize("shape", [(8, 8, 1), (12, 16, 3), (33, 9, 2)])
def test_every_family_is_of_pictures_like_those_given(shape: tuple[int, int, int]) -> None:
    normal = noise(5, *shape)
    for found in simple_families(normal, 0):
        assert found.images.dtype == np.uint8
        assert found.images.shape[1:] == shape
        assert found.made_from is None or len(found.made_from) == len(found.images) == 5


def test_the_lines_are_drawn_by_the_seed() -> None:
    normal = noise(1, 48, 48)
    first, again, other = (family("light line", normal, seed).images for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert np.array_equal(family("dark line", normal).images, 255 - first)
    assert all(picture.max() > 200 and np.quantile(picture, 0.4) == 0 for picture in first)


def test_constant_pictures_hold_black_white_and_levels_between() -> None:
    images = family("constant", noise()).images
    assert [np.ptp(picture) for picture in images] == [0] * len(images)
    assert {0, 128, 255} <= {int(picture[0, 0, 0]) for picture in images}


def test_gradients_rise_or_fall_without_a_step() -> None:
    for picture in family("gradient", noise(1, 32, 32)).images[..., 0].astype(int):
        steps = [np.diff(picture, axis=axis) for axis in (0, 1)]
        assert max(np.abs(step).max() for step in steps) <= 9
        assert all((step >= 0).all() or (step <= 0).all() for step in steps)


@pytest.mark.parametrize("sigma", [0.5, 2.0, 7.0])
def test_a_blur_is_scipys_with_borders_replicated(sigma: float) -> None:
    images = noise(3)
    expected = gaussian_filter(
        images.astype(float), (0, sigma, sigma, 0), mode="nearest", truncate=3.5
    )
    assert np.abs(blurred(images, sigma) - expected).max() <= 0.51


@given(PICTURES, st.floats(0, 1))
def test_a_faded_picture_keeps_its_mean_and_loses_contrast(
    images: NDArray[np.uint8], factor: float
) -> None:
    found = faded(images, factor)
    means = (images.mean((1, 2, 3)), found.mean((1, 2, 3)))
    assert np.abs(means[0] - means[1]).max() <= 0.51
    ranges = (np.ptp(images, axis=(1, 2, 3)), np.ptp(found, axis=(1, 2, 3)))
    assert (ranges[1] <= factor * ranges[0].astype(float) + 1).all()


def test_plain_pictures_are_unlike_those_of_one_texture() -> None:
    normal = noise(30) // 4 + 3 * (noise(1) // 4)
    for name in ("constant", "gradient", "light line", "dark line"):
        assert unlike(family(name, normal), normal).all(), name


def test_lines_are_not_unlike_a_set_of_lines() -> None:
    normal = np.concatenate([family("light line", noise(), seed).images for seed in range(12)])
    assert not unlike(family("light line", normal, 99), normal).all()
    assert unlike(family("constant", normal), normal).all()


def test_pictures_made_from_normal_ones_count_as_unlike() -> None:
    normal = noise()
    assert unlike(family("contrast", normal), normal).all()


@pytest.mark.parametrize(
    ("scores", "fools"),
    [
        (np.zeros(10), True),
        (np.full(10, 200.0), False),
        (np.repeat([0.0, 200.0], 5), True),
        (np.repeat([0.0, 200.0], [4, 6]), False),
    ],
)
def test_a_family_fools_where_half_of_it_ranks_below_nearly_all(
    scores: NDArray[np.float64], fools: bool
) -> None:
    normal = np.arange(1.0, 101.0)
    found = outcome_of(Family("plain", noise(10), None, True), scores, normal)
    assert found.fools is fools
    assert found.pictures == 10
    near = outcome_of(Family("near", noise(10), None, False), scores, normal)
    assert not near.fools


def test_ranks_are_shares_of_the_normal_pictures_below() -> None:
    normal = np.arange(1.0, 101.0)
    below = 100 * LOW_RANK
    scores = np.array([below, below + 1, 51.0])
    found = outcome_of(Family("plain", noise(3), None, True), scores, normal)
    assert found.median_rank == pytest.approx(LOW_RANK)
    assert found.share_low == pytest.approx(1 / 3)
