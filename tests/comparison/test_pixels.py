from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from residua.comparison.pixels import MOST_FEATURES, decode_to_files, flat_spec
from residua.errors import NoReadableImage, SkippedImages
from residua.images.preprocess import InputSpec, prepare_array
from residua.images.source import ArraySource, as_source


@pytest.mark.parametrize(
    "shape",
    [
        (28, 28, 1),
        (64, 64, 1),
        (65, 64, 1),
        (256, 256, 3),
        (8, 1024, 3),
        (96, 200, 64),
        (300, 9, 4),
    ],
)
def test_flattened_pictures_are_bounded_and_keep_their_aspect(shape: tuple[int, int, int]) -> None:
    height, width, channels = shape
    spec = InputSpec(height=height, width=width, channels=channels)
    flat = flat_spec(spec)
    assert np.prod(flat.shape) <= MOST_FEATURES
    if np.prod(shape) <= MOST_FEATURES:
        assert flat == spec
    elif min(flat.shape[:2]) > 8:
        assert flat.height / flat.width == pytest.approx(height / width, rel=0.1)
        assert np.prod(flat.shape) > 0.8 * MOST_FEATURES


def test_both_sizes_are_decoded_in_the_order_asked_for(
    tmp_path: Path, blobs: NDArray[np.uint8], stripes: NDArray[np.uint8]
) -> None:
    spec = InputSpec(height=80, width=80, channels=1)
    parts = [
        (ArraySource(blobs), np.array([2, 5, 100])),
        (ArraySource(stripes), np.array([0, 7])),
    ]
    found = decode_to_files(parts, spec, tmp_path, "some")
    asked = np.concatenate([blobs[[2, 5, 100]], stripes[[0, 7]]])
    large = prepare_array(asked, spec)
    np.testing.assert_array_equal(np.load(found.pictures), large)
    np.testing.assert_array_equal(np.load(found.rows), prepare_array(large, flat_spec(spec)))
    assert found.readable.all()
    assert len({digest.tobytes() for digest in found.digests}) == 5


def test_one_file_serves_both_where_pictures_are_small(
    tmp_path: Path, blobs: NDArray[np.uint8]
) -> None:
    spec = InputSpec(height=16, width=16, channels=1)
    found = decode_to_files([(ArraySource(blobs), np.arange(4))], spec, tmp_path, "some")
    assert found.pictures == found.rows


def test_unreadable_pictures_are_left_out_and_told_of(
    tmp_path: Path, blobs: NDArray[np.uint8]
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(4):
        Image.fromarray(blobs[number]).save(folder / f"{number}.png")
    (folder / "1.png").write_bytes((folder / "1.png").read_bytes()[:60])
    spec = InputSpec(height=16, width=16, channels=1)
    with pytest.warns(SkippedImages, match=r"1 unreadable.*1\.png"):
        found = decode_to_files([(as_source(folder), np.arange(4))], spec, tmp_path, "some")
    assert found.readable.tolist() == [True, False, True, True]
    np.testing.assert_array_equal(np.load(found.rows)[..., 0], blobs[[0, 2, 3]])
    with pytest.raises(NoReadableImage, match=r"1\.png"):
        decode_to_files([(as_source(folder), np.array([1]))], spec, tmp_path, "none")
