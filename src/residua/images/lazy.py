"""Sequences that are computed where they are looked at, so that a million files cost one list."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Generic, TypeVar, overload

T = TypeVar("T")


class LazySequence(Sequence[T], Generic[T]):
    """The sequence ``at(0), at(1), … at(length - 1)``; equal to any sequence of equal items.

    Parameters
    ----------
    length : int
        Number of items.
    at : callable
        Gives the item at an index from 0 to ``length - 1``.
    """

    def __init__(self, length: int, at: Callable[[int], T]) -> None:
        self._range = range(length)
        self._at = at

    def __len__(self) -> int:
        return len(self._range)

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> list[T]: ...
    def __getitem__(self, index: int | slice) -> T | list[T]:
        if isinstance(index, slice):
            return [self._at(i) for i in self._range[index]]
        return self._at(self._range[index])

    def __iter__(self) -> Iterator[T]:
        return map(self._at, self._range)

    def __eq__(self, other: Any) -> bool:
        if not isinstance(other, Sequence) or isinstance(other, str | bytes):
            return NotImplemented
        return len(self) == len(other) and all(a == b for a, b in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        shown = ", ".join(repr(item) for item in self[:5])
        return f"[{shown}{', …' if len(self) > 5 else ''}]"


def packed(texts: Iterable[str]) -> LazySequence[str]:
    """Return texts as a sequence that holds them in one block of bytes.

    A list takes some 60 bytes more for each. Any text comes out as it went in, also a path with
    bytes that are not UTF-8.
    """
    block, ends = bytearray(), array("q", [0])
    for text in texts:
        block += text.encode("utf-8", "surrogatepass")
        ends.append(len(block))
    return LazySequence(len(ends) - 1, _Packed(bytes(block), ends))


class _Packed:
    """A text by its number; unlike a function in a function it goes to another process."""

    __slots__ = ("_block", "_ends")

    def __init__(self, block: bytes, ends: array[int]) -> None:
        self._block, self._ends = block, ends

    def __call__(self, index: int) -> str:
        ends = self._ends
        return self._block[ends[index] : ends[index + 1]].decode("utf-8", "surrogatepass")
