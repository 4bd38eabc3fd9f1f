"""Pictures from wherever they are: the sources, and the one function that picks among them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from PIL import Image

from residua.errors import ConfigurationError, EmptySource, InputError, UnreadableFile
from residua.images.array_source import ArraySource
from residua.images.base import ImageSource
from residua.images.batches import Batch, Failure
from residua.images.decode import printable
from residua.images.encoded_source import EncodedSource
from residua.images.file_source import FileSource
from residua.images.folder import Split
from residua.images.item_source import PillowSource, TorchDatasetSource, is_torch_dataset

__all__ = [
    "ArraySource",
    "Batch",
    "EncodedSource",
    "Failure",
    "FileSource",
    "ImageSource",
    "PillowSource",
    "TorchDatasetSource",
    "as_source",
]


def as_source(data: Any, *, split: Split | None = None) -> ImageSource:
    """Return the source that fits the type of ``data``.

    Parameters
    ----------
    data : ImageSource, path, list of paths, array, list of arrays, Pillow image or images, or \
            torch Dataset
        A path is a folder or one file. Paths may come from an iterator, as from ``Path.glob``.
        Arrays of one size are stacked; else each is a picture of its own size.
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
    # os.path: pathlib raises where a parent folder may not be searched.
    if os.path.isdir(path):  # noqa: PTH112
        return FileSource.from_folder(path, split=split)
    if not os.path.lexists(path):
        raise UnreadableFile(f"{printable(path)} does not exist; wanted a folder or a picture file")
    if split is not None:
        raise ConfigurationError(
            f"split is {split!r}, but {printable(path)} is one file; leave the split out"
        )
    return FileSource([path])


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
