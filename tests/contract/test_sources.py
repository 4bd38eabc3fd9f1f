"""What every kind of source must do, whatever its pictures are and wherever they come from."""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from residua.errors import BadArray, ConfigurationError, DamagedImage
from residua.images.joined import JoinedSource
from residua.images.preprocess import InputSpec
from residua.images.source import (
    ArraySource,
    Batch,
    EncodedSource,
    FileSource,
    ImageSource,
    ParquetSource,
    as_source,
)

COUNT = 11
BAD = (4, 8)
PNG_MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")
TIFF_MODES = (*PNG_MODES, "PA", "RGBX", "CMYK", "YCbCr", "LAB", "I", "F")
PILLOW_MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "HSV", "I")
LABELS = [f"class {number % 3}" for number in range(COUNT)]


def levels() -> np.ndarray:
    """Pictures (N, H, W), each of one level of its own."""
    return np.repeat(np.arange(COUNT, dtype=np.uint8) * 20, 9 * 12).reshape(COUNT, 9, 12)


def from_array(dtype: str, channels: int | None) -> Callable[[Path], ImageSource]:
    def make(folder: Path) -> ImageSource:
        images = {
            "uint8": levels,
            "uint16": lambda: levels().astype(np.uint16) * 257,
            "bool": lambda: levels() > 99,
            "float32": lambda: (levels() / 255).astype(np.float32),
            "float64": lambda: levels() / 255,
        }[dtype]()
        if channels is not None:
            images = np.repeat(images[..., np.newaxis], channels, axis=3)
        return ArraySource(images, labels=LABELS)

    return make


def from_files(mode: str, extension: str, *, bad: bool = False) -> Callable[[Path], ImageSource]:
    def make(folder: Path) -> ImageSource:
        for number, image in enumerate(levels()):
            path = folder / LABELS[number] / f"{number:02}.{extension}"
            path.parent.mkdir(exist_ok=True)
            if bad and number in BAD:
                path.write_bytes(b"")
            elif mode == "F":
                Image.fromarray(image.astype(np.float32) / 255).save(path)
            elif mode in ("I", "I;16"):
                dtype = {"I": np.int32, "I;16": np.uint16}[mode]
                Image.fromarray(image.astype(dtype) * dtype(257)).save(path)
            elif mode == "LAB":
                neutral = Image.new("L", (12, 9), 128)
                Image.merge("LAB", [Image.fromarray(image), neutral, neutral]).save(path)
            else:
                Image.fromarray(image).convert(mode).save(path)
        paths = sorted(folder.rglob(f"*.{extension}"), key=lambda path: path.name)
        return FileSource(paths, labels=LABELS, root=folder)

    return make


def from_folder(folder: Path) -> ImageSource:
    for number, image in enumerate(levels()):
        path = folder / f"class {number // 4}" / f"{number:02}"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(image).save(path, "PNG")
    return as_source(folder)


def from_pillow(mode: str) -> Callable[[Path], ImageSource]:
    return lambda folder: as_source([Image.fromarray(image).convert(mode) for image in levels()])


def from_torch(folder: Path) -> ImageSource:
    torch = pytest.importorskip("torch")
    data = pytest.importorskip("torch.utils.data")
    images = torch.from_numpy(levels())[:, None]
    return as_source(data.TensorDataset(images, torch.arange(COUNT)))


def from_broken_torch(folder: Path) -> ImageSource:
    data = pytest.importorskip("torch.utils.data")

    class Broken(data.Dataset):
        def __len__(self) -> int:
            return COUNT

        def __getitem__(self, index: int) -> np.ndarray:
            if index in BAD:
                raise DamagedImage("broken")
            return levels()[index]

    return as_source(Broken())


def from_encoded(format: str, *, bad: bool = False) -> Callable[[Path], ImageSource]:
    def load(index: int) -> bytes:
        if bad and index == BAD[0]:
            raise KeyError(index)
        if bad and index == BAD[1]:
            return b""
        stream = io.BytesIO()
        Image.fromarray(levels()[index]).save(stream, format)
        return stream.getvalue()

    names = [f"kept {number}" for number in range(COUNT)]
    return lambda folder: EncodedSource(load, COUNT, ids=names, labels=LABELS)


def from_parquet(folder: Path) -> ImageSource:
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    contents = []
    for number, image in enumerate(levels()):
        stream = io.BytesIO()
        Image.fromarray(image).save(stream, "PNG")
        contents.append(b"" if number in BAD else stream.getvalue())
    table = pa.table({"image": contents, "label": LABELS})
    pq.write_table(table, folder / "pictures.parquet", row_group_size=4)
    return as_source(folder)


