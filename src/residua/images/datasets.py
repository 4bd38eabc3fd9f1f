"""The registered data sets: what they are, where they lie, and how they come there."""

from __future__ import annotations

import hashlib
import os
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from residua.errors import (
    ConfigurationError,
    DatasetCorrupt,
    DatasetUnavailable,
    MissingExtra,
    UnknownDataset,
    nearest_names,
)
from residua.images.download import NoMirror, fetch
from residua.images.idx import read_idx
from residua.images.source import ArraySource, FileSource, ImageSource
from residua.images.surfaces import generate_surfaces

_WITHOUT_NETWORK = "The data sets 'digits' and 'surfaces' need no download."


def data_home() -> Path:
    """Return the folder of downloaded data: ``RESIDUA_DATA``, else the user's cache folder."""
    if home := os.environ.get("RESIDUA_DATA"):
        return Path(home).expanduser()
    import pooch

    return Path(pooch.os_cache("residua"))


@dataclass(frozen=True)
class Dataset:
    """A registered data set."""

    name: str
    title: str
    n_images: int | None
    """Pictures in all; None: as many as are asked for."""
    shape: str
    """Size and colour of the pictures, in words."""
    size: str
    """Size of the files on disk, in words."""
    licence: str
    homepage: str
    splits: tuple[str, ...]
    """Names of its published parts; empty: it comes as a whole."""
    is_there: Callable[[], bool]
    open: Callable[..., ImageSource]
    """Takes the split and options; fetches what is not there."""

    def on_disk(self) -> bool:
        """Say whether it can be loaded without a download."""
        return self.is_there()

    def load(self, split: str | None = None, **options: Any) -> ImageSource:
        """Load it, or one of its splits.

        Raises
        ------
        ConfigurationError
            It has no such split or option.
        DatasetUnavailable
            It is not on disk and no mirror answers.
        DatasetCorrupt
            The files are not the published ones.
        """
        if split is not None and split not in self.splits:
            has = f"its splits are {', '.join(self.splits)}" if self.splits else "it has none"
            raise ConfigurationError(f"{self.name!r} has no split {split!r}; {has}")
        try:
            return self.open(split, **options)
        except TypeError as error:
            if not options:
                raise
            raise ConfigurationError(
                f"{self.name!r} does not take the options {', '.join(options)}: {error}"
            ) from error


def load_dataset(name: str, split: str | None = None, **options: Any) -> ImageSource:
    """Load a registered data set.

    Parameters
    ----------
    name : str
        A name from `DATASETS`.
    split : str or None, default=None
        One of its splits; None: all of it.
    **options
        For "surfaces": ``n`` (int), ``size`` ((rows, columns) in pixels), ``channels`` (1 or 3)
        and ``seed`` (int).

    Raises
    ------
    UnknownDataset
        No such name; the nearest are offered.
    ConfigurationError, DatasetUnavailable, DatasetCorrupt
        See `Dataset.load`.

    Examples
    --------
    >>> len(load_dataset("digits", "train"))
    1200
    """
    if name not in DATASETS:
        raise UnknownDataset(f"no data set is called {name!r}; {nearest_names(name, DATASETS)}")
    return DATASETS[name].load(split, **options)


def _digits(split: str | None) -> ImageSource:
    try:
        from sklearn.datasets import load_digits
    except ModuleNotFoundError as error:
        raise MissingExtra.of("sklearn", "train") from error
    digits = load_digits()
    images = np.rint(digits.images * (255 / 16)).astype(np.uint8)
    part = {None: slice(None), "train": slice(1200), "test": slice(1200, None)}[split]
    return ArraySource(images[part], labels=[str(label) for label in digits.target[part]])


def _surfaces(
    split: str | None,
    n: int | None = None,
    size: tuple[int, int] = (128, 128),
    channels: int = 1,
    seed: int = 0,
) -> ImageSource:
    """``n`` sound pictures to train on; half of ``n`` sound and half defective ones to test on."""
    if n is not None and n < 1:
        raise ConfigurationError(f"n is {n}; at least 1 surface is generated")
    if split == "train":
        made = generate_surfaces(n or 512, 0, size=size, seed=seed, channels=channels)
    else:
        count = n or 320
        made = generate_surfaces(
            count - count // 2, count // 2, size=size, seed=seed, channels=channels, stream=1
        )
    return ArraySource(made.images, labels=made.labels, masks=made.masks)


