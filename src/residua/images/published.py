"""Published data sets: where they lie on disk, how they come there, and that they are complete."""

from __future__ import annotations

import hashlib
import os
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from residua.errors import DatasetCorrupt, DatasetUnavailable
from residua.images.download import NoMirror, fetch
from residua.images.idx import read_idx
from residua.images.source import ArraySource, FileSource, ImageSource

_WITHOUT_NETWORK = "The data sets 'digits' and 'surfaces' need no download."


def data_home() -> Path:
    """Return the folder of downloaded data: ``RESIDUA_DATA``, else the user's cache folder."""
    if home := os.environ.get("RESIDUA_DATA"):
        return Path(home).expanduser()
    import pooch

    return Path(pooch.os_cache("residua"))


@dataclass(frozen=True)
class IdxFiles:
    """The four files of MNIST or of a data set laid out like it."""

    folder: str
    mirrors: tuple[str, ...]
    """Addresses of the folders that hold the four files."""
    hashes: Mapping[str, str]
    """SHA-256 of each unpacked file."""

    def there(self) -> bool:
        """Say whether all four files are on disk."""
        return all((data_home() / self.folder / name).is_file() for name in self.hashes)

    def open(self, split: str | None) -> ImageSource:
        """Open one split or both, downloading what is not on disk."""
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

MNIST = IdxFiles(
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

FASHION_MNIST = IdxFiles(
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
CALTECH_IMAGES = 9_144
_CALTECH_SHA256 = "49a0832332504aa64d0da01e4def96f0edde7925c63d72973b0723a6b639c73a"


def caltech_there() -> bool:
    """Say whether Caltech-101 is on disk."""
    return (data_home() / _CALTECH_FOLDER).is_dir()


def open_caltech(_split: str | None) -> ImageSource:
    """Open Caltech-101 as a whole, downloading it where it is not on disk."""
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
    if len(paths) != CALTECH_IMAGES:
        raise DatasetCorrupt(
            f"{folder} holds {len(paths):,} pictures and the published data set "
            f"{CALTECH_IMAGES:,}; delete the folder, or unpack the archive again"
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


TILE_COUNTS = MappingProxyType(
    {"Free": 952, "Blowhole": 115, "Break": 85, "Crack": 57, "Fray": 32, "Uneven": 103}
)
TILE_HOME = "https://github.com/abin24/Magnetic-tile-defect-datasets."


def tile_folders() -> dict[str, Path]:
    """Find each kind's folder, in the short layout or in the published one."""
    root = data_home() / "magnetic-tile"
    layouts = [{kind: root / kind for kind in TILE_COUNTS}]
    layouts.append({kind: root / f"MT_{kind}" / "Imgs" for kind in TILE_COUNTS})
    return next((f for f in layouts if all(path.is_dir() for path in f.values())), {})


def open_tiles(_split: str | None) -> ImageSource:
    """Open the magnetic tiles as a whole, with their masks."""
    # Not downloaded: copies in circulation differ in size, so that no hash holds for all.
    folders = tile_folders()
    if not folders:
        root = data_home() / "magnetic-tile"
        raise DatasetUnavailable(
            f"'magnetic-tile' is not on disk. Get it from {TILE_HOME} and put its folders "
            f"MT_Free, MT_Blowhole … (or Free, Blowhole …, each with <name>.jpg and its mask "
            f"<name>.png) into {root}. {_WITHOUT_NETWORK}"
        )
    paths = [path for folder in folders.values() for path in sorted(folder.glob("*.jpg"))]
    kinds = [kind for kind, folder in folders.items() for _ in folder.glob("*.jpg")]
    for kind, expected in TILE_COUNTS.items():
        if kinds.count(kind) != expected:
            raise DatasetCorrupt(
                f"{folders[kind]} holds {kinds.count(kind)} pictures, wanted {expected}; copy the "
                f"data set again"
            )
    masks = [path.with_suffix(".png") for path in paths]
    root = data_home() / "magnetic-tile"
    return FileSource(paths, labels=kinds, mask_paths=masks, root=root)
