from __future__ import annotations

import gzip
import hashlib
import io
import os
import socket
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from residua.errors import DatasetCorrupt, DatasetUnavailable, ResiduaError
from residua.images import published
from residua.images.datasets import DATASETS, load_dataset
from residua.images.idx import read_idx
from residua.images.published import data_home, unpack_caltech
from residua.images.source import ImageSource

IDX_NAMES = [f"{p}-{k}-ubyte.gz" for p in ("train", "t10k") for k in ("images-idx3", "labels-idx1")]


def idx_bytes(values: NDArray[np.uint8]) -> bytes:
    header = bytes([0, 0, 8, values.ndim])
    return header + np.array(values.shape, ">u4").tobytes() + values.tobytes()


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def dead_address() -> str:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{taken.getsockname()[1]}/"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of data, and no network."""
    address = dead_address()
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1")
    # The records are frozen, their dictionary is not.
    for files in (published.MNIST, published.FASHION_MNIST):
        monkeypatch.setitem(vars(files), "mirrors", (address, address + "second/"))
    monkeypatch.setattr(published, "_CALTECH_URLS", (address + "caltech-101.zip",))
    monkeypatch.setenv("RESIDUA_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


def pixels(source: ImageSource) -> NDArray[np.uint8]:
    return next(source.batches(source.suggest_spec(), len(source))).images


# Where data lie


def test_the_folder_of_data_is_the_one_that_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESIDUA_DATA", os.path.join("~", "pictures"))  # noqa: PTH118
    assert data_home() == Path.home() / "pictures"


def test_the_folder_of_data_is_else_in_the_users_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESIDUA_DATA", "")
    assert "residua" in data_home().parts
    assert data_home().is_absolute()


# IDX


@pytest.mark.parametrize("shape", [(5,), (3, 4, 6), (0, 28, 28), (2, 3, 4, 5)])
def test_what_was_written_as_idx_is_read_back(tmp_path: Path, shape: tuple[int, ...]) -> None:
    values = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    path = tmp_path / "values.gz"
    path.write_bytes(gzip.compress(idx_bytes(values)))
    found = read_idx(path, sha256(idx_bytes(values)))
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, values)


def test_however_it_was_compressed_the_content_counts(tmp_path: Path) -> None:
    content = idx_bytes(np.arange(100, dtype=np.uint8))
    for level in (0, 9):
        (tmp_path / "values.gz").write_bytes(gzip.compress(content, level))
        assert len(read_idx(tmp_path / "values.gz", sha256(content))) == 100


def damaged_in_the_middle(file: bytes) -> bytes:
    return file[:30] + bytes(byte ^ 0xFF for byte in file[30:40]) + file[40:]


