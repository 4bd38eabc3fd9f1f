from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from residua.errors import NoReadableImage, OutputError
from residua.images.preprocess import InputSpec
from residua.images.source import ArraySource, FileSource
from residua.models import to_network
from residua.training.feeding import PixelBatches, at_a_time, decode_all, near

SPEC = InputSpec(height=16, width=16, channels=1)


def write(folder: Path, images: NDArray[np.uint8]) -> Path:
    folder.mkdir()
    for number, image in enumerate(images):
        Image.fromarray(image).save(folder / f"{number:03}.png")
    return folder


def test_files_and_arrays_of_the_same_pictures_are_stored_alike(
    blobs: NDArray[np.uint8], tmp_path: Path
) -> None:
    source = FileSource.from_folder(write(tmp_path / "p", blobs[:20]))
    from_files = decode_all(source, SPEC, cache=tmp_path)
    from_array = decode_all(ArraySource(blobs[:20]), SPEC, cache=tmp_path)
    assert np.array_equal(from_files.pixels, from_array.pixels)
    assert from_files.fingerprint == from_array.fingerprint


def test_pictures_of_files_are_mapped_not_held(blobs: NDArray[np.uint8], tmp_path: Path) -> None:
    source = FileSource.from_folder(write(tmp_path / "p", blobs[:5]))
    assert isinstance(decode_all(source, SPEC, cache=tmp_path).pixels.base, np.memmap)


def test_unreadable_files_are_left_out_and_named(blobs: NDArray[np.uint8], tmp_path: Path) -> None:
    folder = write(tmp_path / "p", blobs[:5])
    (folder / "002.png").write_bytes(b"")
    store = decode_all(FileSource.from_folder(folder), SPEC, cache=tmp_path)
    assert store.indices.tolist() == [0, 1, 3, 4]
    assert [failure.id for failure in store.failures] == ["002.png"]
    assert np.array_equal(store.pixels[2, ..., 0], blobs[3])


def test_no_readable_file_is_an_error_with_the_causes(tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "a.png").write_bytes(b"")
    source = FileSource.from_folder(tmp_path / "p")
    with pytest.raises(NoReadableImage, match=r"a\.png"):
        decode_all(source, SPEC, cache=tmp_path)


def test_a_full_disk_is_an_error_with_the_size_needed(
    blobs: NDArray[np.uint8], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    source = FileSource.from_folder(write(tmp_path / "p", blobs[:5]))
    with pytest.raises(OutputError, match="no room"):
        decode_all(source, SPEC, cache=tmp_path)
    assert not (tmp_path / "pixels.u8").exists()


@given(n=st.integers(1, 60), size=st.integers(1, 20), seed=st.integers(0, 5))
def test_each_picture_comes_once_an_epoch_and_never_alone(n: int, size: int, seed: int) -> None:
    pixels = np.arange(n, dtype=np.uint8).reshape(n, 1, 1, 1)
    batches = list(PixelBatches(pixels, np.arange(n), size, lambda: (seed,)))
    seen = torch.cat(batches).flatten().tolist()
    assert sorted(seen) == list(range(n))
    if size > 1 and n > 1:
        assert min(len(batch) for batch in batches) > 1


def test_len_is_the_number_of_batches() -> None:
    pixels = np.zeros((33, 1, 1, 1), np.uint8)
    batches = PixelBatches(pixels, np.arange(33), 8)
    assert len(batches) == len(list(batches)) == 4


def test_pixels_are_scaled_to_zero_and_one_channels_last() -> None:
    images = torch.tensor([0, 255, 51], dtype=torch.uint8).reshape(1, 1, 1, 3)
    x = to_network(images)
    assert x.shape == (1, 3, 1, 1)
    assert x.flatten().tolist() == pytest.approx([0, 1, 0.2])


@pytest.mark.parametrize(("free", "resident"), [(0, False), (199, False), (200, True)])
def test_pictures_go_to_a_device_where_they_take_at_most_half_of_what_is_free(
    free: int, resident: bool
) -> None:
    pixels = np.zeros((100, 1, 1, 1), np.uint8)
    assert isinstance(near(pixels, torch.device("cpu"), lambda _: free), torch.Tensor) is resident


def test_a_processor_reads_pictures_where_they_are() -> None:
    pixels = np.zeros((100, 1, 1, 1), np.uint8)
    assert near(pixels, torch.device("cpu")) is pixels


def test_batches_of_a_device_are_those_of_memory() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (33, 2, 3, 1), np.uint8)
    rows = np.arange(1, 33)
    moved = near(pixels, torch.device("cpu"), lambda _: 10_000)
    here, there = (list(PixelBatches(p, rows, 8, lambda: (5,))) for p in (pixels, moved))
    assert len(here) == len(there)
    assert all(torch.equal(a, b) for a, b in zip(here, there, strict=True))


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((9, 28, 28, 1), 64), ((9, 128, 128, 3), 16), ((9, 256, 256, 3), 4), ((9, 1024, 1024, 3), 4)],
)
def test_a_pass_takes_fewer_pictures_where_they_are_large(
    shape: tuple[int, ...], expected: int
) -> None:
    assert at_a_time(np.broadcast_to(np.uint8(0), shape)) == expected
    assert at_a_time(np.zeros((9, 500), np.float16)) == 64
