"""Pictures read into batches, in order, each failure beside the pictures that were read."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from itertools import islice
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from residua.errors import ConfigurationError, ImageError
from residua.images.parallel import map_in_order
from residua.images.preprocess import InputSpec

# A thread takes several small pictures at once, of so many pixels in all, so that handing over is
# cheap; but so few that all threads end a short batch together.
_RUN_PIXELS = 1 << 15
_LONGEST_RUN = 8
_RUNS_PER_WORKER = 4


class Failure(NamedTuple):
    """A picture that could not be read, and why."""

    index: int  # type: ignore[assignment]
    """Its index in the source."""
    id: str
    """Its id in the source."""
    error: ImageError
    """What is wrong with it."""


class Batch(NamedTuple):
    """Some of the pictures that were asked for, in the order in which they were."""

    indices: NDArray[np.int64]
    """shape (B,): the pictures' indices in the source."""
    images: NDArray[np.uint8]
    """shape (B, H, W, C); B is 0 where every picture of the batch failed. No other batch shares
    its memory."""
    failures: tuple[Failure, ...]
    """The pictures asked for that are not in ``indices``."""


def check_batching(size: int, workers: int | None) -> None:
    """Refuse a batch size or a number of workers below 1.

    Raises
    ------
    ConfigurationError
        One of them is.
    """
    if size < 1:
        raise ConfigurationError(f"the batch size is {size}; wanted at least 1")
    if workers is not None and workers < 1:
        raise ConfigurationError(
            f"workers is {workers}; wanted at least 1, or None for the processors there are"
        )


def batches_of(
    read: Callable[[int, NDArray[np.uint8]], object],
    wanted: NDArray[np.int64],
    size: int,
    spec: InputSpec,
    ids: Sequence[str],
    *,
    workers: int = 1,
) -> Iterator[Batch]:
    """Have pictures written into batches.

    Each batch is an array of its own that is never written to again, so a caller may keep it.

    Parameters
    ----------
    read : callable
        Writes the picture of an index into an array (H, W, C), or raises an `ImageError`. Called
        from ``workers`` threads, about one batch ahead; from this one where that is 1.
    wanted : ndarray of shape (n,)
        The indices of the pictures.
    size : int
        Pictures asked for in a batch.
    spec : InputSpec
    ids : sequence of str
        The ids of all pictures of the source.
    workers : int
        Threads, ≥ 1.
    """
    begun: deque[NDArray[np.uint8]] = deque()

    def error_of(row: tuple[int, NDArray[np.uint8]]) -> ImageError | None:
        try:
            read(*row)
        except ImageError as error:
            return error
        return None

    def rows() -> Iterator[tuple[int, NDArray[np.uint8]]]:
        for start in range(0, len(wanted), size):
            part = wanted[start : start + size]
            begun.append(np.empty((len(part), *spec.shape), np.uint8))
            yield from zip(part.tolist(), begun[-1], strict=True)

    share = min(size, len(wanted)) // (_RUNS_PER_WORKER * workers)
    run = min(_LONGEST_RUN, _RUN_PIXELS // (spec.height * spec.width), share)
    results = map_in_order(
        error_of, rows(), workers=workers, window=size + workers, run=max(1, run)
    )
    with closing(results):
        for start in range(0, len(wanted), size):
            part = wanted[start : start + size]
            errors = list(islice(results, len(part)))
            yield _batch(part, begun.popleft(), errors, ids)


def _batch(
    part: NDArray[np.int64],
    images: NDArray[np.uint8],
    errors: list[ImageError | None],
    ids: Sequence[str],
) -> Batch:
    """Set the pictures that were read apart from those that were not."""
    failures = tuple(
        Failure(index, ids[index], without_traceback(error))
        for index, error in zip(part.tolist(), errors, strict=True)
        if error is not None
    )
    if not failures:
        return Batch(part, images, ())
    there = np.array([error is None for error in errors])
    return Batch(part[there], images[there], failures)


def without_traceback(error: ImageError) -> ImageError:
    """Drop what an error holds of the code that raised it, or it would keep the pixels alive."""
    step: BaseException | None = error
    while step is not None:
        step.__traceback__ = None
        step = step.__cause__ or step.__context__
    return error
