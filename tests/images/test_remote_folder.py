"""Pictures at URLs: what a folder of the disk gives, the same folder in a store gives too."""

from __future__ import annotations

import io
import pickle
from pathlib import Path, PureWindowsPath

import numpy as np
import pytest
from PIL import Image

from residua import storage
from residua.errors import (
    ConfigurationError,
    CredentialsRefused,
    EmptySource,
    ImageError,
    ImageTooLarge,
    NoReadableImage,
    StorageDenied,
    StorageError,
    StorageUnreachable,
    UnreadableFile,
)
from residua.images.preprocess import InputSpec
from residua.images.remote_folder import list_remote_folder
from residua.images.resolve import resolve_source
from residua.images.source import FileSource, as_source

SPEC = InputSpec(height=8, width=8, channels=1)


def png(level: int, side: int = 8) -> bytes:
    stream = io.BytesIO()
    Image.new("L", (side, side), level).save(stream, "PNG")
    return stream.getvalue()


def put(folder: Path, url: str, files: dict[str, bytes]) -> None:
    """Write the same files to both places."""
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    with storage.written(url) as copy:
        for name, content in files.items():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            (copy / name).write_bytes(content)


def everything(source) -> tuple:
    batches = list(source.batches(SPEC, 3))
    images = np.concatenate([batch.images for batch in batches])
    failed = [failure.id for batch in batches for failure in batch.failures]
    masks = [source.mask(i) for i in range(len(source))] if source.has_masks else []
    return (
        list(source.ids),
        None if source.labels is None else list(source.labels),
        images.tolist(),
        failed,
        [mask if mask is None else mask.tolist() for mask in masks],
        source.ignored,
    )


MVTEC = {
    "train/good/0.png": png(1),
    "train/good/1.png": png(2),
    "test/good/0.png": png(3),
    "test/crack/0.png": png(4),
    "test/crack/1.png": png(5),
    "ground_truth/crack/0_mask.png": png(255),
    "ground_truth/crack/1.png": png(0),
}
FOLDERS = {
    "flat": {f"{number}.png": png(number) for number in range(5)},
    "classes": {f"{'ab'[number % 2]}/deep/{number}.png": png(number) for number in range(5)},
    "odd names": {f"a b/{name}": png(7) for name in ("ü.png", "1#2.png", "%20.png", "[x]*.PNG")},
    "by content": {"a/picture": png(1), "b/notes": b"words", "c/empty": b"", "a/x.png": png(2)},
    "bad ones": {"0.png": png(1), "1.png": b"", "2.png": b"no picture", "3.png": png(2)},
    "hidden": {"a.png": png(1), ".b.png": png(2), "c/.d/e.png": png(3), ".f/g.png": png(4)},
    "mvtec": MVTEC,
}


@pytest.mark.parametrize("files", FOLDERS.values(), ids=FOLDERS.keys())
def test_a_folder_in_a_store_is_read_as_one_on_disk(files, bucket, tmp_path):
    put(tmp_path, f"{bucket}/in", files)
    assert everything(as_source(f"{bucket}/in")) == everything(as_source(tmp_path))
    assert as_source(f"{bucket}/in").paths is None


@pytest.mark.parametrize("prefer", ["train", "test"])
def test_the_parts_of_the_mvtec_layout_are_found_in_a_store(prefer, bucket, tmp_path):
    put(tmp_path, f"{bucket}/in", MVTEC)
    here = everything(resolve_source(tmp_path, prefer=prefer))
    assert everything(resolve_source(f"{bucket}/in", prefer=prefer)) == here
    assert everything(as_source(f"{bucket}/in/", split=prefer)) == here


def test_a_part_that_is_not_there_is_refused(bucket, tmp_path):
    put(tmp_path, f"{bucket}/in", FOLDERS["flat"])
    with pytest.raises(ConfigurationError, match="has no folder 'train'"):
        as_source(f"{bucket}/in", split="train")
    with pytest.raises(ConfigurationError, match="is one file; leave the split out"):
        as_source(f"{bucket}/in/0.png", split="train")


def test_one_object_and_a_list_of_them_go_by_their_urls(bucket, tmp_path):
    put(tmp_path, f"{bucket}/in", FOLDERS["flat"])
    one, missing = f"{bucket}/in/3.png", f"{bucket}/in/none.png"
    assert list(as_source(one).ids) == [one]
    mixed = as_source([one, missing, str(tmp_path / "4.png"), f"file://{tmp_path}/2.png"])
    (batch,) = mixed.batches(SPEC, 4)
    assert batch.images[:, 0, 0, 0].tolist() == [3, 4, 2]
    assert [failure.id for failure in batch.failures] == [missing]
    assert isinstance(batch.failures[0].error, UnreadableFile)
    assert f"there is nothing at {missing}" in str(batch.failures[0].error)


def test_an_object_that_is_bad_is_named_by_its_url(bucket):
    storage.write_bytes(f"{bucket}/in/cut.png", b"no picture")
    (batch,) = as_source(f"{bucket}/in").batches(SPEC, 4)
    assert f"{bucket}/in/cut.png is of no picture format" in str(batch.failures[0].error)


