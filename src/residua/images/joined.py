"""Several sources as one, such as the test parts of two data sets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from residua.errors import EmptySource
from residua.images.base import ImageSource, checked_indices
from residua.images.batches import Batch, check_batching
from residua.images.lazy import LazySequence
from residua.images.preprocess import InputSpec
from residua.images.suggest import Sample


class JoinedSource(ImageSource):
    """The pictures of several sources, one source after the other.

    Parameters
    ----------
    sources : sequence of ImageSource
        At least one.
    names : sequence of str or None, default=None
        A name per source, with which the ids and classes of its pictures begin; the class of
        pictures that have none. None: ids and classes stay as they are; there are classes where
        every source has them.

    Raises
    ------
    EmptySource
        There is no source.
    """

    def __init__(
        self, sources: Sequence[ImageSource], *, names: Sequence[str] | None = None
    ) -> None:
        if not sources:
            raise EmptySource("there is no source to join; give at least one")
        self._sources = list(sources)
        self._names = None if names is None else list(names)
        self._starts = np.cumsum([0, *(len(source) for source in sources)])
        self.in_memory = all(source.in_memory for source in sources)
        self.has_masks = any(source.has_masks for source in sources)

    def __len__(self) -> int:
        return int(self._starts[-1])

    @property
    def ids(self) -> Sequence[str]:
        """The sources' own ids, behind the source's name where it has one."""
        return LazySequence(len(self), self._id)

    @property
    def labels(self) -> Sequence[str] | None:
        """The sources' own classes, behind the source's name where it has one."""
        if self._names is None and any(source.labels is None for source in self._sources):
            return None
        return LazySequence(len(self), self._label)

    @property
    def paths(self) -> Sequence[Path] | None:
        """The files, where every source has them."""
        paths = [source.paths for source in self._sources]
        if any(part is None for part in paths):
            return None
        return [path for part in paths for path in part or ()]

    @property
    def looks_at_once(self) -> int:
        """As many threads as every source allows."""
        return min(source.looks_at_once for source in self._sources)

    def mask(self, index: int) -> NDArray[np.bool_] | None:
        """Return where a picture is defective; see `ImageSource.mask`."""
        number, local = self._place(index)
        return self._sources[number].mask(local)

    def sample(self, index: int, *, values: bool) -> Sample:
        """Look at one picture; see `ImageSource.sample`."""
        number, local = self._place(index)
        return self._sources[number].sample(local, values=values)

    def batches(
        self,
        spec: InputSpec,
        size: int,
        indices: ArrayLike | None = None,
        *,
        workers: int | None = None,
    ) -> Iterator[Batch]:
        """Read pictures in batches; see `ImageSource.batches`."""
        check_batching(size, workers)
        wanted = checked_indices(indices, len(self))
        return self._batches(spec, size, wanted, workers)

    def _batches(
        self, spec: InputSpec, size: int, wanted: NDArray[np.int64], workers: int | None
    ) -> Iterator[Batch]:
        for start in range(0, len(wanted), size):
            part = wanted[start : start + size]
            of = np.searchsorted(self._starts, part, side="right") - 1
            yield _merged(
                part,
                spec,
                [
                    self._from_one(int(number), part[of == number], spec, workers)
                    for number in np.unique(of)
                ],
            )

    def _from_one(
        self, number: int, part: NDArray[np.int64], spec: InputSpec, workers: int | None
    ) -> Batch:
        """Read pictures of one source, as one batch with indices of the whole."""
        first = int(self._starts[number])
        batches = self._sources[number].batches(spec, len(part), part - first, workers=workers)
        (batch,) = batches
        failures = tuple(
            failure._replace(index=failure.index + first, id=self._id(failure.index + first))
            for failure in batch.failures
        )
        return Batch(batch.indices + first, batch.images, failures)

    def _place(self, index: int) -> tuple[int, int]:
        (position,) = checked_indices([index], len(self)).tolist()
        number = int(np.searchsorted(self._starts, position, side="right")) - 1
        return number, position - int(self._starts[number])

    def _id(self, index: int) -> str:
        number, local = self._place(index)
        own = self._sources[number].ids[local]
        return own if self._names is None else f"{self._names[number]}/{own}"

    def _label(self, index: int) -> str:
        number, local = self._place(index)
        labels = self._sources[number].labels
        own = None if labels is None else labels[local]
        if self._names is None:
            assert own is not None
            return own
        return self._names[number] if own is None else f"{self._names[number]}/{own}"


def _merged(wanted: NDArray[np.int64], spec: InputSpec, parts: list[Batch]) -> Batch:
    """Put the pictures of several batches into the order in which they were asked for."""
    if len(parts) == 1:
        return parts[0]
    indices = np.concatenate([part.indices for part in parts])
    images = np.concatenate([part.images for part in parts])
    failures = [failure for part in parts for failure in part.failures]
    # Positions in what was asked for; an index may be asked for twice.
    places: dict[int, list[int]] = {}
    for place, index in enumerate(wanted.tolist()):
        places.setdefault(index, []).append(place)
    at = [places[index].pop(0) for index in [*indices.tolist(), *(f.index for f in failures)]]
    order = np.argsort(at[: len(indices)], kind="stable")
    by_place = sorted(zip(at[len(indices) :], failures, strict=True), key=lambda pair: pair[0])
    return Batch(indices[order], images[order], tuple(failure for _, failure in by_place))
