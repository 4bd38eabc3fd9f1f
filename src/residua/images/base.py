"""ImageSource: pictures that can be counted, named and read batch by batch in constant memory."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from residua.errors import BadLabels, ConfigurationError, ImageError
from residua.images.batches import Batch, without_traceback
from residua.images.lazy import LazySequence
from residua.images.parallel import map_in_order
from residua.images.preprocess import InputSpec, Resize
from residua.images.suggest import Sample, suggest_from_samples

_SAMPLED = 256


class ImageSource(ABC):
    """Pictures from wherever they are, read lazily.

    A subclass says how many there are, what they are called, how one looks (`sample`) and how they
    are read (`batches`).
    """

    in_memory: bool
    """True when the pictures are decoded in RAM already."""
    has_masks: bool
    """True when `mask` may return more than None."""

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of pictures, readable or not."""

    @property
    @abstractmethod
    def ids(self) -> Sequence[str]:
        """A printable name per picture: the path with /, relative to the root; or the index."""

    @property
    @abstractmethod
    def labels(self) -> Sequence[str] | None:
        """The class of each picture, or None where there are no classes."""

    @property
    def paths(self) -> Sequence[Path] | None:
        """The file of each picture, or None for pictures that come from no files."""
        return None

    def mask(self, index: int) -> NDArray[np.bool_] | None:
        """Return where a picture is defective.

        Parameters
        ----------
        index : int
            Index in the source.

        Returns
        -------
        ndarray of bool, shape (H, W), or None
            At the picture's own size, not the spec's. None: no defect is marked.
        """
        return None

    @abstractmethod
    def sample(self, index: int, *, values: bool) -> Sample:
        """Look at one picture without reading more of it than is needed.

        Parameters
        ----------
        index : int
            Index in the source.
        values : bool
            Whether the extremes of a deep picture are wanted, for which it must be decoded.

        Raises
        ------
        ImageError
            The picture cannot be read.
        """

    @property
    def looks_at_once(self) -> int:
        """Threads in which `sample` may be called, and is where many are looked at; ≥ 1."""
        return 1

    @abstractmethod
    def batches(
        self,
        spec: InputSpec,
        size: int,
        indices: ArrayLike | None = None,
        *,
        workers: int | None = None,
    ) -> Iterator[Batch]:
        """Read pictures in batches.

        Parameters
        ----------
        spec : InputSpec
            What to bring each picture to.
        size : int
            Pictures asked for in a batch, ≥ 1; the last batch may have fewer.
        indices : array-like of int, or of bool with one entry a picture, optional
            Which pictures, in which order. Default: all.
        workers : int, optional
            Threads that decode files, ≥ 1. Default: the processors this program may use, or one
            where the files are so small that threads would wait for each other.

        Yields
        ------
        Batch
            Each index asked for is in exactly one batch, in ``indices`` or in ``failures``.

        Raises
        ------
        ConfigurationError
            An index, the size or the number of workers is outside its range.
        BadArray
            An array holds values that are not those of pictures.
        """

    def suggest_spec(
        self,
        *,
        size: int | tuple[int, int] | None = None,
        channels: int | None = None,
        resize: Resize = "stretch",
        value_range: tuple[float, float] | None = None,
        background: tuple[int, int, int] = (255, 255, 255),
    ) -> InputSpec:
        """Decide on an input spec from a sample of up to 256 pictures, evenly spaced.

        Parameters
        ----------
        size : int or (height, width), optional
            In pixels, 8 to 1024; an int is both sides. Default: the pictures' own size where all
            are of one and its longer side is at most 256; else the median aspect ratio, with the
            median longer side, at most 256. Sides below 8 become 8.
        channels : int, optional
            Default: for arrays those they have (grey with alpha has 2, RGBA has 4); for files 1 if
            all sampled are grey (palettes of greys included), else 3.
        resize : {"stretch", "pad", "crop"}
            Taken as it is.
        value_range : (low, high), optional
            Default: None; but the sampled minimum and maximum where pictures of mode F or I do not
            fit [0, 1] or [0, 65535].
        background : (red, green, blue)
            Taken as it is.

        Raises
        ------
        NoReadableImage
            Not one sampled picture can be read; the first few causes are named.
        BadArray
            The pictures differ in channels other than grey and RGB.
        ConfigurationError
            A value lies outside its range.
        """
        count = len(self)
        looked_at = np.linspace(0, count - 1, min(count, _SAMPLED)).round().astype(int)

        def look(index: int) -> Sample | ImageError:
            try:
                return self.sample(index, values=value_range is None)
            except ImageError as error:
                return without_traceback(error)

        threads = self.looks_at_once
        found = list(map_in_order(look, looked_at.tolist(), workers=threads, window=4 * threads))
        return suggest_from_samples(
            [sample for sample in found if isinstance(sample, Sample)],
            [error for error in found if isinstance(error, ImageError)],
            size=size,
            channels=channels,
            resize=resize,
            value_range=value_range,
            background=background,
        )

    def take(self, indices: ArrayLike) -> ImageSource:
        """Return some of the pictures as a source of their own; nothing is read or copied.

        Parameters
        ----------
        indices : array-like of int, or of bool with one entry a picture
            Which pictures, in which order; none and repeats are allowed.

        Raises
        ------
        ConfigurationError
            An index is outside the source.
        """
        return _Subset(self, checked_indices(indices, len(self)))

    def portion(self, start: int, stop: int) -> ImageSource:
        """Return the pictures from ``start`` up to ``stop`` as a source that can be sent elsewhere.

        It holds the names of these pictures alone, and another program that sees the same files or
        the same object store reads them as this one does.

        Raises
        ------
        ConfigurationError
            The pictures are in this program's memory, or in a data set that it keeps.
        """
        raise ConfigurationError(
            f"{self!r} cannot be read by other machines; wanted a folder or files that all of them "
            f"see, URLs of an object store, or Parquet files of pictures"
        )

    def __repr__(self) -> str:
        return f"<{type(self).__name__.lstrip('_')} of {len(self):,} pictures>"


