"""Pictures that lie in files: a folder or a list of paths, of this machine or an object store."""

from __future__ import annotations

import contextlib
import copy
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from residua.errors import (
    BadLabels,
    ConfigurationError,
    DamagedImage,
    EmptySource,
    InputError,
)
from residua.images.base import ImageSource, checked_indices, checked_labels
from residua.images.batches import Batch, batches_of, check_batching
from residua.images.decode import MAX_PIXELS, decode_image, decode_mask, printable, read_header
from residua.images.folder import Split, list_folder
from residua.images.lazy import LazySequence, packed
from residua.images.parallel import usable_processors
from residua.images.preprocess import InputSpec
from residua.images.remote_folder import REQUESTS_AT_ONCE, list_remote_folder, read_object
from residua.images.sampling import sample_image
from residua.images.suggest import Sample
from residua.storage import as_local, is_remote, joined

PathLike = str | os.PathLike[str]

# Bytes below which a file is decoded in less time than threads take to change turns.
_SMALL_FILE = 8_192
_SAMPLED_SIZES = 16


class FileSource(ImageSource):
    """Picture files, of which only the paths are held.

    Parameters
    ----------
    paths : sequence of str or path
        The files, in the order in which they are numbered, or URLs of objects. They need not exist:
        one that cannot be read is a failure of its own.
    labels : array-like of shape (N,), optional
        The class of each picture; taken as text.
    mask_paths : sequence of path or None, optional
        The file in which each picture's defects are not black.
    root : path, optional
        The folder to which ids are relative. Default: ids are the paths as given.
    max_pixels : int, optional
        Larger pictures are refused before they are decoded.

    Attributes
    ----------
    ignored : int
        Files below the folder that are no pictures, hidden ones not counted. 0 for a list.

    Raises
    ------
    BadLabels
        Labels or masks of another number.
    EmptySource
        The list is empty.
    InputError
        An entry is no path.
    """

    in_memory = False

    def __init__(
        self,
        paths: Sequence[PathLike],
        labels: ArrayLike | None = None,
        mask_paths: Sequence[PathLike | None] | None = None,
        root: PathLike | None = None,
        *,
        max_pixels: int = MAX_PIXELS,
    ) -> None:
        self._is_remote = False

        def texts() -> Iterator[str]:
            for number, path in enumerate(paths):
                text = _path_text(path, number)
                self._is_remote = self._is_remote or is_remote(text)
                yield text

        # Text: a Path takes several times the memory.
        self._files: Sequence[str] = packed(texts())
        if not self._files:
            raise EmptySource("the list of paths is empty; give at least one picture")
        if max_pixels < 1:
            raise ConfigurationError(f"max_pixels is {max_pixels}; wanted at least 1")
        self._labels = checked_labels(labels, len(self._files))
        self._masks = _mask_texts(mask_paths, len(self._files))
        self._root = None if root is None else as_local(root) or os.fspath(root)
        self._folder = ""
        self._max_pixels = max_pixels
        self.has_masks = self._masks is not None and any(self._masks)
        self.ignored = 0

    @classmethod
    def from_folder(
        cls, root: PathLike, *, split: Split | None = None, max_pixels: int = MAX_PIXELS
    ) -> FileSource:
        """Find the pictures below a folder.

        A picture is a file whose extension, or else whose first bytes, are those of a format that
        Pillow reads. Hidden files and folders (with a leading dot) are passed over. The class is
        the first folder below the root, however deep the picture lies; it is "" for pictures in
        the root itself, and there are no classes where all lie there.

        The MVTec AD layout is recognised by ``train/good`` beside ``test`` or ``ground_truth``:
        classes are the folders below ``train`` and ``test``, and masks are
        ``ground_truth/<defect>/<stem>_mask.png`` or ``<stem>.png``.

        Parameters
        ----------
        root : path or URL
            The folder. Links to folders are followed, each real folder once.
        split : {"train", "test"}, optional
            Only what lies in that folder below the root, in any layout. Default: everything (in
            the MVTec AD layout both, and no masks as pictures).
        max_pixels : int, optional
            Larger pictures are refused before they are decoded.

        Raises
        ------
        ConfigurationError
            A split is asked for that the folder does not have.
        EmptySource
            Nothing lies below the folder.
        NoReadableImage
            There are files, but none of them is a picture.
        UnreadableFile
            The folder is missing, is a file, or may not be listed.
        StorageError
            The object store does not answer.
        """
        top = as_local(root) or os.fspath(root)
        remote = is_remote(top)
        listing = list_remote_folder(top, split) if remote else list_folder(top, split)
        masks = listing.masks and [mask and _below(top, mask) for mask in listing.masks]
        source = cls(listing.files, listing.labels, masks, max_pixels=max_pixels)
        # Joined when a file is read: whole paths take several times the memory.
        source._folder, source._is_remote = top, remote
        source.ignored = listing.ignored
        return source

    def __len__(self) -> int:
        return len(self._files)

    @property
    def ids(self) -> Sequence[str]:
        """The paths with /, relative to the root."""
        return LazySequence(len(self), self._id)

    @property
    def labels(self) -> Sequence[str] | None:
        """The labels given, or found in the folder."""
        return self._labels

    @property
    def paths(self) -> Sequence[Path] | None:
        """The files; None where there are objects among them, which have no paths."""
        if self._is_remote:
            return None
        return LazySequence(len(self), lambda i: Path(self._file(i)))

    def mask(self, index: int) -> NDArray[np.bool_] | None:
        """Return where a picture is defective, shape (H, W); None where it is nowhere.

        Raises
        ------
        ImageError
            The mask or the picture cannot be read, or they are of different sizes.
        """
        file = self._masks[index] if self._masks is not None else None
        if file is None:
            return None
        picture = self._file(index)
        mask = decode_mask(self._opened(file), name=printable(file), max_pixels=self._max_pixels)
        header = read_header(self._opened(picture), name=printable(picture))
        if mask.shape != (header.height, header.width):
            raise DamagedImage(
                f"the mask {printable(file)} is {mask.shape[1]} × {mask.shape[0]} and its picture "
                f"{header.width} × {header.height} pixels; wanted one size"
            )
        return mask if mask.any() else None

    def sample(self, index: int, *, values: bool) -> Sample:
        """Look at one file; see `ImageSource.sample`."""
        file = self._file(index)
        return sample_image(
            self._opened(file), values=values, name=printable(file), max_pixels=self._max_pixels
        )

    @property
    def looks_at_once(self) -> int:
        """Threads in which `sample` is called: a store answers late."""
        return REQUESTS_AT_ONCE if self._is_remote else 1

    def batches(
        self,
        spec: InputSpec,
        size: int,
        indices: ArrayLike | None = None,
        *,
        workers: int | None = None,
    ) -> Iterator[Batch]:
        """Read pictures in batches, one batch ahead; see `ImageSource.batches`."""
        check_batching(size, workers)
        wanted = checked_indices(indices, len(self))

        def read(index: int, row: NDArray[np.uint8]) -> None:
            file = self._file(index)
            name = printable(file) if self._is_remote else None
            decode_image(self._opened(file), spec, name=name, max_pixels=self._max_pixels, out=row)

        threads = workers or self._threads_that_pay()
        return batches_of(read, wanted, size, spec, self.ids, workers=threads)

    def portion(self, start: int, stop: int) -> FileSource:
        """Return a run of the files that can be sent elsewhere; see `ImageSource.portion`."""
        run = copy.copy(self)
        run._files = self._files[start:stop]
        run._labels = None if self._labels is None else self._labels[start:stop]
        run._masks, run.has_masks = None, False
        return run

    def _threads_that_pay(self) -> int:
        """Return one for small files: there Python takes most of the time, one thread at once.

        Two threads read pictures of 28 x 28 at less than half the speed of one.
        """
        if self._is_remote:
            return max(REQUESTS_AT_ONCE, usable_processors())
        sizes = []
        for index in np.linspace(0, len(self) - 1, min(len(self), _SAMPLED_SIZES)).astype(int):
            with contextlib.suppress(OSError, ValueError):
                sizes.append(os.stat(self._file(int(index))).st_size)  # noqa: PTH116
        return 1 if sizes and np.median(sizes) < _SMALL_FILE else usable_processors()

    def _file(self, index: int) -> str:
        return _below(self._folder, self._files[index])

    def _opened(self, file: str) -> str | bytes:
        """Return a local file's path, or an object's content."""
        return read_object(file) if self._is_remote and is_remote(file) else file

    def _id(self, index: int) -> str:
        if self._is_remote:  # a key is not cleaned of what a path would be
            return printable(self._files[index])
        path = Path(self._files[index])
        if self._root is not None and path.is_relative_to(self._root):
            path = path.relative_to(self._root)
        return printable(path.as_posix())


def _below(top: str, file: str) -> str:
    if is_remote(top):
        return joined(top, file)
    return os.path.join(top, file)  # noqa: PTH118 (a million of them)


def _path_text(path: object, number: int) -> str:
    text = os.fspath(path) if isinstance(path, str | os.PathLike) else None
    if not isinstance(text, str):
        raise InputError(f"entry {number} is {path!r}; wanted a path, as text or pathlib.Path")
    return as_local(text) or text


def _mask_texts(
    mask_paths: Sequence[PathLike | None] | None, count: int
) -> list[str | None] | None:
    if mask_paths is None:
        return None
    if len(mask_paths) != count:
        raise BadLabels(f"{len(mask_paths)} masks for {count} pictures; wanted one, or None, each")
    return [
        None if path is None else _path_text(path, number) for number, path in enumerate(mask_paths)
    ]
