"""Whatever a user names as pictures, to one ImageSource."""

from __future__ import annotations

import os
from typing import Any, Literal

from residua.errors import UnreadableFile, nearest_names
from residua.images.datasets import DATASETS, Dataset
from residua.images.folder import is_mvtec
from residua.images.remote_folder import is_remote_mvtec
from residua.images.source import ImageSource, as_source
from residua.storage import as_local, exists, is_url, joined

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
    if isinstance(data, str) and not is_url(data) and not os.path.lexists(data):
        if data in DATASETS:
            return _registered(DATASETS[data], prefer)
        if os.sep not in data:
            raise UnreadableFile(
                f"{data!r} is no file, folder or data set here; of data sets, "
                f"{nearest_names(data, DATASETS)}"
            )
    if prefer is None or not isinstance(data, str | os.PathLike):
        return as_source(data)
    return as_source(data, split=prefer if _has_part(os.fspath(data), prefer) else None)


def _has_part(root: str, part: Part) -> bool:
    local = as_local(root)
    if local is None:
        return is_remote_mvtec(root) and exists(joined(root, f"{part}/"))
    return is_mvtec(local) and os.path.isdir(os.path.join(local, part))  # noqa: PTH112, PTH118


def _registered(dataset: Dataset, prefer: Part | None) -> ImageSource:
    source = dataset.load(prefer if prefer in dataset.splits else None)
    if prefer != "train" or not dataset.anomalous or source.labels is None:
        return source
    trusted = [i for i, label in enumerate(source.labels) if label not in dataset.anomalous]
    return source.take(trusted)
