"""Arrays, and the rules by which a picture is brought to the input spec."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image
from pydantic import ValidationError

from residua.errors import BadArray
from residua.images.preprocess import InputSpec, prepare_array, scale_to_uint8

GREY = InputSpec(height=8, width=12, channels=1)
RGB = InputSpec(height=8, width=12, channels=3)


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


@given(hnp.arrays(np.uint8, (2, 8, 12, 3)))
def test_a_picture_of_the_specs_shape_passes_bit_for_bit(images):
    assert np.array_equal(prepare_array(images, RGB), images)


def test_the_result_is_a_copy_that_may_be_written_to():
    images = noise(2, 8, 12, 3)
    prepare_array(images, RGB)[:] = 0
    assert images.any()


def test_grey_arrays_need_no_channel_axis():
    images = noise(3, 8, 12)
    assert np.array_equal(prepare_array(images, GREY), images[..., np.newaxis])


def test_bool_becomes_black_and_white():
    images = noise(2, 8, 12) > 127
    assert np.array_equal(prepare_array(images, GREY)[..., 0], np.where(images, 255, 0))


def test_sixteen_bits_are_scaled_by_their_full_range():
    every_value = np.repeat(np.arange(96, dtype=np.uint16) * 257, 1).reshape(1, 8, 12)
    assert np.array_equal(prepare_array(every_value, GREY).ravel(), np.arange(96))


@pytest.mark.parametrize("dtype", [">u2", "<u2"])
def test_byte_order_does_not_matter(dtype):
    images = np.full((1, 8, 12), 65535, dtype)
    assert (prepare_array(images, GREY) == 255).all()


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_floats_in_the_unit_interval_are_rounded_to_the_nearest(dtype):
    images = noise(2, 8, 12)
    as_float = (images / 255).astype(dtype)
    assert np.array_equal(prepare_array(as_float, GREY)[..., 0], images)


def test_value_range_scales_and_clips():
    images = np.linspace(-100, 300, 96).reshape(1, 8, 12)
    spec = GREY.model_copy(update={"value_range": (0.0, 200.0)})
    expected = np.rint(np.clip(images, 0, 200) / 200 * 255)
    assert np.array_equal(prepare_array(images, spec)[..., 0], expected)


@pytest.mark.parametrize("dtype", [np.int16, np.int64, np.uint32, np.float32, np.uint16])
def test_value_range_admits_any_number_type(dtype):
    spec = GREY.model_copy(update={"value_range": (0.0, 1000.0)})
    assert (prepare_array(np.full((1, 8, 12), 500, dtype), spec) == 128).all()


def test_value_range_leaves_eight_bits_alone():
    images = noise(1, 8, 12)
    spec = GREY.model_copy(update={"value_range": (0.0, 10.0)})
    assert np.array_equal(prepare_array(images, spec)[..., 0], images)


@given(
    hnp.arrays(np.float64, (8, 12), elements=st.floats(allow_nan=False, allow_infinity=False)),
    st.floats(-1e300, 1e300),
    st.floats(1e-3, 1e300),
)
def test_scaling_keeps_the_order_of_any_finite_values(values, low, span):
    scaled = scale_to_uint8(values, low, low + span) if low < low + span else None
    if scaled is not None:
        order = np.argsort(values, axis=None)
        assert (np.diff(scaled.ravel()[order].astype(int)) >= 0).all()


def test_scaling_in_blocks_is_scaling_at_once():
    values = np.random.default_rng(0).random((3000, 500))
    assert np.array_equal(scale_to_uint8(values, 0, 1), np.rint(values * 255).astype(np.uint8))


def test_rgb_to_grey_is_pillows():
    images = noise(2, 8, 12, 3)
    expected = [np.asarray(Image.fromarray(image).convert("L")) for image in images]
    assert np.array_equal(prepare_array(images, GREY)[..., 0], expected)


@pytest.mark.parametrize("resize", ["stretch", "pad", "crop"])
@pytest.mark.parametrize("size", [(8, 12), (20, 50), (50, 20), (4, 3), (1, 1), (1, 300)])
def test_grey_in_a_colour_model_is_the_same_in_every_channel(size, resize):
    images = noise(1, *size)
    spec = RGB.model_copy(update={"resize": resize})
    prepared = prepare_array(images, spec)
    grey = prepare_array(images, spec.model_copy(update={"channels": 1}))
    assert prepared.shape == (1, 8, 12, 3)
    assert (prepared == grey).all()


def test_stretch_fills_the_whole_input():
    image = np.zeros((1, 20, 20), np.uint8)
    image[:, :, 10:] = 255
    prepared = prepare_array(image, GREY)[0, ..., 0]
    assert (prepared[:, :5] == 0).all()
    assert (prepared[:, 7:] == 255).all()


def test_shrinking_averages_over_all_pixels():
    checkers = (np.indices((80, 120)).sum(axis=0) % 2 * 255).astype(np.uint8)
    prepared = prepare_array(checkers[np.newaxis], GREY)
    assert np.abs(prepared.astype(int) - 128).max() <= 4


def test_shrinking_much_is_as_good_as_one_antialiased_pass():
    image = np.zeros((400, 600), np.uint8)
    image[:, 310:] = 255
    once = Image.fromarray(image).resize((12, 8), Image.Resampling.BILINEAR)
    prepared = prepare_array(image[np.newaxis], GREY)[0, ..., 0].astype(int)
    assert np.abs(prepared - np.asarray(once)).max() <= 4


def test_pad_keeps_the_aspect_ratio_and_fills_with_the_background():
    image = np.full((1, 40, 20, 3), 10, np.uint8)
    spec = RGB.model_copy(update={"resize": "pad", "background": (1, 2, 3)})
    prepared = prepare_array(image, spec)[0]
    assert (prepared[:, 4:8] == 10).all()
    assert (prepared[:, :4] == (1, 2, 3)).all()
    assert (prepared[:, 8:] == (1, 2, 3)).all()


def test_pad_fills_grey_with_the_grey_of_the_background():
    spec = GREY.model_copy(update={"resize": "pad", "background": (255, 0, 0)})
    prepared = prepare_array(np.zeros((1, 8, 8), np.uint8), spec)[0, ..., 0]
    assert set(np.unique(prepared)) == {0, 76}


def test_crop_keeps_the_centre():
    image = np.zeros((1, 8, 36), np.uint8)
    image[:, :, 12:24] = 200
    spec = GREY.model_copy(update={"resize": "crop"})
    assert (prepare_array(image, spec) == 200).all()


def test_crop_of_a_tall_picture_keeps_the_centre():
    image = np.zeros((1, 80, 24), np.uint8)
    image[:, 30:50] = 200
    spec = GREY.model_copy(update={"resize": "crop"})
    assert (prepare_array(image, spec)[0, 1:-1] == 200).all()


@settings(max_examples=60)
@given(
    st.integers(1, 70),
    st.integers(1, 70),
    st.sampled_from([1, 2, 3, 4, 5]),
    st.sampled_from(["stretch", "pad", "crop"]),
)
def test_any_size_and_channels_come_to_the_specs_shape(height, width, channels, resize):
    spec = InputSpec(height=16, width=9, channels=channels, resize=resize)
    prepared = prepare_array(np.full((2, height, width, channels), 7, np.uint8), spec)
    assert prepared.shape == (2, 16, 9, channels)
    assert prepared.dtype == np.uint8
    assert (prepared == 7).any()


def test_channels_that_are_no_colours_are_resized_one_by_one():
    images = noise(1, 20, 30, 5)
    spec = InputSpec(height=8, width=12, channels=5)
    prepared = prepare_array(images, spec)
    for channel in range(5):
        alone = prepare_array(images[..., channel], GREY)[..., 0]
        assert np.array_equal(prepared[..., channel], alone)


def test_rgb_is_resized_as_its_channels_are():
    images = noise(1, 20, 30, 3)
    alone = [prepare_array(images[..., c], GREY)[..., 0] for c in range(3)]
    assert np.array_equal(prepare_array(images, RGB), np.stack(alone, axis=-1))


def test_no_pictures_give_no_pictures():
    assert prepare_array(np.empty((0, 5, 5), np.uint8), RGB).shape == (0, 8, 12, 3)


def test_the_input_may_be_a_view_with_gaps():
    images = noise(2, 16, 24, 6)
    view = images[:, ::2, ::2, ::2]
    assert np.array_equal(prepare_array(view, RGB), view)
    assert np.array_equal(prepare_array(images[:, ::-1, :, ::2], RGB)[0].shape, RGB.shape)


@pytest.mark.parametrize(
    ("images", "said"),
    [
        (np.zeros((28, 28), np.uint8), r"add an axis, images\[np.newaxis\]"),
        (np.zeros((28, 28, 3), np.uint8), "looks like one colour picture"),
        (np.zeros((5, 3, 28, 28), np.uint8), "channels first"),
        (np.zeros((5, 28, 28, 65), np.uint8), "65 channels, wanted at most 64"),
        (np.zeros(28, np.uint8), "1 axes"),
        (np.zeros((1, 2, 3, 4, 5), np.uint8), "5 axes"),
        (np.zeros((5, 0, 8), np.uint8), "without pixels"),
        (np.zeros((5, 8, 8, 0), np.uint8), "without pixels"),
        (np.zeros((2, 8, 8), complex), "type complex128"),
        (np.zeros((2, 8, 8), object), "type object"),
        (np.full((2, 8, 8), "a"), "type <U1"),
        ([np.zeros((8, 8)), np.zeros((9, 9))], "do not form one array"),
        (np.full((2, 8, 8), -3, np.int16), r"values from -3 to -3.*value_range"),
        (np.full((2, 8, 8), 7, np.int64), r"int64 with values from 7 to 7.*astype\(np.uint8\)"),
        (np.full((2, 8, 8), 1.5), r"from 1.5 to 1.5; wanted values in \[0, 1\].*value_range"),
        (np.full((2, 8, 8), np.nan), "NaN"),
        (np.full((2, 8, 8), -np.inf), "NaN or infinite"),
        (np.zeros((2, 8, 8, 4), np.uint8), r"4 channels and the model takes 1.*\[..., :3\]"),
    ],
)
def test_an_array_of_no_pictures_is_refused_with_a_way_out(images, said):
    with pytest.raises(BadArray, match=said):
        prepare_array(images, GREY)


def test_nan_is_refused_with_a_value_range_too():
    spec = GREY.model_copy(update={"value_range": (0.0, 9.0)})
    images = np.zeros((2, 8, 12))
    images[1, 0, 0] = np.nan
    with pytest.raises(BadArray, match="picture 1 has 1 values that are NaN"):
        prepare_array(images, spec)


@pytest.mark.parametrize("value_range", [(1, 1), (2, 1), (0, np.inf), (np.nan, 1), (-1e308, 1e308)])
def test_a_value_range_must_be_finite_and_rise(value_range):
    with pytest.raises(ValidationError, match="low < high"):
        InputSpec(height=8, width=8, channels=1, value_range=value_range)


def test_a_background_is_of_bytes():
    with pytest.raises(ValidationError, match="255"):
        InputSpec(height=8, width=8, channels=1, background=(0, 0, 256))
