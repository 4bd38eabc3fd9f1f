"""Where pictures come from: folders, lists, arrays, Pillow images, torch data sets."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import weakref
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from residua.errors import (
    BadArray,
    BadLabels,
    ConfigurationError,
    DamagedImage,
    EmptySource,
    InputError,
    NoReadableImage,
    NotAnImage,
    UnreadableFile,
    UnsupportedImage,
)
from residua.images import file_source
from residua.images.lazy import LazySequence
from residua.images.preprocess import InputSpec
from residua.images.source import (
    ArraySource,
    FileSource,
    PillowSource,
    TorchDatasetSource,
    as_source,
)

SPEC = InputSpec(height=8, width=8, channels=1)


def draw(path: Path, level: int = 0, size: tuple[int, int] = (8, 8), mode: str = "L") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, level).save(path, "PNG")
    return path


def read(source, spec=SPEC, size=3, **options):
    """All readable pictures of a source, and its failures."""
    batches = list(source.batches(spec, size, **options))
    return (
        np.concatenate([batch.images for batch in batches]),
        [failure for batch in batches for failure in batch.failures],
    )


# ---- folders


def test_a_folder_is_listed_with_the_first_folder_below_as_class(tmp_path):
    for name in ("cat/1.png", "cat/deep/er/2.png", "dog/3.png", "0.png"):
        draw(tmp_path / name)
    source = as_source(tmp_path)
    assert source.ids == ["0.png", "cat/1.png", "cat/deep/er/2.png", "dog/3.png"]
    assert source.labels == ["", "cat", "cat", "dog"]
    assert source.paths[1] == tmp_path / "cat" / "1.png"
    assert not source.has_masks
    assert not source.in_memory


def test_a_flat_folder_has_no_classes(tmp_path):
    draw(tmp_path / "1.png")
    assert as_source(str(tmp_path)).labels is None


def test_other_files_are_ignored_but_counted(tmp_path):
    draw(tmp_path / "1.png")
    (tmp_path / "README.txt").write_text("hello")
    (tmp_path / "Thumbs.db").write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600)
    (tmp_path / "features.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + b"\0" * 600)
    (tmp_path / "paper.pdf").write_bytes(b"%PDF-1.4")
    (tmp_path / "code.h").write_bytes(b"#define width 3")
    (tmp_path / "empty").touch()
    source = FileSource.from_folder(tmp_path)
    assert source.ids == ["1.png"]
    assert source.ignored == 6


@pytest.mark.parametrize("name", ["noextension", "wrong.txt", "photo.PNG", "x.jpg", "a.b.c"])
def test_pictures_are_recognised_by_content_or_by_extension(tmp_path, name):
    draw(tmp_path / name, 9)
    images, failures = read(as_source(tmp_path))
    assert not failures
    assert (images == 9).all()


def test_hidden_files_and_folders_are_passed_over(tmp_path):
    draw(tmp_path / "1.png")
    draw(tmp_path / "._1.png")
    draw(tmp_path / ".cache" / "2.png")
    source = FileSource.from_folder(tmp_path)
    assert source.ids == ["1.png"]
    assert source.ignored == 0


def test_a_hidden_root_is_listed(tmp_path):
    draw(tmp_path / ".hidden" / "1.png")
    assert as_source(tmp_path / ".hidden").ids == ["1.png"]


def test_a_folder_named_like_a_picture_is_a_folder(tmp_path):
    draw(tmp_path / "x.png" / "1.png")
    source = as_source(tmp_path)
    assert source.ids == ["x.png/1.png"]
    assert source.labels == ["x.png"]


def test_bad_pictures_are_failures_and_the_rest_is_read(tmp_path):
    draw(tmp_path / "0.png", 1)
    (tmp_path / "1.png").touch()
    (tmp_path / "2.png").write_text("not an image")
    (tmp_path / "3.png").symlink_to("gone")
    (tmp_path / "4.png").write_bytes(draw(tmp_path / "5.png", 2).read_bytes()[:-30])
    images, failures = read(as_source(tmp_path))
    assert images[:, 0, 0, 0].tolist() == [1, 2]
    assert [(failure.index, failure.id, type(failure.error)) for failure in failures] == [
        (1, "1.png", DamagedImage),
        (2, "2.png", NotAnImage),
        (3, "3.png", UnreadableFile),
        (4, "4.png", DamagedImage),
    ]


def test_a_dangling_link_of_another_name_is_no_picture(tmp_path):
    draw(tmp_path / "1.png")
    (tmp_path / "notes.txt").symlink_to("gone")
    (tmp_path / "loop.txt").symlink_to("loop.txt")
    os.mkfifo(tmp_path / "pipe.png")
    source = FileSource.from_folder(tmp_path)
    assert source.ids == ["1.png"]
    assert source.ignored == 3


def test_loops_of_links_end_and_no_picture_comes_twice(tmp_path):
    draw(tmp_path / "real" / "1.png")
    (tmp_path / "real" / "up").symlink_to("..")
    (tmp_path / "a").symlink_to("real")  # sorts before the folder it leads to
    (tmp_path / "loop.png").symlink_to("loop.png")
    source = as_source(tmp_path)
    assert source.ids == ["loop.png", "real/1.png"]


def test_a_link_to_a_folder_elsewhere_is_followed(tmp_path):
    draw(tmp_path / "elsewhere" / "1.png")
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "cat").symlink_to(tmp_path / "elsewhere")
    source = as_source(tmp_path / "root")
    assert source.ids == ["cat/1.png"]
    assert source.labels == ["cat"]


def test_names_that_are_not_utf8_are_read_and_shown_escaped(tmp_path):
    raw = Path(os.fsdecode(os.path.join(os.fsencode(tmp_path), b"caf\xe9")))  # noqa: PTH118
    draw(raw / os.fsdecode(b"\xff.png"), 7)
    source = as_source(tmp_path)
    assert source.ids == [r"caf\xe9/\xff.png"]
    assert source.labels == [r"caf\xe9"]
    images, failures = read(source)
    assert not failures
    assert (images == 7).all()


def test_a_folder_that_may_not_be_listed_is_a_failure_of_its_own(tmp_path, monkeypatch):
    draw(tmp_path / "1.png")
    draw(tmp_path / "locked" / "2.png")
    scandir = os.scandir

    def refuse(path: str) -> object:
        if Path(path).name == "locked":
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    source = as_source(tmp_path)
    assert source.ids == ["1.png", "locked"]
    _, failures = read(source)
    assert [failure.id for failure in failures] == ["locked"]
    with pytest.raises(UnreadableFile, match=r"locked may not be listed \(Permission denied\)"):
        as_source(tmp_path / "locked")


def test_an_empty_folder_is_an_empty_source(tmp_path):
    (tmp_path / "deep" / "er").mkdir(parents=True)
    with pytest.raises(EmptySource, match="is empty; wanted picture files"):
        as_source(tmp_path)


def test_a_folder_without_pictures_says_what_was_found(tmp_path):
    for name in ("1.txt", "2.txt", "3.csv", "LICENSE"):
        (tmp_path / name).write_text("hello")
    with pytest.raises(NoReadableImage, match=r"none of the 4 files .* \(2 × \.txt, 1 × "):
        as_source(tmp_path)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(UnreadableFile, match="nowhere does not exist"):
        as_source(tmp_path / "nowhere")
    with pytest.raises(UnreadableFile, match=r"the folder .*nowhere does not exist"):
        FileSource.from_folder(tmp_path / "nowhere")


def test_a_file_in_place_of_a_folder_is_named(tmp_path):
    path = draw(tmp_path / "1.png")
    with pytest.raises(UnreadableFile, match="is a file, wanted a folder"):
        FileSource.from_folder(path)


def test_one_file_is_a_source_of_one_picture(tmp_path):
    path = draw(tmp_path / "1.png", 5)
    images, _ = read(as_source(path))
    assert (images == 5).all()
    assert len(images) == 1


# ---- splits and the MVTec AD layout


@pytest.fixture
def mvtec(tmp_path: Path) -> Path:
    root = tmp_path / "bottle"
    for name in (
        "train/good/000",
        "train/good/001",
        "test/good/000",
        "test/cut/000",
        "test/cut/001",
    ):
        draw(root / f"{name}.png")
    draw(root / "test" / "dirt" / "000.png")
    mask = Image.new("L", (8, 8))
    mask.putpixel((2, 3), 255)
    (root / "ground_truth" / "cut").mkdir(parents=True)
    mask.save(root / "ground_truth" / "cut" / "000_mask.png")
    mask.save(root / "ground_truth" / "cut" / "001.png")
    (root / "license.txt").write_text("hello")
    return root


def test_mvtec_is_recognised_masks_and_all(mvtec):
    source = as_source(mvtec)
    assert source.ids == [
        "train/good/000.png",
        "train/good/001.png",
        "test/cut/000.png",
        "test/cut/001.png",
        "test/dirt/000.png",
        "test/good/000.png",
    ]
    assert source.labels == ["good", "good", "cut", "cut", "dirt", "good"]
    assert source.has_masks
    masks = [source.mask(index) for index in range(6)]
    assert [mask is not None for mask in masks] == [False, False, True, True, False, False]
    for mask in masks[2:4]:
        assert mask.shape == (8, 8)
        assert mask.dtype == bool
        assert np.argwhere(mask).tolist() == [[3, 2]]


def test_mvtec_splits(mvtec):
    train, test = as_source(mvtec, split="train"), as_source(mvtec, split="test")
    assert train.labels == ["good", "good"]
    assert not train.has_masks
    assert test.labels == ["cut", "cut", "dirt", "good"]
    assert test.has_masks
    assert test.mask(0) is not None


def test_masks_follow_their_pictures_into_a_subset(mvtec):
    subset = as_source(mvtec).take([4, 3])
    assert subset.has_masks
    assert subset.mask(0) is None
    assert subset.mask(1) is not None


def test_a_mask_of_another_size_is_refused(mvtec):
    draw(mvtec / "ground_truth" / "cut" / "000_mask.png", 1, (9, 8))
    with pytest.raises(DamagedImage, match="is 9 × 8 and its picture 8 × 8"):
        as_source(mvtec).mask(2)


def test_a_black_mask_marks_nothing(mvtec):
    draw(mvtec / "ground_truth" / "cut" / "000_mask.png", 0)
    assert as_source(mvtec).mask(2) is None


def test_any_layout_has_the_splits_that_are_its_folders(tmp_path):
    draw(tmp_path / "train" / "cat" / "1.png")
    draw(tmp_path / "test" / "dog" / "2.png")
    assert as_source(tmp_path, split="test").ids == ["test/dog/2.png"]
    assert as_source(tmp_path, split="test").labels == ["dog"]
    assert as_source(tmp_path).labels == ["test", "train"]


def test_a_split_that_is_not_there_is_refused(tmp_path):
    draw(tmp_path / "cat" / "1.png")
    with pytest.raises(ConfigurationError, match="has no folder 'train'"):
        as_source(tmp_path, split="train")
    with pytest.raises(ConfigurationError, match="wanted 'train', 'test' or None"):
        as_source(tmp_path, split="validation")


@pytest.mark.parametrize("data", [np.zeros((2, 8, 8), np.uint8), ["a.png"]])
def test_only_a_folder_has_splits(data):
    with pytest.raises(ConfigurationError, match="only a folder has splits"):
        as_source(data, split="train")


# ---- lists of paths


def test_a_list_of_paths_keeps_its_order_and_its_names(tmp_path):
    paths = [draw(tmp_path / f"{level}.png", level) for level in (3, 1, 2)]
    source = as_source([str(paths[0]), *paths[1:]])
    assert source.ids == [path.as_posix() for path in paths]
    assert source.labels is None
    assert read(source)[0][:, 0, 0, 0].tolist() == [3, 1, 2]


def test_paths_may_come_from_an_iterator_or_an_array(tmp_path):
    paths = [draw(tmp_path / f"{level}.png", level) for level in (1, 2)]
    assert len(as_source(tmp_path.glob("*.png"))) == 2
    assert as_source(np.array([str(path) for path in paths])).ids == [str(path) for path in paths]


def test_labels_and_masks_must_be_as_many_as_paths():
    with pytest.raises(BadLabels, match="1 labels for 2 pictures"):
        FileSource(["a.png", "b.png"], labels=["x"])
    with pytest.raises(BadLabels, match="1 masks for 2 pictures"):
        FileSource(["a.png", "b.png"], mask_paths=[None])
    with pytest.raises(BadLabels, match="2 axes"):
        FileSource(["a.png"], labels=[["x"]])


def test_an_entry_that_is_no_path_is_named():
    with pytest.raises(InputError, match="entry 1 is 3; wanted a path"):
        FileSource(["a.png", 3])


def test_the_pixel_limit_is_the_sources(tmp_path):
    draw(tmp_path / "1.png", size=(20, 20))
    source = FileSource.from_folder(tmp_path, max_pixels=399)
    assert len(read(source)[1]) == 1
    with pytest.raises(NoReadableImage, match="the limit is 399"):
        source.suggest_spec()


# ---- bounded work


@pytest.fixture
def hundred_files(tmp_path: Path) -> FileSource:
    for number in range(100):
        draw(tmp_path / f"{number:03}.png", number)
    return FileSource.from_folder(tmp_path)


def test_only_a_bounded_number_of_pictures_is_in_flight(hundred_files, monkeypatch):
    begun: list[object] = []
    decode = file_source.decode_image

    def decode_and_note(path: object, *args: object, **options: object) -> np.ndarray:
        begun.append(path)
        return decode(path, *args, **options)

    monkeypatch.setattr(file_source, "decode_image", decode_and_note)
    size, workers = 5, 3
    batches: list[weakref.ref] = []
    for number, batch in enumerate(hundred_files.batches(SPEC, size, workers=workers), 1):
        assert len(begun) <= number * size + size + workers
        batches.append(weakref.ref(batch.images))
        del batch
        assert not any(ref() is not None for ref in batches[:-1])
    assert len(begun) == 100


@pytest.mark.parametrize("workers", [1, 2])
def test_a_batch_that_is_kept_is_not_written_to_again(hundred_files, workers):
    batches = list(hundred_files.batches(SPEC, 8, workers=workers))
    levels = [image[0, 0, 0] for batch in batches for image in batch.images]
    assert levels == list(range(100))
    assert not any(np.shares_memory(a.images, b.images) for a, b in pairwise(batches))


@pytest.mark.parametrize("workers", [1, 2, 5])
@pytest.mark.parametrize("size", [1, 7, 64, 1000])
def test_order_and_failures_do_not_depend_on_threads_and_batches(hundred_files, size, workers):
    for number in (0, 41, 42, 99):
        hundred_files.paths[number].write_text("not an image")
    wanted = [99, 42, 7, 41, 7, 98, 0, *range(1, 60)]
    batches = list(hundred_files.batches(SPEC, size, wanted, workers=workers))
    asked = [
        {*batch.indices.tolist(), *(failure.index for failure in batch.failures)}
        for batch in batches
    ]
    assert asked == [set(wanted[i : i + size]) for i in range(0, len(wanted), size)]
    indices = np.concatenate([batch.indices for batch in batches])
    assert indices.tolist() == [index for index in wanted if index not in (0, 41, 42, 99)]
    images = np.concatenate([batch.images for batch in batches])
    assert images[:, 0, 0, 0].tolist() == indices.tolist()


def test_leaving_early_begins_no_further_picture(hundred_files, monkeypatch):
    begun: list[object] = []
    waiting, left = threading.Event(), threading.Event()

    def wait_for_the_end(path: object, *args: object, **options: object) -> None:
        begun.append(path)
        if len(begun) > 64:  # of the second batch
            waiting.set()
            left.wait(20)

    monkeypatch.setattr(file_source, "decode_image", wait_for_the_end)
    batches = hundred_files.batches(SPEC, 64, workers=2)
    next(batches)
    waiting.wait(20)
    closing = threading.Thread(target=batches.close)
    closing.start()
    closing.join(0.2)
    left.set()
    closing.join(20)
    # The two that had begun, and none of the rest of their runs.
    assert len(begun) <= 64 + 2


def test_leaving_early_ends_ends_the_threads(hundred_files):
    before = set(threading.enumerate())
    batches = hundred_files.batches(SPEC, 4, workers=3)
    next(batches)
    batches.close()
    assert set(threading.enumerate()) <= before


def test_files_are_decoded_in_several_threads_at_once(hundred_files, monkeypatch):
    together = threading.Barrier(3, timeout=20)
    decode = file_source.decode_image

    def decode_together(*args: object, **options: object) -> np.ndarray:
        together.wait()  # ends only when three have come
        return decode(*args, **options)

    monkeypatch.setattr(file_source, "decode_image", decode_together)
    images, _ = read(hundred_files.take(range(99)), workers=3)
    assert images[:, 0, 0, 0].tolist() == list(range(99))


def test_a_failure_keeps_no_pixels_alive(tmp_path):
    content = draw(tmp_path / "1.png", size=(64, 64)).read_bytes()
    (tmp_path / "1.png").write_bytes(content[:60])
    (failure,) = read(as_source(tmp_path))[1]
    assert failure.error.__traceback__ is None
    assert failure.error.__cause__.__traceback__ is None


def test_a_file_that_goes_away_is_a_failure(hundred_files):
    hundred_files.paths[3].unlink()
    images, failures = read(hundred_files)
    assert len(images) == 99
    assert [failure.index for failure in failures] == [3]


# ---- arrays


def test_an_array_source_keeps_the_array():
    images = np.zeros((3, 8, 8), np.uint8)
    source = as_source(images)
    assert np.shares_memory(source._images, images)
    assert source.ids == ["0", "1", "2"]
    assert source.labels is None
    assert source.paths is None
    assert source.in_memory
    assert source.mask(0) is None


def test_a_memory_mapped_array_is_not_in_memory(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((3, 8, 8), np.uint8))
    assert not as_source(np.load(tmp_path / "x.npy", mmap_mode="r")).in_memory


def test_an_array_without_pictures_is_an_empty_source():
    with pytest.raises(EmptySource, match="holds no picture"):
        as_source(np.zeros((0, 8, 8), np.uint8))


def test_nan_in_an_array_is_found_at_once():
    images = np.zeros((3000, 8, 8), np.float32)
    images[2345, 1, 1] = np.nan
    with pytest.raises(BadArray, match=r"picture 2345 .* NaN"):
        as_source(images)


def test_a_value_out_of_range_is_named_with_its_picture():
    images = np.zeros((9, 8, 8))
    images[7] = -2.5
    with pytest.raises(BadArray, match=r"picture 7 .* from -2.5 to -2.5; wanted .*value_range"):
        read(as_source(images), indices=[0, 7])


def test_masks_of_an_array():
    masks = np.zeros((2, 8, 8), bool)
    masks[1, 2, 3] = True
    source = ArraySource(np.zeros((2, 8, 8), np.uint8), masks=masks)
    assert source.has_masks
    assert source.mask(0) is None
    assert np.argwhere(source.mask(1)).tolist() == [[2, 3]]
    assert np.argwhere(source.take([1]).mask(0)).tolist() == [[2, 3]]


@pytest.mark.parametrize(
    "masks", [np.zeros((2, 8, 9), bool), np.zeros((2, 8, 8)), np.zeros((3, 8, 8), bool)]
)
def test_masks_that_do_not_fit_are_refused(masks):
    with pytest.raises(BadArray, match=r"wanted bool of shape \(2, 8, 8\)"):
        ArraySource(np.zeros((2, 8, 8), np.uint8), masks=masks)


def test_labels_and_ids_become_text():
    source = ArraySource(np.zeros((2, 8, 8), np.uint8), labels=np.array([3, 7]), ids=["a", "b"])
    assert source.labels == ["3", "7"]
    assert source.ids == ["a", "b"]
    with pytest.raises(BadLabels, match="3 ids for 2 pictures"):
        ArraySource(np.zeros((2, 8, 8), np.uint8), ids=["a", "b", "c"])


def test_a_list_of_arrays_of_one_size_is_one_array():
    assert isinstance(as_source([np.zeros((8, 8), np.uint8)] * 3), ArraySource)


def test_arrays_of_several_sizes_are_each_resized():
    source = as_source([np.full((9, 8), 1, np.uint8), np.full((20, 30, 3), 2, np.uint8)])
    assert read(source)[0][:, 0, 0, 0].tolist() == [1, 2]
    assert source.suggest_spec().channels == 3


# ---- Pillow images


def test_pillow_images_are_a_source():
    source = as_source([Image.new("L", (8, 8), 1), Image.new("RGBA", (9, 9), (0, 0, 0, 0))])
    assert isinstance(source, PillowSource)
    assert read(source)[0][:, 0, 0, 0].tolist() == [1, 255]
    assert len(as_source(Image.new("L", (8, 8)))) == 1


def test_one_image_object_may_be_listed_often(tmp_path):
    opened = Image.open(draw(tmp_path / "1.png", 4))
    assert (read(as_source([opened] * 20), workers=4)[0] == 4).all()


def test_a_list_of_mixed_things_names_the_stranger():
    with pytest.raises(InputError, match="entry 1 is a str"):
        as_source([Image.new("L", (8, 8)), "a.png"])


# ---- torch data sets


class Items:
    """The items of a data set, which some tests make a torch Dataset of."""

    def __init__(self, items, **attributes):
        self.items = items
        self.__dict__.update(attributes)

    def __len__(self):
        return len(self.items)

    def __getitem__(self, index):
        item = self.items[index]
        if isinstance(item, Exception):
            raise item
        return item


@pytest.fixture
def dataset_of():
    data = pytest.importorskip("torch.utils.data")

    class TorchItems(Items, data.Dataset):
        pass

    return TorchItems


def test_a_dataset_of_tensors_is_channels_first(dataset_of):
    torch = pytest.importorskip("torch")
    tensor = torch.zeros(3, 8, 10)
    tensor[0] = 1.0
    source = as_source(dataset_of([tensor]))
    assert isinstance(source, TorchDatasetSource)
    spec = source.suggest_spec()
    assert spec.shape == (8, 10, 3)
    assert (read(source, spec)[0] == (255, 0, 0)).all()
    assert source.labels is None


@pytest.mark.parametrize("kind", ["tensor", "grey tensor", "array", "pillow"])
def test_items_may_be_tensors_arrays_or_pillow_images(dataset_of, kind):
    torch = pytest.importorskip("torch")
    array = np.random.default_rng(0).integers(0, 256, (8, 8), dtype=np.uint8)
    item = {
        "tensor": torch.from_numpy(array)[None],
        "grey tensor": torch.from_numpy(array),
        "array": array,
        "pillow": Image.fromarray(array),
    }[kind]
    source = as_source(dataset_of([(item, 1), (item, 0)]))
    assert np.array_equal(read(source)[0][1, ..., 0], array)
    assert source.labels == ["1", "0"]


def test_labels_are_taken_from_targets_without_reading_an_item(dataset_of):
    broken = [ValueError("read")] * 2
    source = as_source(dataset_of(broken, targets=[1, 0], classes=["cat", "dog"]))
    assert source.labels == ["dog", "cat"]


def test_an_item_that_raises_is_a_failure(dataset_of):
    picture = np.zeros((8, 8), np.uint8)
    source = as_source(dataset_of([(picture, 0), RuntimeError("no disk"), (picture, 2)]))
    images, failures = read(source)
    assert len(images) == 2
    assert [(failure.index, type(failure.error)) for failure in failures] == [(1, UnreadableFile)]
    assert "item 1 of the data set raises RuntimeError (no disk)" in str(failures[0].error)
    assert source.labels == ["0", "", "2"]


def test_a_normalised_dataset_is_told_of_the_value_range(dataset_of):
    source = as_source(dataset_of([np.full((8, 8), -1.8)]))
    with pytest.raises(NoReadableImage, match=r"item 0: .*-1\.8 to -1\.8; .*value_range"):
        source.suggest_spec()
    spec = source.suggest_spec(value_range=(-2, 2))
    assert (read(source, spec)[0] == 13).all()


@pytest.mark.parametrize("item", ["text", np.zeros(5), None, np.zeros((8, 8), complex), ()])
def test_an_item_that_is_no_picture_is_a_failure(dataset_of, item):
    (failure,) = read(as_source(dataset_of([item])))[1]
    assert isinstance(failure.error, UnsupportedImage)
    assert str(failure.error).startswith("item 0: ")


def test_a_dataset_without_length_or_items_is_refused(dataset_of):
    data = pytest.importorskip("torch.utils.data")

    class Stream(data.IterableDataset):
        def __iter__(self):
            return iter([])

    with pytest.raises(InputError, match="no length; wanted a map-style Dataset"):
        as_source(Stream())
    with pytest.raises(EmptySource, match="has no items"):
        as_source(dataset_of([]))


def test_torch_is_not_imported():
    code = (
        "import sys, numpy as np; from residua.images.source import as_source\n"
        "s = as_source(np.zeros((2, 8, 8), np.uint8)); list(s.batches(s.suggest_spec(), 2))\n"
        "sys.exit('torch' in sys.modules or 'sklearn' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# ---- what is no source


@pytest.mark.parametrize("data", [3, {"a": 1}, b"bytes", [1, 2], None, [None]])
def test_what_is_no_source_is_refused_with_what_would_be(data):
    with pytest.raises(InputError, match="wanted a folder, a list of paths"):
        as_source(data)


@pytest.mark.parametrize("data", [[], (), iter([])])
def test_an_empty_list_is_an_empty_source(data):
    with pytest.raises(EmptySource):
        as_source(data)


def test_a_source_is_its_own_source():
    source = as_source(np.zeros((2, 8, 8), np.uint8))
    assert as_source(source) is source


# ---- the suggested spec


def suggested(*sizes: tuple[int, int], **options: object) -> tuple[int, int]:
    """The (height, width) suggested for Pillow images of these (width, height)."""
    spec = as_source([Image.new("L", size) for size in sizes]).suggest_spec(**options)
    return spec.height, spec.width


def test_pictures_of_one_small_size_keep_it():
    assert suggested((28, 28), (28, 28)) == (28, 28)
    assert suggested((256, 99), (256, 99)) == (99, 256)
    assert suggested((113, 251)) == (251, 113)


def test_larger_pictures_get_their_aspect_ratio_at_256():
    assert suggested((1024, 512)) == (128, 256)
    assert suggested((300, 600), (300, 600)) == (256, 128)


def test_pictures_of_several_sizes_get_the_median_ratio_and_side():
    assert suggested((100, 50), (120, 60), (40, 40)) == (50, 100)


def test_sides_below_eight_are_enlarged():
    assert suggested((3, 5)) == (8, 8)
    assert suggested((1000, 2)) == (8, 256)


def test_a_size_that_is_given_is_taken():
    assert suggested((28, 28), size=64) == (64, 64)
    assert suggested((28, 28), size=(1024, 8)) == (1024, 8)


@pytest.mark.parametrize(
    "options",
    [
        {"size": 4},
        {"size": (8, 1025)},
        {"channels": 0},
        {"resize": "squash"},
        {"value_range": (3, 1)},
        {"background": (0, 0, 300)},
    ],
)
def test_an_option_outside_its_range_is_named(options):
    (name,) = options
    with pytest.raises(ConfigurationError, match="height|width" if name == "size" else name):
        suggested((28, 28), **options)


def test_the_other_options_are_taken_as_they_are():
    source = as_source(np.zeros((2, 8, 8), np.uint8))
    spec = source.suggest_spec(resize="pad", value_range=(0, 9), background=(1, 2, 3), channels=3)
    assert (spec.resize, spec.value_range, spec.background, spec.channels) == (
        "pad",
        (0, 9),
        (1, 2, 3),
        3,
    )


def test_the_size_is_that_of_the_upright_picture(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("L", (40, 20)).save(tmp_path / "1.jpg", exif=exif)
    spec = as_source(tmp_path).suggest_spec()
    assert (spec.height, spec.width) == (40, 20)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "La", "I;16", "I;16B", "I", "F"])
def test_files_of_grey_modes_are_grey(mode):
    assert as_source([Image.new(mode, (8, 8))]).suggest_spec().channels == 1


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "CMYK", "LAB", "HSV", "YCbCr"])
def test_one_colour_file_makes_the_model_take_colour(mode):
    source = as_source([Image.new("L", (8, 8)), Image.new(mode, (8, 8))])
    assert source.suggest_spec().channels == 3


def test_a_palette_is_grey_if_all_its_colours_are():
    picture = Image.new("P", (8, 8))
    picture.putpalette([0, 0, 0, 9, 9, 9])
    assert as_source([picture]).suggest_spec().channels == 1
    picture.putpalette([0, 0, 0, 9, 9, 8])
    assert as_source([picture]).suggest_spec().channels == 3


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 7])
def test_arrays_keep_their_channels(channels):
    assert as_source(np.zeros((2, 9, 9, channels), np.uint8)).suggest_spec().channels == channels


def test_arrays_of_channels_that_do_not_agree_are_refused():
    source = as_source([np.zeros((9, 9, 4), np.uint8), np.zeros((9, 9), np.uint8)])
    with pytest.raises(BadArray, match="1 or 4 channels"):
        source.suggest_spec()


def test_the_range_of_deep_pictures_is_their_types_where_they_fit():
    pictures = [Image.new("F", (8, 8), 0.5), Image.new("I", (8, 8), 65535)]
    assert as_source(pictures).suggest_spec().value_range is None


def test_the_range_of_deep_pictures_that_do_not_fit_is_the_sampled_one():
    pictures = [Image.new("F", (8, 8), level) for level in (-3.0, 0.5, 700.0)]
    source = as_source(pictures)
    spec = source.suggest_spec()
    assert spec.value_range == (-3.0, 700.0)
    assert read(source, spec)[0][:, 0, 0, 0].tolist() == [0, 1, 255]
    assert as_source(pictures[:1]).suggest_spec().value_range == (-3.0, -2.0)


def test_bad_pictures_are_left_out_of_the_suggestion(tmp_path):
    draw(tmp_path / "1.png", size=(20, 10))
    (tmp_path / "0.png").touch()
    spec = as_source(tmp_path).suggest_spec()
    assert (spec.height, spec.width) == (10, 20)


def test_no_readable_picture_names_the_first_causes(tmp_path):
    for number in range(5):
        (tmp_path / f"{number}.png").touch()
    with pytest.raises(NoReadableImage, match=r"not one of the 5 .*0\.png is empty.*; and 2 more"):
        as_source(tmp_path).suggest_spec()


def test_no_more_than_256_pictures_are_looked_at(monkeypatch):
    looked_at = []
    source = PillowSource([Image.new("L", (8, 8))] * 1000)
    sample = PillowSource.sample
    monkeypatch.setattr(
        PillowSource,
        "sample",
        lambda self, index, **options: (looked_at.append(index), sample(self, index, **options))[1],
    )
    source.suggest_spec()
    assert len(set(looked_at)) == 256
    assert (min(looked_at), max(looked_at)) == (0, 999)


# ---- sequences that are computed where they are looked at


def test_a_lazy_sequence_is_like_the_list_of_it():
    squares = LazySequence(4, lambda i: i * i)
    assert squares == [0, 1, 4, 9]
    assert squares != [0, 1, 4]
    assert squares != "0149"
    assert squares[-1] == 9
    assert squares[1:3] == [1, 4]
    assert 4 in squares
    assert repr(squares) == "[0, 1, 4, 9]"
    with pytest.raises(IndexError):
        squares[4]


def test_small_files_are_read_by_one_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("residua.images.file_source.usable_processors", lambda: 3)
    noise = np.random.default_rng(0).integers(0, 256, (200, 200), np.uint8)
    for name, picture in (("small", noise[:20, :20]), ("large", noise)):
        (tmp_path / name).mkdir()
        for number in range(3):
            Image.fromarray(picture).save(tmp_path / name / f"{number}.png")
    assert FileSource.from_folder(tmp_path / "small")._threads_that_pay() == 1
    assert FileSource.from_folder(tmp_path / "large")._threads_that_pay() == 3
    assert FileSource([tmp_path / "missing.png"])._threads_that_pay() == 3
