"""Whatever a user names as pictures, to one ImageSource."""

from __future__ import annotations

import os
from typing import Any, Literal

from residua.errors import UnreadableFile, nearest_names
from residua.images.datasets import DATASETS, Dataset
from residua.images.folder import is_mvtec
from residua.images.source import ImageSource, as_source

Part = Literal["train", "test"]


def resolve_source(data: Any, *, prefer: Part | None = None) -> ImageSource:
    """Return the source of what ``data`` names or holds.

    Parameters
    ----------
    data : ImageSource, path-like, str, list, array, Pillow images or torch Dataset
        A text that is the name of a registered data set, and of no file or folder here, means the
        data set; everything else is for `as_source`.
    prefer : {"train", "test"} or None, default=None
        The part to take where the data come in such parts, as registered data sets and folders in
        the MVTec AD layout do; elsewhere it has no effect. "train" leaves out the classes of a
        registered data set that are known to be anomalous.

    Raises
    ------
    InputError, DatasetError
        It cannot be read; the text says why.
    """
    if isinstance(data, str) and not os.path.lexists(data):
        if data in DATASETS:
            return _registered(DATASETS[data], prefer)
        if os.sep not in data:
            raise UnreadableFile(
                f"{data!r} is no file, folder or data set here; of data sets, "
                f"{nearest_names(data, DATASETS)}"
            )
    if isinstance(data, str | os.PathLike) and prefer is not None:
        root = os.fspath(data)
        if is_mvtec(root) and os.path.isdir(os.path.join(root, prefer)):  # noqa: PTH112, PTH118
            return as_source(data, split=prefer)
    return as_source(data)


def _registered(dataset: Dataset, prefer: Part | None) -> ImageSource:
    source = dataset.load(prefer if prefer in dataset.splits else None)
    if prefer != "train" or not dataset.anomalous or source.labels is None:
        return source
    trusted = [i for i, label in enumerate(source.labels) if label not in dataset.anomalous]
    return source.take(trusted)