def test_a_mask_and_a_root_may_be_file_urls(tmp_path):
    for name, content in {"a.png": png(1), "mask.png": png(255)}.items():
        (tmp_path / name).write_bytes(content)
    top = f"file://{tmp_path}"
    source = FileSource([f"{top}/a.png"], mask_paths=[f"{top}/mask.png"], root=top)
    assert source.mask(0).all()
    assert list(source.ids) == ["a.png"]
    assert list(FileSource.from_folder(top).ids) == ["a.png", "mask.png"]


def test_a_mask_that_is_bad_is_named_by_its_url(bucket, tmp_path):
    put(tmp_path, f"{bucket}/in", MVTEC | {"ground_truth/crack/0_mask.png": b"no picture"})
    source = as_source(f"{bucket}/in", split="test")
    with pytest.raises(ImageError, match=f"{bucket}/in/ground_truth/crack/0_mask.png is of no"):
        source.mask(0)


def test_a_store_that_stops_answering_ends_the_reading_and_is_no_picture_s_fault(
    bucket, tmp_path, monkeypatch
):
    put(tmp_path, f"{bucket}/in", FOLDERS["flat"])
    source = as_source(f"{bucket}/in")

    for kind in (StorageUnreachable, CredentialsRefused, StorageError):

        def silent(url: str, size: int, kind: type[Exception] = kind) -> bytes:
            raise kind(f"the store of {url} does not answer")

        monkeypatch.setattr("residua.images.remote_folder.read_prefix", silent)
        with pytest.raises(kind):
            list(source.batches(SPEC, 4))


def test_an_object_that_alone_may_not_be_read_is_a_failure_of_its_own(bucket, monkeypatch):
    def denied(url: str, size: int) -> bytes:
        raise StorageDenied(f"the store does not let {url} be read")

    monkeypatch.setattr("residua.images.remote_folder.read_prefix", denied)
    (batch,) = FileSource([f"{bucket}/a.png"]).batches(SPEC, 4)
    assert isinstance(batch.failures[0].error, UnreadableFile)


def test_an_object_larger_than_any_picture_is_a_failure_and_not_read_to_its_end(
    bucket, monkeypatch
):
    monkeypatch.setattr("residua.images.remote_folder.MOST_BYTES", 100)
    storage.write_bytes(f"{bucket}/in/a.png", png(1) + bytes(100))
    store, _ = storage.filesystem(bucket)
    read, cat = [], store.cat_file
    monkeypatch.setattr(store, "cat_file", lambda *w, **o: read.append(cat(*w, **o)) or read[-1])
    (batch,) = as_source(f"{bucket}/in").batches(SPEC, 4)
    assert isinstance(batch.failures[0].error, ImageTooLarge)
    assert "has more than 100 bytes" in str(batch.failures[0].error)
    assert max(map(len, read)) == 101


def test_classes_and_masks_in_a_store_have_slashes_on_every_system(bucket, tmp_path, monkeypatch):
    put(tmp_path, f"{bucket}/in", MVTEC)
    storage.filesystem(bucket)
    with monkeypatch.context() as windows:
        windows.setattr("os.sep", "\\")
        windows.setattr("residua.images.folder.PurePath", PureWindowsPath)
        listing = list_remote_folder(f"{bucket}/in", "test")
    assert listing.labels == ["crack", "crack", "good"]
    assert listing.masks == ["ground_truth/crack/0_mask.png", "ground_truth/crack/1.png", None]


def test_a_source_of_objects_goes_to_another_process(bucket, tmp_path):
    put(tmp_path, f"{bucket}/in", FOLDERS["classes"])
    source = as_source(f"{bucket}/in")
    assert everything(pickle.loads(pickle.dumps(source))) == everything(source)


def test_folders_without_pictures_say_what_there_is(bucket):
    with pytest.raises(EmptySource, match=f"nothing below {bucket}/none"):
        as_source(f"{bucket}/none")
    storage.write_bytes(f"{bucket}/texts/a.txt", b"words")
    with pytest.raises(NoReadableImage, match=r"none of the 1 files .* is a picture \(1 × .txt\)"):
        as_source(f"{bucket}/texts")


def test_a_url_that_was_a_path_says_that_it_must_be_text():
    with pytest.raises(UnreadableFile, match="a URL is given as text"):
        as_source(Path("s3://bucket/folder"))


def test_the_spec_is_suggested_from_a_store_as_from_a_disk(bucket, tmp_path):
    files = {f"{number}.png": png(number, side=9 + number % 3) for number in range(12)}
    put(tmp_path, f"{bucket}/in", files | {"bad.png": b""})
    remote, local = as_source(f"{bucket}/in"), as_source(tmp_path)
    assert remote.suggest_spec() == local.suggest_spec()
    assert remote.take([0, 1]).looks_at_once == remote.looks_at_once > local.looks_at_once


def test_objects_are_read_by_more_threads_than_processors(bucket, tmp_path, monkeypatch):
    import threading

    put(tmp_path, f"{bucket}/in", FOLDERS["flat"])
    together = threading.Barrier(4, timeout=20)

    def late(url: str, size: int) -> bytes:
        together.wait()  # passes when four ask at once
        return png(1)

    monkeypatch.setattr("residua.images.remote_folder.read_prefix", late)
    source = FileSource([f"{bucket}/in/{number}.png" for number in range(4)])
    (batch,) = source.batches(SPEC, 4)
    assert len(batch.images) == 4