@dataclass(frozen=True)
class _IdxFiles:
    """The four files of MNIST or of a data set laid out like it."""

    folder: str
    mirrors: tuple[str, ...]
    """Addresses of the folders that hold the four files."""
    hashes: Mapping[str, str]
    """SHA-256 of each unpacked file."""

    def there(self) -> bool:
        return all((data_home() / self.folder / name).is_file() for name in self.hashes)

    def open(self, split: str | None) -> ImageSource:
        parts = [_IDX_PART[split]] if split else list(_IDX_PART.values())
        images = np.concatenate([self._read(f"{part}-images-idx3-ubyte.gz") for part in parts])
        labels = np.concatenate([self._read(f"{part}-labels-idx1-ubyte.gz") for part in parts])
        return ArraySource(images, labels=[str(label) for label in labels])

    def _read(self, name: str) -> np.ndarray[Any, np.dtype[np.uint8]]:
        path, sha256 = data_home() / self.folder / name, self.hashes[name]
        if not path.is_file():

            def unpack(fetched: Path, target: Path) -> None:
                read_idx(fetched, sha256)
                shutil.copyfile(fetched, target)

            try:
                fetch([mirror + name for mirror in self.mirrors], path, unpack)
            except NoMirror as error:
                raise DatasetUnavailable(
                    f"{name} of {self.folder!r} is not on disk and no mirror answers ({error}). "
                    f"Put the four files {', '.join(sorted(self.hashes))} into {path.parent}. "
                    f"{_WITHOUT_NETWORK}"
                ) from error
        return read_idx(path, sha256)


_IDX_PART = MappingProxyType({"train": "train", "test": "t10k"})

_MNIST = _IdxFiles(
    "mnist",
    (
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    ),
    MappingProxyType(
        {
            "train-images-idx3-ubyte.gz": (
                "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"
            ),
            "train-labels-idx1-ubyte.gz": (
                "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"
            ),
            "t10k-images-idx3-ubyte.gz": (
                "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"
            ),
            "t10k-labels-idx1-ubyte.gz": (
                "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"
            ),
        }
    ),
)

_FASHION = _IdxFiles(
    "fashion-mnist",
    (
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
    ),
    MappingProxyType(
        {
            "train-images-idx3-ubyte.gz": (
                "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888"
            ),
            "train-labels-idx1-ubyte.gz": (
                "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9"
            ),
            "t10k-images-idx3-ubyte.gz": (
                "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b"
            ),
            "t10k-labels-idx1-ubyte.gz": (
                "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"
            ),
        }
    ),
)

_CALTECH_FOLDER = "caltech101/101_ObjectCategories"
_CALTECH_URLS = ("https://data.caltech.edu/records/mzrjq-6wc02/files/caltech-101.zip",)
_CALTECH_IMAGES = 9_144
_CALTECH_SHA256 = "49a0832332504aa64d0da01e4def96f0edde7925c63d72973b0723a6b639c73a"


def _caltech_there() -> bool:
    return (data_home() / _CALTECH_FOLDER).is_dir()


def _caltech(_split: str | None) -> ImageSource:
    folder = data_home() / _CALTECH_FOLDER
    if not folder.is_dir():
        try:
            fetch(_CALTECH_URLS, folder, unpack_caltech)
        except NoMirror as error:
            raise DatasetUnavailable(
                f"'caltech101' is not on disk and no mirror answers ({error}). Unpack "
                f"caltech-101.zip from {_CALTECH_URLS[0]} so that the class folders lie in "
                f"{folder}. {_WITHOUT_NETWORK}"
            ) from error
    # By extension: the archive also holds a stray picture, BACKGROUND_Google/tmp.
    paths = sorted(folder.glob("*/*.jpg"))
    if len(paths) != _CALTECH_IMAGES:
        raise DatasetCorrupt(
            f"{folder} holds {len(paths):,} pictures and the published data set "
            f"{_CALTECH_IMAGES:,}; delete the folder, or unpack the archive again"
        )
    return FileSource(paths, labels=[path.parent.name for path in paths], root=folder)


def unpack_caltech(archive: Path, target: Path) -> None:
    """Unpack the published archive, a tar within a zip, and check every picture of it."""
    staging = target.with_name("staging")
    try:
        with zipfile.ZipFile(archive) as outer:
            inner = next(n for n in outer.namelist() if n.endswith("101_ObjectCategories.tar.gz"))
            with outer.open(inner) as stream, tarfile.open(fileobj=stream, mode="r|gz") as tar:
                # The filter refuses members that would land outside the folder.
                tar.extractall(staging, filter="data")
    except StopIteration as error:
        raise DatasetCorrupt("the archive holds no 101_ObjectCategories.tar.gz") from error
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, ValueError) as error:
        raise DatasetCorrupt(f"the archive cannot be unpacked ({error})") from error
    folder = staging / "101_ObjectCategories"
    found = _hash_of_pictures(folder)
    if found != _CALTECH_SHA256:
        raise DatasetCorrupt(
            f"the pictures are not the published ones: their SHA-256 is {found}, wanted "
            f"{_CALTECH_SHA256}"
        )
    folder.rename(target)


