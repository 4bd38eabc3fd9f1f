"""Pictures that lie in one array."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from residua.errors import BadArray, EmptySource
from residua.images.base import ImageSource, checked_indices, checked_labels
from residua.images.batches import Batch, check_batching
from residua.images.lazy import LazySequence
from residua.images.preprocess import InputSpec, picture_array, prepare_pictures
from residua.images.suggest import Sample

_CHECKED_AT_ONCE = 1024


class ArraySource(ImageSource):
    """An array of pictures, which is kept and never copied whole.

    Parameters
    ----------
    images : array-like of shape (N, H, W) or (N, H, W, C)
        uint8; bool; uint16 (0 to 65535); float in [0, 1]. With ``spec.value_range`` any integer or
        finite float. Channels are the last axis; four of them stay four, no alpha is presumed.
        A memory-mapped array (``np.memmap``) is read as it is needed.
    labels : array-like of shape (N,), optional
        The class of each picture; taken as text.
    masks : array-like of bool, shape (N, H, W), optional
        Where each picture is defective.
    ids : sequence of str, optional
        A name per picture. Default: its index.

    Raises
    ------
    BadArray
        For a shape or type that is not that of pictures, or NaN. Values outside their range are
        found out when the range is known, in `batches`.
    BadLabels
        Labels or ids of another number.
    EmptySource
        The array holds no picture.
    """

    def __init__(
        self,
        images: ArrayLike,
        labels: ArrayLike | None = None,
        masks: ArrayLike | None = None,
        ids: Sequence[str] | None = None,
    ) -> None:
        self._images = picture_array(images)
        count = len(self._images)
        if count == 0:
            raise EmptySource(
                f"an array of shape {self._images.shape} holds no picture; give at least one"
            )
        self.in_memory = not isinstance(images, np.memmap)
        if self.in_memory:
            _refuse_nan(self._images)
        self._labels = checked_labels(labels, count)
        self._ids = checked_labels(ids, count, "ids")
        self._masks = None if masks is None else _checked_masks(masks, self._images.shape[:3])
        self.has_masks = self._masks is not None

    def __len__(self) -> int:
        return len(self._images)

    @property
    def ids(self) -> Sequence[str]:
        """The ids given, or the indices as text."""
        return LazySequence(len(self), str) if self._ids is None else self._ids

    @property
    def labels(self) -> Sequence[str] | None:
        """The labels given."""
        return self._labels

    def value_range(self) -> tuple[float, float]:
        """Return the least and the greatest value of all pictures, one apart where equal."""
        low, high = float(self._images.min()), float(self._images.max())
        return low, high if high > low else low + 1

    def mask(self, index: int) -> NDArray[np.bool_] | None:
        """Return where a picture is defective, shape (H, W); None where it is nowhere."""
        if self._masks is None or not self._masks[index].any():
            return None
        marked: NDArray[np.bool_] = self._masks[index]
        return marked

    def sample(self, index: int, *, values: bool) -> Sample:
        """Look at one picture; arrays are of one size, and no range is guessed from values."""
        _, height, width, channels = self._images.shape
        return Sample(width, height, channels)

    def batches(
        self,
        spec: InputSpec,
        size: int,
        indices: ArrayLike | None = None,
        *,
        workers: int | None = None,
    ) -> Iterator[Batch]:
        """Read pictures in batches; see `ImageSource.batches`. Nothing fails one by one here."""
        check_batching(size, workers)
        return self._batches(spec, size, checked_indices(indices, len(self)))

    def _batches(self, spec: InputSpec, size: int, wanted: NDArray[np.int64]) -> Iterator[Batch]:
        for start in range(0, len(wanted), size):
            part = wanted[start : start + size]
            yield Batch(part, prepare_pictures(self._images[part], spec, part), ())


def _refuse_nan(images: NDArray[Any]) -> None:
    if images.dtype.kind != "f":
        return
    for start in range(0, len(images), _CHECKED_AT_ONCE):
        finite = np.isfinite(images[start : start + _CHECKED_AT_ONCE]).all(axis=(1, 2, 3))
        if not finite.all():
            first = start + int(np.argmin(finite))
            raise BadArray(
                f"picture {first} has values that are NaN or infinite; leave such pictures "
                "out, or fill them with np.nan_to_num(images)"
            )


def _checked_masks(masks: ArrayLike, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    array = np.asarray(masks)
    if array.shape != shape or array.dtype.kind not in "bui":
        raise BadArray(
            f"the masks are {array.dtype} of shape {array.shape}; wanted bool of shape {shape}, "
            "one (H, W) mask for each picture"
        )
    return array if array.dtype == np.bool_ else array != 0