@pytest.mark.parametrize(
    "damage",
    [
        lambda file: file[:-9],
        lambda file: file[:60],
        lambda file: b"no gzip",
        damaged_in_the_middle,
    ],
    ids=["end missing", "half missing", "no gzip", "bytes flipped"],
)
def test_a_damaged_idx_file_is_corrupt(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    content = idx_bytes(np.random.default_rng(0).integers(0, 256, 300, np.uint8))
    path = tmp_path / "values.gz"
    path.write_bytes(damage(gzip.compress(content)))
    with pytest.raises(DatasetCorrupt, match=r"values\.gz .*delete it"):
        read_idx(path, sha256(content))


def test_other_content_is_corrupt_and_both_hashes_are_named(tmp_path: Path) -> None:
    content = idx_bytes(np.zeros(3, np.uint8))
    path = tmp_path / "values.gz"
    path.write_bytes(gzip.compress(content))
    with pytest.raises(DatasetCorrupt, match="is not the published file") as error:
        read_idx(path, "0" * 64)
    assert sha256(content) in str(error.value)
    assert "0" * 64 in str(error.value)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0\0\x08",
        b"a text",
        b"\0\0\x0d\x01\0\0\0\x01\0\0\0\0",
        b"\0\0\x08\x02\0\0\0\x01\0",
        b"\0\0\x08\x01\0\0\0\x05\0",
        b"\0\0\x08\x01\0\0\0\x01\0\0",
    ],
    ids=["empty", "cut", "text", "floats", "axis missing", "values missing", "values left over"],
)
def test_what_is_no_idx_of_bytes_is_corrupt(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "values.gz"
    path.write_bytes(gzip.compress(content))
    with pytest.raises(DatasetCorrupt, match=r"is no IDX file|does not hold"):
        read_idx(path, sha256(content))


@pytest.fixture
def small_mnist(home: Path, monkeypatch: pytest.MonkeyPatch) -> Mapping[str, bytes]:
    """The four files of a small MNIST, whose hashes are the expected ones; none is on disk."""
    rng = np.random.default_rng(0)
    contents: dict[str, bytes] = {}
    for name in IDX_NAMES:
        count = 6 if name.startswith("train") else 4
        shape = (count, 28, 28) if "images" in name else (count,)
        contents[name] = idx_bytes(rng.integers(0, 10, shape, np.uint8))
    hashes = {name: sha256(content) for name, content in contents.items()}
    monkeypatch.setitem(vars(published.MNIST), "hashes", hashes)
    return contents


def put(home: Path, contents: Mapping[str, bytes]) -> None:
    (home / "mnist").mkdir(parents=True)
    for name, content in contents.items():
        (home / "mnist" / name).write_bytes(gzip.compress(content))


def test_mnist_is_its_training_pictures_and_then_its_test_pictures(
    home: Path, small_mnist: Mapping[str, bytes]
) -> None:
    put(home, small_mnist)
    train, test, whole = (load_dataset("mnist", split) for split in ("train", "test", None))
    assert (len(train), len(test)) == (6, 4)
    np.testing.assert_array_equal(pixels(whole), np.concatenate([pixels(train), pixels(test)]))
    labels = np.frombuffer(small_mnist["train-labels-idx1-ubyte.gz"], np.uint8)[8:]
    assert list(train.labels or ()) == [str(label) for label in labels]


def test_mnist_is_on_disk_when_all_four_files_are(
    home: Path, small_mnist: Mapping[str, bytes]
) -> None:
    put(home, small_mnist)
    assert DATASETS["mnist"].on_disk()
    (home / "mnist" / IDX_NAMES[3]).unlink()
    assert not DATASETS["mnist"].on_disk()


def test_a_file_on_disk_with_other_content_is_corrupt_and_stays(
    home: Path, small_mnist: Mapping[str, bytes]
) -> None:
    name = IDX_NAMES[0]
    put(home, {**small_mnist, name: b"another"})
    with pytest.raises(DatasetCorrupt, match=f"{name} is not the published file"):
        load_dataset("mnist", "train")
    assert (home / "mnist" / name).is_file()


def test_missing_files_are_fetched_checked_and_kept(
    home: Path, small_mnist: Mapping[str, bytes], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[list[str]] = []

    def fetch(urls: list[str], final: Path, unpack: Callable[[Path, Path], None]) -> None:
        asked.append(urls)
        final.parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "fetched").write_bytes(gzip.compress(small_mnist[final.name]))
        unpack(tmp_path / "fetched", final)

    monkeypatch.setattr(published, "fetch", fetch)
    assert len(load_dataset("mnist", "test")) == 4
    assert len(load_dataset("mnist", "test")) == 4
    mirrors = published.MNIST.mirrors
    assert asked == [[mirror + name for mirror in mirrors] for name in IDX_NAMES[2:]]


# Without network


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_without_network_the_text_says_which_files_go_where(home: Path, name: str) -> None:
    assert not DATASETS[name].on_disk()
    with pytest.raises(DatasetUnavailable, match="no mirror answers") as error:
        load_dataset(name)
    text = str(error.value)
    assert all(file in text for file in IDX_NAMES)
    assert f"into {home / name}." in text
    assert all(mirror in text for mirror in vars(published.MNIST)["mirrors"])
    assert "'digits' and 'surfaces' need no download" in text


def test_without_network_the_text_says_where_caltech_is_unpacked(home: Path) -> None:
    assert not DATASETS["caltech101"].on_disk()
    with pytest.raises(DatasetUnavailable, match=r"Unpack caltech-101\.zip") as error:
        load_dataset("caltech101")
    assert str(home / "caltech101/101_ObjectCategories") in str(error.value)
    assert "'digits' and 'surfaces' need no download" in str(error.value)


def test_magnetic_tile_is_never_downloaded_but_says_where_to_get_it(home: Path) -> None:
    assert not DATASETS["magnetic-tile"].on_disk()
    with pytest.raises(DatasetUnavailable, match="MT_Free, MT_Blowhole") as error:
        load_dataset("magnetic-tile")
    assert "https://github.com/abin24/Magnetic-tile-defect-datasets." in str(error.value)
    assert str(home / "magnetic-tile") in str(error.value)


@pytest.mark.parametrize("name", ["digits", "surfaces"])
def test_digits_and_surfaces_need_no_network(home: Path, name: str) -> None:
    options = {"n": 2, "size": (16, 16)} if name == "surfaces" else {}
    assert len(load_dataset(name, **options)) >= 2
    assert not home.exists()


# Caltech-101


def jpeg(level: int) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (12, 9), (level, 0, 0)).save(stream, "JPEG")
    return stream.getvalue()


