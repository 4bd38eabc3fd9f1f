"""What sources share whose pictures come as the bytes of their files."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

from residua.images.base import ImageSource, checked_indices
from residua.images.batches import Batch, batches_of, check_batching
from residua.images.decode import decode_image
from residua.images.parallel import usable_processors
from residua.images.preprocess import InputSpec
from residua.images.sampling import sample_image
from residua.images.suggest import Sample


class ContentSource(ImageSource):
    """Pictures of which a subclass gives the files' bytes and what errors call them."""

    _max_pixels: int

    @abstractmethod
    def _content(self, index: int) -> bytes:
        """Return the bytes of a picture's file. Called from several threads at once."""

    @abstractmethod
    def _name(self, index: int) -> str:
        """Return what errors call a picture."""

    def sample(self, index: int, *, values: bool) -> Sample:
        """Look at one picture; see `ImageSource.sample`."""
        return sample_image(
            self._content(index),
            values=values,
            name=self._name(index),
            max_pixels=self._max_pixels,
        )

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
            content, name = self._content(index), self._name(index)
            decode_image(content, spec, name=name, max_pixels=self._max_pixels, out=row)

        threads = workers or usable_processors()
        return batches_of(read, wanted, size, spec, self.ids, workers=threads)
