"""Pictures whose files' content comes from elsewhere than files: a database, an archive, memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import Lock

from numpy.typing import ArrayLike

from residua.errors import ConfigurationError, EmptySource, ImageError, UnreadableFile
from residua.images.base import checked_labels
from residua.images.content_source import ContentSource
from residua.images.decode import MAX_PIXELS, printable, printable_text
from residua.images.lazy import LazySequence


class EncodedSource(ContentSource):
    """Encoded pictures, each fetched when it is read and held no longer.

    Parameters
    ----------
    load : callable
        Gives the content of a picture's file, as bytes, for its index from 0 to ``count - 1``. It
        is called from several threads, though never from two at once; from the reader's own where
        that asks for one worker. What it raises is a failure of that picture alone.
    count : int
        Number of pictures, ≥ 1.
    ids : sequence of str, optional
        A name per picture. Default: its index.
    labels : array-like of shape (count,), optional
        The class of each picture; taken as text.
    max_pixels : int, optional
        Larger pictures are refused before they are decoded.

    Raises
    ------
    BadLabels
        Labels or ids of another number.
    ConfigurationError
        ``max_pixels`` is below 1.
    EmptySource
        There is no picture.

    Examples
    --------
    >>> contents = [path.read_bytes() for path in paths]  # doctest: +SKIP
    >>> EncodedSource(contents.__getitem__, len(contents))  # doctest: +SKIP
    """

    in_memory = False
    has_masks = False

    def __init__(
        self,
        load: Callable[[int], bytes],
        count: int,
        *,
        ids: Sequence[str] | None = None,
        labels: ArrayLike | None = None,
        max_pixels: int = MAX_PIXELS,
    ) -> None:
        if count < 1:
            raise EmptySource(f"the source has {count} pictures; give at least one")
        if max_pixels < 1:
            raise ConfigurationError(f"max_pixels is {max_pixels}; wanted at least 1")
        self._load, self._count, self._max_pixels = load, count, max_pixels
        names = checked_labels(ids, count, "ids")
        self._ids = None if names is None else [printable(name) for name in names]
        self._labels = checked_labels(labels, count)
        self._one_at_a_time = Lock()

    def __len__(self) -> int:
        return self._count

    @property
    def ids(self) -> Sequence[str]:
        """The ids given, printable, or the indices as text."""
        return LazySequence(len(self), str) if self._ids is None else self._ids

    @property
    def labels(self) -> Sequence[str] | None:
        """The labels given."""
        return self._labels

    def _content(self, index: int) -> bytes:
        name = self._name(index)
        try:
            with self._one_at_a_time:
                content = self._load(index)
        except ImageError:
            raise
        except Exception as error:
            raise UnreadableFile(
                f"{name} could not be fetched: {type(error).__name__} ({printable_text(error)}); "
                f"see to where it is kept, or leave it out"
            ) from error
        if not isinstance(content, bytes):
            raise UnreadableFile(
                f"{name} was fetched as {type(content).__name__}; wanted the bytes of its file"
            )
        return content

    def _name(self, index: int) -> str:
        return f"item {index}" if self._ids is None else self._ids[index]
