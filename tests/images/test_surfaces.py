from __future__ import annotations

import numpy as np
import pytest

from residua.errors import ConfigurationError
from residua.images.datasets import load_dataset
from residua.images.surfaces import DEFECTS, MASK_LEVELS, Surfaces, generate_surfaces

SMALL = (32, 40)


def different(pictures: np.ndarray) -> int:
    return len({picture.tobytes() for picture in pictures})


@pytest.fixture(scope="module")
def made() -> Surfaces:
    return generate_surfaces(4, 12, size=SMALL)


def test_pictures_are_bytes_with_a_label_and_a_mask_each(made: Surfaces) -> None:
    assert (made.images.dtype, made.images.shape) == (np.uint8, (16, *SMALL))
    assert (made.masks.dtype, made.masks.shape) == (np.bool_, (16, *SMALL))
    assert made.labels == ["good"] * 4 + [*DEFECTS] * 3


def test_the_same_seed_gives_the_same_bytes(made: Surfaces) -> None:
    again = generate_surfaces(4, 12, size=SMALL)
    assert again.images.tobytes() == made.images.tobytes()
    assert again.masks.tobytes() == made.masks.tobytes()


def test_no_two_pictures_of_any_seed_are_equal(made: Surfaces) -> None:
    other = generate_surfaces(4, 12, size=SMALL, seed=1)
    assert different(np.concatenate([made.images, other.images])) == 32


def test_a_picture_does_not_depend_on_how_many_are_made(made: Surfaces) -> None:
    fewer = generate_surfaces(2, 5, size=SMALL)
    np.testing.assert_array_equal(fewer.images[:2], made.images[:2])
    np.testing.assert_array_equal(fewer.images[2:], made.images[4:9])
    np.testing.assert_array_equal(fewer.masks[2:], made.masks[4:9])


def test_another_stream_never_repeats_a_picture(made: Surfaces) -> None:
    test = generate_surfaces(4, 12, size=SMALL, stream=1)
    assert different(np.concatenate([made.images, test.images])) == 32


def test_test_pictures_never_repeat_those_of_training() -> None:
    spec = load_dataset("surfaces", "train", n=2, size=SMALL).suggest_spec()
    parts = [
        next(load_dataset("surfaces", split, n=20, size=SMALL).batches(spec, 20)).images
        for split in ("train", "test")
    ]
    assert different(np.concatenate(parts)) == 40


def test_training_pictures_are_sound_and_half_the_test_pictures_defective() -> None:
    train = load_dataset("surfaces", "train", n=6, size=SMALL)
    test = load_dataset("surfaces", "test", n=7, size=SMALL)
    assert list(train.labels or ()) == ["good"] * 6
    assert list(test.labels or ()) == ["good"] * 4 + ["scratch", "stain", "dent"]
    assert [test.mask(index) is not None for index in range(7)] == [False] * 4 + [True] * 3


def test_masks_are_empty_for_sound_pictures_and_only_for_them(made: Surfaces) -> None:
    marked = made.masks.any(axis=(1, 2))
    assert marked.tolist() == [label != "good" for label in made.labels]


@pytest.mark.parametrize("seed", range(4))
def test_no_defect_ever_hides(seed: int) -> None:
    made = generate_surfaces(0, 40, size=(24, 24), seed=seed)
    assert made.masks.any(axis=(1, 2)).all()


@pytest.mark.parametrize("channels", [1, 3])
def test_the_mask_is_where_the_defect_changed_the_picture(
    channels: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from residua.images import surfaces

    developed: list[np.ndarray] = []
    develop = surfaces._Photograph.develop

    def remembered(self: surfaces._Photograph, part: surfaces._Part) -> np.ndarray:
        developed.append(develop(self, part).astype(int))
        return developed[-1]

    monkeypatch.setattr(surfaces._Photograph, "develop", remembered)
    made = generate_surfaces(0, 1, size=SMALL, channels=channels)
    changed = np.abs(developed[-1] - developed[0]).max(axis=-1) > MASK_LEVELS
    np.testing.assert_array_equal(made.masks[0], changed)


def test_most_of_a_defective_picture_is_sound(made: Surfaces) -> None:
    assert made.masks[4:].mean() < 0.25


@pytest.mark.parametrize("size", [(16, 16), (16, 90), (75, 17), (64, 48)])
@pytest.mark.parametrize("channels", [1, 3])
def test_surfaces_can_be_of_any_size_from_sixteen_pixels(
    size: tuple[int, int], channels: int
) -> None:
    made = generate_surfaces(1, 4, size=size, channels=channels)
    assert made.images.shape == ((5, *size) if channels == 1 else (5, *size, 3))
    assert made.masks.shape == (5, *size)
    assert made.masks[1:].any(axis=(1, 2)).all()
    assert made.images[0].std() > 10


def test_colour_pictures_are_coloured() -> None:
    image = generate_surfaces(1, 0, size=SMALL, channels=3).images[0].astype(int)
    assert np.abs(image[..., 0] - image[..., 2]).max() > 10


def test_no_pictures_are_none() -> None:
    made = generate_surfaces(0, 0, size=SMALL)
    assert (made.images.shape, made.labels, made.masks.shape) == ((0, *SMALL), [], (0, *SMALL))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"size": (15, 64)}, "size is 15 x 64; surfaces need at least 16 pixels"),
        ({"size": (64, 0)}, "size is 64 x 0"),
        ({"seed": -1}, "seed is -1"),
        ({"stream": -2}, "stream is -2"),
        ({"channels": 2}, r"channels is 2; surfaces are grey \(1\) or RGB \(3\)"),
    ],
)
def test_values_outside_their_range_are_refused(wrong: dict[str, int], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        generate_surfaces(1, 1, **wrong)


@pytest.mark.parametrize(("counts", "name"), [((-1, 0), "n_normal"), ((0, -1), "n_defective")])
def test_fewer_than_no_pictures_are_refused(counts: tuple[int, int], name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{name} is -1; it must be 0 or more"):
        generate_surfaces(*counts)


@pytest.mark.parametrize("n", [0, -3])
def test_the_data_set_generates_at_least_one_picture(n: int) -> None:
    with pytest.raises(ConfigurationError, match=f"n is {n}; at least 1"):
        load_dataset("surfaces", n=n)