PICTURES = {
    "BACKGROUND_Google/image_0001.jpg": jpeg(1),
    "ant/image_0001.jpg": jpeg(2),
    "ant/image_0002.jpg": jpeg(3),
}


def caltech_archive(path: Path, members: Mapping[str, bytes]) -> Path:
    inner = io.BytesIO()
    with tarfile.open(fileobj=inner, mode="w:gz") as tar:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as outer:
        outer.writestr("caltech-101/Annotations.tar", b"")
        outer.writestr("caltech-101/101_ObjectCategories.tar.gz", inner.getvalue())
    return path


def in_tar(pictures: Mapping[str, bytes]) -> dict[str, bytes]:
    return {f"101_ObjectCategories/{name}": content for name, content in pictures.items()}


@pytest.fixture
def small_caltech(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let three pictures be the published ones."""
    digest = hashlib.sha256()
    for name, content in sorted(PICTURES.items()):
        digest.update(name.encode() + b"\0" + hashlib.sha256(content).digest())
    monkeypatch.setattr(published, "_CALTECH_SHA256", digest.hexdigest())
    monkeypatch.setattr(published, "CALTECH_IMAGES", len(PICTURES))


@pytest.mark.usefixtures("small_caltech")
def test_caltech_is_unpacked_from_the_tar_within_the_zip(tmp_path: Path) -> None:
    archive = caltech_archive(tmp_path / "fetched", in_tar(PICTURES))
    unpack_caltech(archive, tmp_path / "unpacked")
    found = {
        path.relative_to(tmp_path / "unpacked").as_posix(): path.read_bytes()
        for path in (tmp_path / "unpacked").rglob("*.jpg")
    }
    assert found == PICTURES


@pytest.mark.usefixtures("small_caltech")
@pytest.mark.parametrize("stray", [b"no picture", jpeg(9)], ids=["text", "picture"])
def test_the_stray_file_of_the_published_archive_is_no_picture_of_caltech(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stray: bytes
) -> None:
    members = in_tar({**PICTURES, "BACKGROUND_Google/tmp": stray})
    archive = caltech_archive(tmp_path / "fetched", members)

    def fetch(urls: list[str], final: Path, unpack: Callable[[Path, Path], None]) -> None:
        final.parent.mkdir(parents=True)
        unpack(archive, final)

    monkeypatch.setattr(published, "fetch", fetch)
    source = load_dataset("caltech101")
    assert list(source.ids) == list(PICTURES)
    assert list(source.labels or ()) == ["BACKGROUND_Google", "ant", "ant"]
    assert pixels(source).shape == (3, 9, 12, 3)


@pytest.mark.usefixtures("small_caltech")
def test_a_member_that_would_land_outside_the_folder_is_refused(tmp_path: Path) -> None:
    members = {**in_tar(PICTURES), "../../escaped.txt": b"out"}
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True)
    archive = caltech_archive(folder / "fetched", members)
    with pytest.raises(DatasetCorrupt, match="cannot be unpacked"):
        unpack_caltech(archive, folder / "unpacked")
    assert not list(tmp_path.rglob("escaped.txt"))
    assert not (folder / "unpacked").exists()


@pytest.mark.usefixtures("small_caltech")
@pytest.mark.parametrize(
    "pictures",
    [
        {**PICTURES, "ant/image_0002.jpg": jpeg(200)},
        {**PICTURES, "ant/image_0003.jpg": jpeg(3)},
        {"ant/image_0001.jpg": jpeg(2)},
        {},
    ],
    ids=["another", "one more", "fewer", "none"],
)
def test_other_pictures_than_the_published_are_corrupt(
    tmp_path: Path, pictures: Mapping[str, bytes]
) -> None:
    archive = caltech_archive(tmp_path / "fetched", in_tar(pictures))
    with pytest.raises(DatasetCorrupt, match="not the published ones: their SHA-256 is"):
        unpack_caltech(archive, tmp_path / "unpacked")
    assert not (tmp_path / "unpacked").exists()


def test_what_is_no_zip_is_corrupt(tmp_path: Path) -> None:
    (tmp_path / "fetched").write_bytes(b"<html>not found</html>")
    with pytest.raises(DatasetCorrupt, match="cannot be unpacked"):
        unpack_caltech(tmp_path / "fetched", tmp_path / "unpacked")


def test_a_zip_without_the_pictures_is_corrupt(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "fetched", "w") as archive:
        archive.writestr("readme.txt", b"")
    with pytest.raises(DatasetCorrupt, match=r"holds no 101_ObjectCategories\.tar\.gz"):
        unpack_caltech(tmp_path / "fetched", tmp_path / "unpacked")


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_damaged_archive_is_corrupt_wherever_the_damage_is(tmp_path: Path, share: float) -> None:
    content = {"101_ObjectCategories/a/b.jpg": np.random.default_rng(0).bytes(50_000)}
    archive = caltech_archive(tmp_path / "fetched", content)
    damaged = bytearray(archive.read_bytes())
    at = int(share * len(damaged))
    damaged[at : at + 4] = bytes(byte ^ 0xFF for byte in damaged[at : at + 4])
    archive.write_bytes(damaged)
    with pytest.raises(DatasetCorrupt, match="cannot be unpacked"):
        unpack_caltech(archive, tmp_path / "unpacked")


def test_an_archive_that_does_not_inflate_is_corrupt(tmp_path: Path) -> None:
    archive = caltech_archive(tmp_path / "fetched", in_tar(PICTURES))
    with zipfile.ZipFile(archive) as outer:
        member = outer.infolist()[-1]
    damaged = bytearray(archive.read_bytes())
    damaged[member.header_offset + 30 + len(member.filename)] = 0xFF  # no such kind of block
    archive.write_bytes(damaged)
    with pytest.raises(DatasetCorrupt, match="cannot be unpacked"):
        unpack_caltech(archive, tmp_path / "unpacked")


def test_a_caltech_folder_with_pictures_missing_is_corrupt(home: Path) -> None:
    folder = home / "caltech101/101_ObjectCategories/ant"
    folder.mkdir(parents=True)
    (folder / "image_0001.jpg").write_bytes(jpeg(1))
    with pytest.raises(DatasetCorrupt, match="holds 1 pictures and the published data set 9,144"):
        load_dataset("caltech101")


# Magnetic tiles


@pytest.fixture(params=["{}", "MT_{}/Imgs"], ids=["short", "published"])
def tiles(home: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Path:
    """Two sound tiles and one of each defect, in either layout."""
    counts = {kind: 2 if kind == "Free" else 1 for kind in published.TILE_COUNTS}
    monkeypatch.setattr(published, "TILE_COUNTS", counts)
    for kind, count in counts.items():
        folder = home / "magnetic-tile" / request.param.format(kind)
        folder.mkdir(parents=True)
        for number in range(count):
            mask = np.zeros((9, 12), np.uint8)
            mask[2:4, 3:5] = 0 if kind == "Free" else 255
            Image.new("L", (12, 9), 100).save(folder / f"{number}.jpg")
            Image.fromarray(mask).save(folder / f"{number}.png")
    return home / "magnetic-tile"


def test_tiles_have_their_kind_as_label_and_a_mask_where_defective(tiles: Path) -> None:
    assert DATASETS["magnetic-tile"].on_disk()
    source = load_dataset("magnetic-tile")
    assert list(source.labels or ()) == ["Free"] * 2 + list(published.TILE_COUNTS)[1:]
    assert pixels(source).shape == (7, 9, 12, 1)
    for index, label in enumerate(source.labels or ()):
        mask = source.mask(index)
        marked = 0 if mask is None else int(mask.sum())
        assert marked == (0 if label == "Free" else 4)


def test_a_tile_missing_is_corrupt_and_its_folder_named(tiles: Path) -> None:
    next(path for path in tiles.rglob("*.jpg") if "Crack" in str(path)).unlink()
    with pytest.raises(DatasetCorrupt, match=r"Crack.* holds 0 pictures, wanted 1"):
        load_dataset("magnetic-tile")


def test_tiles_with_a_kind_missing_are_not_on_disk(tiles: Path) -> None:
    next(path for path in tiles.iterdir() if "Fray" in path.name).rename(tiles / "elsewhere")
    assert not DATASETS["magnetic-tile"].on_disk()


# The published data, where they are on disk


def on_disk(name: str) -> ImageSource:
    if not DATASETS[name].on_disk():
        pytest.skip(f"{name} is not on disk in {data_home()}; RESIDUA_DATA names another folder")
    return load_dataset(name)


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_the_published_files_have_sixty_and_ten_thousand_pictures(name: str) -> None:
    on_disk(name)
    parts = {split: load_dataset(name, split) for split in ("train", "test")}
    assert {split: len(part) for split, part in parts.items()} == {"train": 60_000, "test": 10_000}
    labels = list(parts["test"].labels or ())
    assert set(labels) == {str(digit) for digit in range(10)}
    if name == "fashion-mnist":
        assert {labels.count(label) for label in labels[:100]} == {1000}
    else:
        assert labels[:10] == ["7", "2", "1", "0", "4", "1", "4", "9", "5", "9"]


def test_the_published_caltech_has_a_hundred_and_two_folders() -> None:
    source = on_disk("caltech101")
    labels = list(source.labels or ())
    assert len(set(labels)) == 102
    assert (labels.count("BACKGROUND_Google"), labels.count("airplanes")) == (467, 800)


def test_every_defective_tile_sampled_is_marked_and_no_sound_one() -> None:
    source = on_disk("magnetic-tile")
    assert source.has_masks
    labels = list(source.labels or ())
    for index in range(0, len(source), 37):
        mask = source.mask(index)
        assert (mask is not None and bool(mask.any())) == (labels[index] != "Free")


def test_what_a_data_set_raises_is_of_the_family(home: Path) -> None:
    for name in ("mnist", "fashion-mnist", "caltech101", "magnetic-tile"):
        with pytest.raises(ResiduaError):
            load_dataset(name)
