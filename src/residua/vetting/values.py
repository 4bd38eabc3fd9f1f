"""What is known of a value in a graph before anything is computed."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua.errors import BundleRefused
from residua.vetting.onnx_file import SMALL, Node, Tensor

_MOST_SIDES, _LONGEST_SIDE = 16, 1 << 40
# That say how one node is meant: its axes, borders, parts …
_MOST_KNOWN = 256


class Unknown(Exception):
    """Numbers would have to be known which are not known before the pictures are."""


class Value:
    """A value's shape and, where it is small and hangs on no picture, its numbers.

    ``wide`` says whether each of its numbers takes 8 bytes, and not 4 at most.

    Raises
    ------
    BundleRefused
        It has more sides, or longer ones, than any value that fits into memory.
    """

    __slots__ = ("numbers", "shape", "size", "wide")

    def __init__(
        self, shape: tuple[int, ...], numbers: NDArray[Any] | None = None, wide: bool = False
    ) -> None:
        # Looked at first: the product of thousands of large numbers takes long.
        if len(shape) > _MOST_SIDES or any(abs(side) > _LONGEST_SIDE for side in shape):
            raise BundleRefused(
                f"a value in it has {len(shape):,} sides, of which the longest is "
                f"{max(map(abs, shape)):.3g}; {_MOST_SIDES} sides of {_LONGEST_SIDE:,} are the "
                f"most that are taken"
            )
        self.shape = tuple(int(side) for side in shape)
        self.size = math.prod(self.shape)
        self.numbers = numbers if self.size <= SMALL else None
        self.wide = wide

    @property
    def room(self) -> int:
        """What it takes of memory, in numbers of 4 bytes."""
        return self.size << self.wide

    @property
    def rank(self) -> int:
        """How many sides it has."""
        return len(self.shape)

    def axis(self, number: int) -> int:
        """Return a side's number, counted from the first one.

        Raises
        ------
        IndexError
            It has no such side.
        """
        if not -self.rank <= number < self.rank:
            raise IndexError(number)
        return number % self.rank


def computed(array: Any) -> Value:
    """Return a value of which all is known."""
    found = np.asarray(array)
    return Value(found.shape, found)


def known(value: Value | None, what: str) -> list[int]:
    """Return whole numbers that must be known, as a list.

    Raises
    ------
    Unknown
        They are not.
    ValueError
        They are more than any node needs.
    """
    return [int(one) for one in _few(value, what)]


def real(value: Value | None, what: str) -> list[float]:
    """Return numbers that must be known, as a list; see `known`."""
    return [float(one) for one in _few(value, what)]


def _few(value: Value | None, what: str) -> list[Any]:
    if value is None or value.numbers is None:
        raise Unknown(what)
    if value.size > _MOST_KNOWN:
        raise ValueError(f"{value.size} numbers for {what}")
    found: list[Any] = np.ravel(value.numbers).tolist()
    return found


def at(inputs: list[Value | None], number: int) -> Value:
    """Return an input that must be there.

    Raises
    ------
    IndexError
        It is not.
    """
    found = inputs[number]
    if found is None:
        raise IndexError(number)
    return found


def optional(inputs: list[Value | None], number: int) -> Value | None:
    """Return an input, or None where it is left out."""
    return inputs[number] if number < len(inputs) else None


def whole(node: Node, name: str, default: int) -> int:
    """Return an attribute that is a whole number.

    Raises
    ------
    TypeError
        It is something else.
    """
    found = node.attributes.get(name, default)
    if not isinstance(found, int):
        raise TypeError(name)
    return found


def wholes(node: Node, name: str, default: list[int]) -> list[int]:
    """Return an attribute that is a list of whole numbers.

    Raises
    ------
    TypeError
        It is something else.
    """
    found = node.attributes.get(name, default)
    if not isinstance(found, list):
        raise TypeError(name)
    return [_int(one) for one in found]


def _int(value: float | int | bytes) -> int:
    if not isinstance(value, int):
        raise TypeError(value)
    return value


def word(node: Node, name: str, default: bytes, allowed: tuple[bytes, ...]) -> bytes:
    """Return an attribute that is one of some words.

    Raises
    ------
    ValueError
        It is another one.
    """
    found = node.attributes.get(name, default)
    if not isinstance(found, bytes) or found not in allowed:
        raise ValueError(name)
    return found


def tensor(node: Node, name: str) -> Value:
    """Return an attribute that is a tensor.

    Raises
    ------
    TypeError
        It is something else.
    """
    found = node.attributes.get(name)
    if not isinstance(found, Tensor):
        raise TypeError(name)
    return Value(found.shape, found.values)


def broadcast(*shapes: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape of what several are brought to.

    Raises
    ------
    BundleRefused
        They do not go together.
    """
    rank = max(map(len, shapes), default=0)
    sides = []
    for column in zip(*((1,) * (rank - len(one)) + one for one in shapes), strict=True):
        found = {side for side in column if side != 1}
        if len(found) > 1:
            raise BundleRefused(f"values of the shapes {shapes[:4]} are joined, which do not fit")
        sides.append(found.pop() if found else 1)
    return tuple(sides)