def from_store(folder: Path) -> ImageSource:
    fsspec = pytest.importorskip("fsspec")
    top = f"/residua-contract{folder}"
    for path in sorted(from_files("L", "png", bad=True)(folder).paths):
        fsspec.filesystem("memory").pipe_file(f"{top}/{path.name}", path.read_bytes())
    return as_source(f"memory:/{top}")


SOURCES: dict[str, Callable[[Path], ImageSource]] = {
    **{
        f"array {dtype} {channels}": from_array(dtype, channels)
        for dtype in ("uint8", "uint16", "bool", "float32", "float64")
        for channels in (None, 1, 3, 4)
    },
    **{f"png {mode}": from_files(mode, "png") for mode in PNG_MODES},
    **{f"tiff {mode}": from_files(mode, "tif") for mode in TIFF_MODES},
    **{f"{ext}": from_files("RGB", ext) for ext in ("jpg", "bmp", "gif", "webp", "tga", "ppm")},
    **{f"pillow {mode}": from_pillow(mode) for mode in PILLOW_MODES},
    "folder": from_folder,
    "torch": from_torch,
    "files with bad ones": from_files("L", "png", bad=True),
    "torch with bad ones": from_broken_torch,
    **{f"encoded {format}": from_encoded(format) for format in ("PNG", "JPEG")},
    "encoded with bad ones": from_encoded("PNG", bad=True),
    "parquet with bad ones": from_parquet,
    "store with bad ones": from_store,
    "subset": lambda folder: as_source(np.repeat(levels(), 2, axis=0)).take(range(0, 2 * COUNT, 2)),
    "subset of subset with bad ones": lambda folder: (
        from_files("L", "png", bad=True)(folder).take(range(COUNT)).take(range(COUNT))
    ),
    "joined with bad ones": lambda folder: JoinedSource(
        [
            from_files("L", "png", bad=True)(folder).take(range(6)),
            from_files("L", "png", bad=True)(folder).take(range(6, COUNT)),
        ]
    ),
}


@pytest.fixture(params=SOURCES.values(), ids=SOURCES.keys())
def source(request: pytest.FixtureRequest, tmp_path: Path) -> ImageSource:
    return request.param(tmp_path)


@pytest.fixture
def spec(source: ImageSource) -> InputSpec:
    # A size of its own, so that every picture is resized.
    return source.suggest_spec(size=(10, 14))


def joined(batches: list[Batch]) -> tuple[list[int], np.ndarray, list[int]]:
    """Indices, pictures, and the indices of failures."""
    return (
        [index for batch in batches for index in batch.indices.tolist()],
        np.concatenate([batch.images for batch in batches]),
        [failure.index for batch in batches for failure in batch.failures],
    )


def same(one: list[Batch], other: list[Batch]) -> bool:
    a, b = joined(one), joined(other)
    return a[0] == b[0] and np.array_equal(a[1], b[1]) and a[2] == b[2]


@pytest.mark.parametrize("size", [1, 4, 100])
def test_each_index_comes_exactly_once_and_in_order(source, spec, size):
    batches = list(source.batches(spec, size))
    indices, _, failed = joined(batches)
    assert sorted(indices + failed) == list(range(COUNT))
    assert indices == sorted(indices)
    assert failed == sorted(failed)
    for batch, start in zip(batches, range(0, COUNT, size), strict=True):
        asked = set(range(start, min(start + size, COUNT)))
        assert {*batch.indices.tolist(), *(f.index for f in batch.failures)} == asked
        assert batch.images.shape == (len(batch.indices), *spec.shape)
        assert batch.images.dtype == np.uint8
        assert batch.indices.dtype == np.int64


def test_every_picture_is_its_own(source, spec):
    _, images, _ = joined(list(source.batches(spec, 3)))
    level = images.mean(axis=(1, 2, 3)).tolist()
    assert level == sorted(level)
    assert level[0] < level[-1]


def test_the_batch_size_does_not_change_the_pictures(source, spec):
    assert same(list(source.batches(spec, 1)), list(source.batches(spec, 5)))


def test_reading_twice_gives_the_same(source, spec):
    assert same(list(source.batches(spec, 4)), list(source.batches(spec, 4)))


def test_one_worker_and_four_give_the_same(source, spec):
    one, four = (list(source.batches(spec, 4, workers=workers)) for workers in (1, 4))
    assert same(one, four)


