"""The wire format of protocol buffers, read within limits.

https://protobuf.dev/programming-guides/encoding. The package onnx is no part of the bare install,
and what a graph may hold is to be known before ONNX Runtime reads it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType

from residua.errors import BundleRefused

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
_SIZES = {FIXED64: 8, FIXED32: 4}
_LONGEST_VARINT = 10
_LONGEST_TEXT = 1_000
_NOTHING: Mapping[int, str] = MappingProxyType({})

Content = int | memoryview
"""Of a field: a number of `VARINT`; the bytes of all other kinds."""
Message = dict[int, list[Content]]
"""The fields of a message by number, each as often as it occurs."""


class Reader:
    """Reads messages until it has seen as many fields as it may.

    Parameters
    ----------
    most_fields : int
        In all messages together.
    """

    def __init__(self, most_fields: int) -> None:
        self._most = self._left = most_fields

    def message(
        self,
        content: memoryview,
        kind: str,
        known: Mapping[int, int],
        repeated: Iterable[int] = (),
        refused: Mapping[int, str] = _NOTHING,
    ) -> Message:
        """Read one message, without those inside of it.

        Parameters
        ----------
        content : memoryview
        kind : str
            What it is, for the error texts: "a node", "a tensor" …
        known : mapping of int to int
            Numbers of the fields that it may have, with their kinds on the wire.
        repeated : iterable of int
            Those that may occur more than once. Of others, parsers take the last or join them, so
            that two of one are read in two ways.
        refused : mapping of int to str
            What some of the others are, in words.

        Raises
        ------
        BundleRefused
            It is no such message, has other fields, or there are too many.
        """
        found: Message = {}
        many = set(repeated)
        for number, wire, value in self._fields(content, kind):
            if number not in known or not _is_of(wire, known[number], number in many):
                said = refused.get(number, f"a field {number} of kind {wire}")
                raise BundleRefused(f"{kind} has {said}, which no saved model has")
            values = found.setdefault(number, [])
            if values and number not in many:
                raise BundleRefused(f"{kind} has its field {number} twice")
            if wire == BYTES != known[number]:
                values += self._packed(value, known[number], kind)
            else:
                values.append(value)
        return found

    def _fields(self, content: memoryview, kind: str) -> Iterator[tuple[int, int, Content]]:
        at, end = 0, len(content)
        while at < end:
            self._left -= 1
            if self._left < 0:
                raise BundleRefused(f"it has more than {self._most:,} parts")
            key, at = _varint(content, at, kind)
            number, wire = key >> 3, key & 7
            value: Content
            if wire == VARINT:
                value, at = _varint(content, at, kind)
            else:
                size = _SIZES.get(wire)
                if wire == BYTES:
                    size, at = _varint(content, at, kind)
                if size is None or size > end - at:
                    raise BundleRefused(f"{kind} is cut short or damaged")
                value, at = content[at : at + size], at + size
            yield number, wire, value

    def _packed(self, content: Content, wire: int, kind: str) -> Iterator[Content]:
        """Yield numbers that stand one after the other in one field."""
        assert isinstance(content, memoryview)
        at = 0
        size = _SIZES.get(wire)
        while at < len(content):
            self._left -= 1
            if self._left < 0:
                raise BundleRefused(f"it has more than {self._most:,} parts")
            if size is None:
                value, at = _varint(content, at, kind)
                yield value
            else:
                yield content[at : at + size]
                at += size


def _is_of(wire: int, known: int, repeated: bool) -> bool:
    return wire == known or (repeated and wire == BYTES)


def _varint(content: memoryview, at: int, kind: str) -> tuple[int, int]:
    value = shift = 0
    for byte in content[at : at + _LONGEST_VARINT]:
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & (1 << 64) - 1, at
        shift += 7
    raise BundleRefused(f"{kind} is cut short or damaged")


def signed(value: int) -> int:
    """Return the int64 that a varint stands for."""
    return value - (1 << 64) if value >> 63 else value


def number(message: Message, field: int, default: int = 0) -> int:
    """Return a field that is an int64, or the default where it is missing."""
    values = message.get(field)
    if not values:
        return default
    assert isinstance(values[0], int)
    return signed(values[0])


def content(message: Message, field: int) -> memoryview:
    """Return a field that is bytes, empty where it is missing."""
    values = message.get(field)
    if not values:
        return memoryview(b"")
    assert isinstance(values[0], memoryview)
    return values[0]


def text(value: Content) -> str:
    """Return a field's text.

    Raises
    ------
    BundleRefused
        It is no UTF-8, or longer than any name.
    """
    assert isinstance(value, memoryview)
    if len(value) > _LONGEST_TEXT:
        raise BundleRefused(f"a name in it has {len(value):,} bytes; {_LONGEST_TEXT:,} are allowed")
    try:
        return bytes(value).decode("utf-8")
    except UnicodeDecodeError as error:
        raise BundleRefused("a name in it is not text") from error
