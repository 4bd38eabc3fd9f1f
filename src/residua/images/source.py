"""Pictures from wherever they are: the sources, and the one function that picks among them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from PIL import Image

from residua.errors import (
    ConfigurationError,
    EmptySource,
    InputError,
    NoReadableImage,
    UnreadableFile,
)
from residua.images.array_source import ArraySource
from residua.images.base import ImageSource
from residua.images.batches import Batch, Failure
from residua.images.decode import printable
from residua.images.encoded_source import EncodedSource
from residua.images.file_source import FileSource
from residua.images.folder import Split
from residua.images.item_source import PillowSource, TorchDatasetSource, is_torch_dataset
from residua.images.parquet_source import ParquetSource, is_parquet, tables_below
from residua.storage import as_local, is_object

__all__ = [
    "ArraySource",
    "Batch",
    "EncodedSource",
    "Failure",
    "FileSource",
    "ImageSource",
    "ParquetSource",
    "PillowSource",
    "TorchDatasetSource",
    "as_source",
]

# What is left of s3://bucket once it was a Path.
_URL_OF_PATHLIB = re.compile(r"(s3|gs|gcs|az|abfss?|memory):/")


def as_source(data: Any, *, split: Split | None = None) -> ImageSource:
    """Return the source that fits the type of ``data``.

    Parameters
    ----------
    data : ImageSource, path, list of paths, array, list of arrays, Pillow image or images, or \
            torch Dataset
        A path is a folder or one file, of this machine or, as a URL, of an object store; a Parquet
        file, or a folder of such and no pictures, is a table of them. Paths may come from an
        iterator, as from ``Path.glob``. Arrays of one size are stacked; else each is a picture of
        its own size.
    split : {"train", "test"}, optional
        For a folder: only what lies in that sub-folder.

    Raises
    ------
    InputError
        It is of another type; or the more exact error of the source that fits.
    ConfigurationError
        A split is asked for of something that is no folder.
    """
    if isinstance(data, str | os.PathLike):
        return _from_path(os.fspath(data), split)
    if split is not None:
        raise ConfigurationError(
            f"split is {split!r}, but only a folder has splits, not a {type(data).__name__}; "
            "leave it out"
        )
    if isinstance(data, ImageSource):
        return data
    if isinstance(data, Image.Image):
        return PillowSource([data])
    if is_torch_dataset(data):
        return TorchDatasetSource(data)
    if isinstance(data, Iterator):
        data = list(data)
    if isinstance(data, Sequence) and not isinstance(data, bytes):
        return _from_list(data)
    if hasattr(data, "__array__"):
        return _from_array(data)
    raise _unknown(data)


def _from_path(path: str, split: Split | None) -> ImageSource:
    local = as_local(path)
    if local is None:
        return _from_url(path, split)
    # os.path: pathlib raises where a parent folder may not be searched.
    if os.path.isdir(local):  # noqa: PTH112
        return _from_folder(local, split)
    if not os.path.lexists(local):
        raise UnreadableFile(
            f"{printable(local)} does not exist; wanted a folder or a picture file"
            + (
                "; a URL is given as text, since pathlib takes a slash out of it"
                if _URL_OF_PATHLIB.match(local)
                else ""
            )
        )
    _refuse_split(local, split)
    return ParquetSource([local]) if is_parquet(local) else FileSource([local])


def _from_url(url: str, split: Split | None) -> ImageSource:
    if not is_object(url):
        return _from_folder(url, split)
    _refuse_split(url, split)
    return ParquetSource([url]) if is_parquet(url) else FileSource([url])


def _from_folder(folder: str, split: Split | None) -> ImageSource:
    try:
        return FileSource.from_folder(folder, split=split)
    except NoReadableImage:
        # Looked for only here: among pictures a table is one of scores, not of pictures.
        tables = tables_below(folder) if split is None else []
        if not tables:
            raise
        return ParquetSource(tables, root=folder)


def _refuse_split(path: str, split: Split | None) -> None:
    if split is not None:
        raise ConfigurationError(
            f"split is {split!r}, but {printable(path)} is one file; leave the split out"
        )


def _from_list(items: Sequence[Any]) -> ImageSource:
    if len(items) == 0:
        raise EmptySource("the list is empty; give at least one picture")
    first = items[0]
    if isinstance(first, str | os.PathLike):
        return FileSource(items)
    if isinstance(first, Image.Image):
        return PillowSource(items)
    if isinstance(first, np.ndarray):
        alike = {(getattr(item, "shape", None), getattr(item, "dtype", None)) for item in items}
        return ArraySource(np.stack(items)) if len(alike) == 1 else PillowSource(items)
    raise _unknown(items)


def _from_array(data: Any) -> ImageSource:
    array = data if isinstance(data, np.ndarray) else np.asarray(data)
    if array.ndim == 1 and array.size and isinstance(array[0], str | os.PathLike):
        return FileSource(array.tolist())
    return ArraySource(array)


def _unknown(data: Any) -> InputError:
    what = f"a {type(data).__name__}"
    if isinstance(data, Sequence) and not isinstance(data, bytes):
        what += f" of {type(data[0]).__name__}"
    return InputError(
        f"pictures cannot be read from {what}; wanted a folder, a list of paths, "
        "an array (N, H, W) or (N, H, W, C), Pillow images, or a map-style torch Dataset"
    )
