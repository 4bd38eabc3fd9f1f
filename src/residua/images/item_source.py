"""Pictures that come one by one: Pillow images, arrays of several sizes, a torch Dataset."""

from __future__ import annotations

import sys
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from residua.errors import (
    BadArray,
    BadLabels,
    EmptySource,
    ImageError,
    InputError,
    UnreadableFile,
    UnsupportedImage,
)
from residua.images.base import ImageSource, checked_indices, checked_labels
from residua.images.batches import Batch, batches_of, check_batching
from residua.images.decode import decode_image, printable_text
from residua.images.lazy import LazySequence
from residua.images.preprocess import InputSpec, picture_array, prepare_pictures, to_uint8
from residua.images.sampling import sample_image
from residua.images.suggest import Sample


class ItemSource(ImageSource):
    """Pictures that are objects, each a Pillow image or an array of its own size.

    They are read in the calling thread: neither one Pillow image nor a data set of others' making
    may be used by two at once.
    """

    @abstractmethod
    def _item(self, index: int) -> Any:
        """Return a Pillow image, a tensor (C, H, W), or an array (H, W) or (H, W, C)."""

    @property
    def ids(self) -> Sequence[str]:
        """The indices as text."""
        return LazySequence(len(self), str)

    def sample(self, index: int, *, values: bool) -> Sample:
        """Look at one item; see `ImageSource.sample`."""
        name = self._name(index)
        item = self._item(index)
        if isinstance(item, Image.Image):
            return sample_image(item, values=values, name=name)
        try:
            picture = _picture(item)
            if values:  # a data set that normalises is told so at once
                to_uint8(picture, None, index)
        except (BadArray, TypeError) as error:
            raise UnsupportedImage(f"{name}: {printable_text(error)}") from error
        height, width, channels = picture.shape
        return Sample(width, height, channels)

    def batches(
        self,
        spec: InputSpec,
        size: int,
        indices: ArrayLike | None = None,
        *,
        workers: int | None = None,
    ) -> Iterator[Batch]:
        """Read pictures in batches, one after the other; see `ImageSource.batches`."""
        check_batching(size, workers)
        wanted = checked_indices(indices, len(self))

        def read(index: int, row: NDArray[np.uint8]) -> None:
            self._prepare(index, spec, row)

        return batches_of(read, wanted, size, spec, self.ids)

    def _prepare(self, index: int, spec: InputSpec, out: NDArray[np.uint8]) -> None:
        name = self._name(index)
        item = self._item(index)
        if isinstance(item, Image.Image):
            decode_image(item, spec, name=name, out=out)
            return
        try:
            out[...] = prepare_pictures(_picture(item)[np.newaxis], spec, [index])[0]
        except (BadArray, TypeError) as error:
            raise UnsupportedImage(f"{name}: {printable_text(error)}") from error

    def _name(self, index: int) -> str:
        return f"item {index}"


class PillowSource(ItemSource):
    """A list of Pillow images, or of arrays of several sizes.

    Parameters
    ----------
    images : sequence of PIL.Image.Image or ndarray
        Arrays are (H, W) or (H, W, C). Pillow images are loaded, but not changed.
    labels : array-like of shape (N,), optional
        The class of each picture; taken as text.

    Raises
    ------
    BadLabels
        Labels of another number.
    EmptySource
        The list is empty.
    InputError
        An entry is neither.
    """

    in_memory = True
    has_masks = False

    def __init__(self, images: Sequence[Any], labels: ArrayLike | None = None) -> None:
        self._images = list(images)
        if not self._images:
            raise EmptySource("the list of images is empty; give at least one picture")
        for number, image in enumerate(self._images):
            if not isinstance(image, Image.Image | np.ndarray):
                raise InputError(
                    f"entry {number} is a {type(image).__name__}; wanted Pillow images, or arrays, "
                    "throughout"
                )
        self._labels = checked_labels(labels, len(self._images))

    def __len__(self) -> int:
        return len(self._images)

    @property
    def labels(self) -> Sequence[str] | None:
        """The labels given."""
        return self._labels

    def _item(self, index: int) -> Any:
        return self._images[index]


class TorchDatasetSource(ItemSource):
    """A map-style ``torch.utils.data.Dataset``.

    Parameters
    ----------
    dataset : torch.utils.data.Dataset
        With ``len()``. Its items are tensors (C, H, W), Pillow images or arrays (H, W) or
        (H, W, C); or tuples of which the first is one and the second the label. An item that
        raises is a failure of its own.

    Raises
    ------
    EmptySource
        It has no items.
    InputError
        It has no length.
    """

    in_memory = False
    has_masks = False

    def __init__(self, dataset: Any) -> None:
        try:
            self._length = len(dataset)
        except (TypeError, NotImplementedError) as error:
            raise InputError(
                f"a {type(dataset).__name__} has no length; wanted a map-style Dataset, "
                "with __len__ and __getitem__"
            ) from error
        if self._length == 0:
            raise EmptySource(f"the {type(dataset).__name__} has no items; give at least one")
        self._dataset = dataset

    def __len__(self) -> int:
        return self._length

    @cached_property
    def labels(self) -> Sequence[str] | None:
        """The data set's ``targets``, or else the second entry of each item, which is read once.

        Numbers are replaced by the names in ``classes``, where the data set has them.
        """
        targets = getattr(self._dataset, "targets", None)
        if targets is None:
            targets = self._second_entries()
        if targets is None:
            return None
        if len(targets) != self._length:
            raise BadLabels(f"{len(targets)} targets for {self._length} items; wanted one for each")
        classes = getattr(self._dataset, "classes", None)
        return [_label(target, classes) for target in targets]

    def _second_entries(self) -> list[Any] | None:
        if not _has_label(self._raw(0)):
            return None
        return [_second_or_blank(self._dataset, index) for index in range(self._length)]

    def _item(self, index: int) -> Any:
        item = self._raw(index)
        return item[0] if isinstance(item, tuple | list) and item else item

    def _raw(self, index: int) -> Any:
        try:
            return self._dataset[index]
        except ImageError:
            raise
        except Exception as error:
            raise UnreadableFile(
                f"{self._name(index)} of the data set raises {type(error).__name__} "
                f"({printable_text(error)}); mend the data set, or leave the item out"
            ) from error


def is_torch_dataset(data: object) -> bool:
    """Tell whether it is a torch Dataset, without importing torch: where it is, torch is too."""
    torch_data = sys.modules.get("torch.utils.data")
    return torch_data is not None and isinstance(data, torch_data.Dataset)


def _picture(item: Any) -> NDArray[Any]:
    """Return one array or tensor as (H, W, C)."""
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(item, torch.Tensor):
        array = item.detach().cpu().numpy()
        if array.ndim == 3:
            array = np.moveaxis(array, 0, -1)
    else:
        array = np.asarray(item)
    if array.ndim not in (2, 3):
        raise BadArray(f"it has shape {array.shape}; wanted (H, W) or (H, W, C), tensors (C, H, W)")
    picture: NDArray[Any] = picture_array(array[np.newaxis])[0]
    return picture


def _has_label(item: Any) -> bool:
    return isinstance(item, tuple | list) and len(item) > 1


def _second_or_blank(dataset: Any, index: int) -> Any:
    # The item's own failure is told where it is read as a picture.
    try:
        return dataset[index][1]
    except Exception:
        return ""


def _label(target: Any, classes: Any) -> str:
    value = target.item() if hasattr(target, "item") else target
    if isinstance(value, int) and isinstance(classes, Sequence) and 0 <= value < len(classes):
        return str(classes[value])
    return str(value)