def _hash_of_pictures(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.jpg")):
        name = path.relative_to(folder).as_posix().encode()
        digest.update(name + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


_TILE_COUNTS = MappingProxyType(
    {"Free": 952, "Blowhole": 115, "Break": 85, "Crack": 57, "Fray": 32, "Uneven": 103}
)
_TILE_HOME = "https://github.com/abin24/Magnetic-tile-defect-datasets."


def _tile_folders() -> dict[str, Path]:
    """Find each kind's folder, in the short layout or in the published one."""
    root = data_home() / "magnetic-tile"
    layouts = [{kind: root / kind for kind in _TILE_COUNTS}]
    layouts.append({kind: root / f"MT_{kind}" / "Imgs" for kind in _TILE_COUNTS})
    return next((f for f in layouts if all(path.is_dir() for path in f.values())), {})


def _tiles(_split: str | None) -> ImageSource:
    # Not downloaded: copies in circulation differ in size, so that no hash holds for all.
    folders = _tile_folders()
    if not folders:
        root = data_home() / "magnetic-tile"
        raise DatasetUnavailable(
            f"'magnetic-tile' is not on disk. Get it from {_TILE_HOME} and put its folders "
            f"MT_Free, MT_Blowhole … (or Free, Blowhole …, each with <name>.jpg and its mask "
            f"<name>.png) into {root}. {_WITHOUT_NETWORK}"
        )
    paths = [path for folder in folders.values() for path in sorted(folder.glob("*.jpg"))]
    kinds = [kind for kind, folder in folders.items() for _ in folder.glob("*.jpg")]
    for kind, expected in _TILE_COUNTS.items():
        if kinds.count(kind) != expected:
            raise DatasetCorrupt(
                f"{folders[kind]} holds {kinds.count(kind)} pictures, wanted {expected}; copy the "
                f"data set again"
            )
    masks = [path.with_suffix(".png") for path in paths]
    root = data_home() / "magnetic-tile"
    return FileSource(paths, labels=kinds, mask_paths=masks, root=root)


DATASETS: Mapping[str, Dataset] = MappingProxyType(
    {
        dataset.name: dataset
        for dataset in (
            Dataset(
                name="digits",
                title="handwritten digits (UCI)",
                n_images=1_797,
                shape="8 × 8 grey",
                size="with scikit-learn",
                licence="CC BY 4.0",
                homepage="https://archive.ics.uci.edu/dataset/80",
                splits=("train", "test"),
                is_there=lambda: True,
                open=_digits,
            ),
            Dataset(
                name="surfaces",
                title="machined plates, defects with masks",
                n_images=None,
                shape="any (128 × 128 grey)",
                size="generated",
                licence="Apache-2.0",
                homepage="https://pypi.org/project/residua/",
                splits=("train", "test"),
                is_there=lambda: True,
                open=_surfaces,
            ),
            Dataset(
                name="mnist",
                title="handwritten digits (LeCun et al.)",
                n_images=70_000,
                shape="28 × 28 grey",
                size="12 MB",
                licence="CC BY-SA 3.0",
                homepage="http://yann.lecun.com/exdb/mnist/",
                splits=("train", "test"),
                is_there=_MNIST.there,
                open=_MNIST.open,
            ),
            Dataset(
                name="fashion-mnist",
                title="articles of clothing (Zalando)",
                n_images=70_000,
                shape="28 × 28 grey",
                size="31 MB",
                licence="MIT",
                homepage="https://github.com/zalandoresearch/fashion-mnist",
                splits=("train", "test"),
                is_there=_FASHION.there,
                open=_FASHION.open,
            ),
            Dataset(
                name="caltech101",
                title="objects and background (Fei-Fei et al.)",
                n_images=_CALTECH_IMAGES,
                shape="about 300 × 200 RGB",
                size="151 MB",
                licence="CC BY 4.0",
                homepage="https://data.caltech.edu/records/mzrjq-6wc02",
                splits=(),
                is_there=_caltech_there,
                open=_caltech,
            ),
            Dataset(
                name="magnetic-tile",
                title="tiles, defects with masks (Huang et al.)",
                n_images=sum(_TILE_COUNTS.values()),
                shape="up to 400 a side, grey",
                size="14 to 200 MB",
                licence="for research",
                homepage=_TILE_HOME,
                splits=(),
                is_there=lambda: bool(_tile_folders()),
                open=_tiles,
            ),
        )
    }
)