class _Subset(ImageSource):
    def __init__(self, parent: ImageSource, chosen: NDArray[np.int64]) -> None:
        self._parent = parent
        self._chosen = chosen
        self.in_memory = parent.in_memory
        self.has_masks = parent.has_masks

    def __len__(self) -> int:
        return len(self._chosen)

    @property
    def ids(self) -> Sequence[str]:
        return self._of(self._parent.ids)

    @property
    def labels(self) -> Sequence[str] | None:
        labels = self._parent.labels
        return None if labels is None else self._of(labels)

    @property
    def paths(self) -> Sequence[Path] | None:
        paths = self._parent.paths
        return None if paths is None else self._of(paths)

    def _of(self, parents: Sequence[Any]) -> LazySequence[Any]:
        return LazySequence(len(self), lambda i: parents[int(self._chosen[i])])

    @property
    def looks_at_once(self) -> int:
        return self._parent.looks_at_once

    def mask(self, index: int) -> NDArray[np.bool_] | None:
        return self._parent.mask(int(self._chosen[index]))

    def sample(self, index: int, *, values: bool) -> Sample:
        return self._parent.sample(int(self._chosen[index]), values=values)

    def take(self, indices: ArrayLike) -> ImageSource:
        # Of the parent, so that subsets of subsets do not pile up.
        return _Subset(self._parent, self._chosen[checked_indices(indices, len(self))])

    def batches(
        self,
        spec: InputSpec,
        size: int,
        indices: ArrayLike | None = None,
        *,
        workers: int | None = None,
    ) -> Iterator[Batch]:
        wanted = checked_indices(indices, len(self))
        batches = self._parent.batches(spec, size, self._chosen[wanted], workers=workers)
        return self._renumbered(batches, wanted)

    def _renumbered(self, batches: Iterable[Batch], wanted: NDArray[np.int64]) -> Iterator[Batch]:
        start = 0
        for batch in batches:
            part = wanted[start : start + len(batch.indices) + len(batch.failures)]
            start += len(part)
            failed = np.isin(self._chosen[part], [failure.index for failure in batch.failures])
            failures = tuple(
                failure._replace(index=index)
                for failure, index in zip(batch.failures, part[failed].tolist(), strict=True)
            )
            yield Batch(part[~failed], batch.images, failures)


def checked_indices(indices: ArrayLike | None, count: int) -> NDArray[np.int64]:
    """Return indices into ``count`` pictures as an array of int64; None is all of them.

    Raises
    ------
    ConfigurationError
        Some are no whole numbers, or lie outside 0 to ``count - 1``.
    """
    if indices is None:
        return np.arange(count, dtype=np.int64)
    given = np.asarray(indices)
    if given.ndim != 1:
        raise ConfigurationError(f"indices have shape {given.shape}; wanted a list of them, (n,)")
    if given.dtype == np.bool_:
        if len(given) != count:
            raise ConfigurationError(
                f"{len(given)} booleans select among {count} pictures; wanted one for each"
            )
        return np.flatnonzero(given).astype(np.int64)
    if given.size and given.dtype.kind not in "iu":
        raise ConfigurationError(f"indices are of type {given.dtype}; wanted whole numbers")
    if given.size and (given.min() < 0 or given.max() >= count):
        bad = given[(given < 0) | (given >= count)][0]
        raise ConfigurationError(f"index {bad} is outside the source; wanted 0 to {count - 1}")
    return given.astype(np.int64)


def checked_labels(labels: ArrayLike | None, count: int, what: str = "labels") -> list[str] | None:
    """Return one class, or id, per picture as text.

    Raises
    ------
    BadLabels
        There are not as many labels as pictures.
    """
    if labels is None:
        return None
    if np.ndim(labels) != 1:
        raise BadLabels(f"{what} have {np.ndim(labels)} axes; wanted one per picture, (N,)")
    texts = [str(label) for label in np.asarray(labels, dtype=object).tolist()]
    if len(texts) != count:
        raise BadLabels(f"{len(texts)} {what} for {count} pictures; wanted one for each")
    return texts