def test_indices_choose_pictures_and_their_order(source, spec):
    chosen = [7, 2, 2, 4, 0]
    everything = dict(zip(*joined(list(source.batches(spec, 4)))[:2], strict=True))
    indices, images, failed = joined(list(source.batches(spec, 2, chosen)))
    assert [i for i in chosen if i in everything] == indices
    assert [i for i in chosen if i not in everything] == failed
    assert all(np.array_equal(everything[i], p) for i, p in zip(indices, images, strict=True))
    few = np.zeros(COUNT, bool)
    few[[2, 7]] = True
    assert joined(list(source.batches(spec, 2, few)))[0] == [2, 7]


def test_no_indices_give_no_batches(source, spec):
    assert list(source.batches(spec, 4, [])) == []
    assert len(source.take([])) == 0


def test_a_subset_keeps_ids_labels_and_paths(source):
    chosen = [5, 1, 9]
    subset = source.take(chosen)
    assert len(subset) == 3
    assert subset.ids == [source.ids[i] for i in chosen]
    assert subset.labels == (source.labels and [source.labels[i] for i in chosen])
    assert subset.paths == (source.paths and [source.paths[i] for i in chosen])
    assert subset.has_masks == source.has_masks
    assert subset.in_memory == source.in_memory


def test_a_subset_reads_the_pictures_chosen(source, spec):
    chosen = [7, 4, 2, 4, 8]
    indices, images, failed = joined(list(source.batches(spec, 2, chosen)))
    batches = list(source.take(chosen).batches(spec, 3))
    own_indices, own_images, own_failed = joined(batches)
    assert [chosen[i] for i in own_indices] == indices
    assert [chosen[i] for i in own_failed] == failed
    assert np.array_equal(own_images, images)
    for batch in batches:
        for failure in batch.failures:
            assert failure.id == source.ids[chosen[failure.index]]


@pytest.mark.parametrize(("start", "stop"), [(0, 1), (3, 9), (5, COUNT)])
def test_a_portion_that_was_sent_elsewhere_is_that_run_of_the_source(source, spec, start, stop):
    if not isinstance(source, FileSource | ParquetSource):
        with pytest.raises(ConfigurationError, match="other machines"):
            source.portion(start, stop)
        return
    portion = source.portion(start, stop)
    sent = pickle.loads(pickle.dumps(portion))
    assert sent.ids == source.ids[start:stop]
    assert sent.labels == (source.labels and source.labels[start:stop])
    assert sent.paths == (source.paths and source.paths[start:stop])
    indices, images, failed = joined(list(source.batches(spec, 2, range(start, stop))))
    own_indices, own_images, own_failed = joined(list(sent.batches(spec, 3)))
    assert [start + i for i in own_indices] == indices
    assert [start + i for i in own_failed] == failed
    assert np.array_equal(own_images, images)


def test_a_portion_of_a_portion_counts_from_its_start(tmp_path):
    source = from_parquet(tmp_path)
    assert source.portion(3, 10).portion(2, 5).ids == source.ids[5:8]
    assert len(source.portion(3, 10).portion(2, 5)) == 3


def test_ids_are_printable_and_one_a_picture(source):
    assert len(source) == len(source.ids) == COUNT
    assert len(set(source.ids)) == COUNT
    for name in source.ids:
        name.encode()


def test_labels_are_one_a_picture_or_none(source):
    assert source.labels is None or len(source.labels) == COUNT
    assert source.paths is None or len(source.paths) == COUNT


def test_without_masks_there_is_no_mask(source):
    assert not source.has_masks
    assert source.mask(0) is None


@pytest.mark.parametrize("resize", ["stretch", "pad", "crop"])
@pytest.mark.parametrize("channels", [None, 1, 3])
def test_any_spec_that_fits_is_met(source, resize, channels):
    spec = source.suggest_spec(size=(16, 9), channels=channels, resize=resize)
    if source.suggest_spec().channels == 4 and channels is not None:
        # Four channels are no colours: nothing says how they would become grey or RGB.
        with pytest.raises(BadArray, match="channels"):
            next(iter(source.batches(spec, 4)))
        return
    for batch in source.batches(spec, 4):
        assert batch.images.shape[1:] == spec.shape


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"size": 0}, "batch size is 0"),
        ({"size": 1, "workers": 0}, "workers is 0"),
        ({"size": 1, "indices": [COUNT]}, f"index {COUNT} is outside the source; wanted 0 to 10"),
        ({"size": 1, "indices": [-1]}, "index -1"),
        ({"size": 1, "indices": [0.5]}, "whole numbers"),
        ({"size": 1, "indices": [True]}, "1 booleans"),
        ({"size": 1, "indices": [[1]]}, r"shape \(1, 1\)"),
    ],
)
def test_what_cannot_be_asked_for_is_refused_at_once(source, spec, arguments, said):
    with pytest.raises(ConfigurationError, match=said):
        source.batches(spec, **arguments)
