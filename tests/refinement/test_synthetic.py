from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from residua.errors import ConfigurationError, InputError, UnknownName
from residua.refinement.noise import perlin, ragged_region
from residua.refinement.synthetic import KINDS, make_anomalies


@pytest.fixture(scope="module")
def textured() -> NDArray[np.uint8]:
    """Pictures with something everywhere, so that every change shows."""
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (12, 24, 20, 3), dtype=np.uint8)


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_changes_the_picture_where_its_mask_says(
    kind: str, textured: NDArray[np.uint8]
) -> None:
    (made,) = make_anomalies(textured, kinds=[kind], per_kind=8)
    assert made.images.shape[1:] == textured.shape[1:]
    assert made.images.dtype == np.uint8
    before = textured[made.sources].astype(int)
    changed = np.abs(made.images - before).max(3)
    assert (changed[made.masks] >= 8).all()
    assert (changed[~made.masks] < 8).all()
    assert made.masks.any((1, 2)).all()


@pytest.mark.parametrize("kind", KINDS)
def test_strengths_go_from_slight_to_plain(kind: str, textured: NDArray[np.uint8]) -> None:
    (made,) = make_anomalies(textured, kinds=[kind], per_kind=60)
    before = textured[made.sources].astype(float)
    amount = np.abs(made.images - before).mean((1, 2, 3))
    weak, strong = (amount[pick].mean() for pick in (made.strengths < 0.5, made.strengths > 0.75))
    assert strong > 1.15 * weak


def test_one_seed_makes_the_same_anomalies_whatever_else_is_asked_for(
    textured: NDArray[np.uint8],
) -> None:
    alone = make_anomalies(textured, kinds=["blur"], seed=3)[0]
    among = {part.kind: part for part in make_anomalies(textured, seed=3)}["blur"]
    np.testing.assert_array_equal(alone.images, among.images)
    other = make_anomalies(textured, kinds=["blur"], seed=4)[0]
    assert not np.array_equal(alone.images, other.images)


def test_kinds_that_show_on_hardly_any_picture_are_left_out(blobs: NDArray[np.uint8]) -> None:
    plain = (
        np.full((10, 16, 16, 1), 90, np.uint8) + np.arange(10, dtype=np.uint8)[:, None, None, None]
    )
    kinds = {part.kind for part in make_anomalies(plain)}
    assert "shuffle" not in kinds
    assert "block" in kinds
    with pytest.raises(InputError, match="too plain"):
        make_anomalies(plain, kinds=["shuffle", "cut_paste"])


def test_what_cannot_be_made_is_refused(textured: NDArray[np.uint8]) -> None:
    with pytest.raises(UnknownName, match="did you mean 'blur'"):
        make_anomalies(textured, kinds=["blurr"])
    with pytest.raises(ConfigurationError, match="at least 2"):
        make_anomalies(textured[:1])


def test_noise_is_smooth_and_its_regions_cover_what_is_asked_for() -> None:
    rng = np.random.default_rng(0)
    field = perlin(64, 48, 3, rng)
    assert field.shape == (64, 48)
    assert np.abs(np.diff(field, axis=0)).max() < 0.2
    assert ragged_region(64, 48, 0.1, rng).mean() == pytest.approx(0.1, abs=0.01)
