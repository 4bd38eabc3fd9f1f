"""An ONNX file as it may come from a stranger: nodes and numbers, and nothing that refers outside.

https://github.com/onnx/onnx/blob/main/onnx/onnx.proto has the numbers of the fields. Fields that
are not named here are refused: functions, graphs within nodes, external data, strings, sparse
tensors and training.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua.errors import BundleRefused
from residua.vetting.wire import (
    BYTES,
    FIXED32,
    VARINT,
    Message,
    Reader,
    content,
    number,
    signed,
    text,
)

MOST_FIELDS = 200_000
"""Of all parts of a file together: a large transformer has some 50,000."""
OPSETS = range(13, 25)
"""Versions of the operators whose meaning `residua.vetting.sizes` knows."""
SMALL = 4_096
"""Numbers of a tensor up to which they are looked at: those that say how large another one is."""

_MODEL = {1: VARINT, 2: BYTES, 3: BYTES, 4: BYTES, 5: VARINT, 6: BYTES, 7: BYTES, 8: BYTES}
_MODEL |= {14: BYTES}
_OPSET = {1: BYTES, 2: VARINT}
_GRAPH = dict.fromkeys((1, 2, 5, 10, 11, 12, 13, 16), BYTES)
_NODE = dict.fromkeys((1, 2, 3, 4, 5, 6, 7, 9), BYTES)
_ATTRIBUTE = {1: BYTES, 2: FIXED32, 3: VARINT, 4: BYTES, 5: BYTES, 7: FIXED32, 8: VARINT}
_ATTRIBUTE |= {9: BYTES, 13: BYTES, 20: VARINT}
_FLOAT, _INT, _STRING, _TENSOR, _FLOATS, _INTS, _STRINGS = 1, 2, 3, 4, 6, 7, 8
# By type of an attribute, the field that holds its value.
_HELD_IN = {_FLOAT: 2, _INT: 3, _STRING: 4, _TENSOR: 5, _FLOATS: 7, _INTS: 8, _STRINGS: 9}
_TENSORS = {1: VARINT, 2: VARINT, 8: BYTES, 9: BYTES, 12: BYTES, 14: VARINT, 16: BYTES}
# By field of numbers that are not raw: how they stand there, and of which types they are.
_TYPED: dict[int, str] = {4: "<f4", 5: "varint", 7: "varint", 10: "<f8", 11: "varint"}
_TYPES_IN = {4: (1,), 5: (2, 3, 4, 5, 6, 9, 10, 16), 7: (7,), 10: (11,), 11: (12, 13)}
_VALUE = dict.fromkeys((1, 2, 3, 4), BYTES)
_NOT_IN_MODEL = {20: "training", 25: "functions of its own"}
_NOT_IN_GRAPH = {15: "sparse tensors"}
_NOT_IN_ATTRIBUTE = dict.fromkeys((6, 11), "a graph within, for a branch or a loop")
_NOT_IN_ATTRIBUTE |= dict.fromkeys((22, 23), "sparse tensors")
_NOT_IN_TENSOR = {6: "text for numbers", 13: "its numbers in another file"}
# Types of numbers, and how they stand in raw data; float16 and bfloat16 are not looked at.
_DTYPES: dict[int, str] = {
    1: "<f4", 2: "u1", 3: "i1", 4: "<u2", 5: "<i2", 6: "<i4", 7: "<i8", 9: "?", 10: "<u2",
    11: "<f8", 12: "<u4", 13: "<u8", 16: "<u2",
}  # fmt: skip
_HALVES = (10, 16)
WIDE = (7, 11, 13)
"""Types of which a number takes 8 bytes."""


@dataclass(frozen=True)
class Tensor:
    """Numbers that the file holds."""

    shape: tuple[int, ...]
    values: NDArray[Any] | None
    """The numbers, where they are few; see `SMALL`."""
    wide: bool = False
    """Whether each takes 8 bytes."""


Attribute = float | int | bytes | list[float] | list[int] | list[bytes] | Tensor


@dataclass(frozen=True)
class Node:
    """One step of the computation."""

    operator: str
    inputs: tuple[str, ...]
    """Names of values; an empty one: it is left out."""
    outputs: tuple[str, ...]
    attributes: dict[str, Attribute]


@dataclass(frozen=True)
class OnnxFile:
    """All of a file that says what is computed."""

    nodes: list[Node]
    tensors: dict[str, Tensor]
    """Numbers by name."""
    inputs: list[str]
    """What must be given, without the tensors that it may also name."""
    outputs: list[str]


def read_onnx(data: bytes) -> OnnxFile:
    """Read an ONNX file.

    Raises
    ------
    BundleRefused
        It is none, or has parts that no saved model has; the text says which, not in what file.
    """
    reader = Reader(MOST_FIELDS)
    model = reader.message(memoryview(data), "the file", _MODEL, (8, 14), _NOT_IN_MODEL)
    _check_opsets(reader, model)
    if 7 not in model:
        raise BundleRefused("there is no graph in it")
    graph = reader.message(
        content(model, 7), "the graph", _GRAPH, (1, 5, 11, 12, 13, 16), _NOT_IN_GRAPH
    )
    tensors: dict[str, Tensor] = {}
    for part in graph.get(5, []):
        assert isinstance(part, memoryview)
        name, tensor = _tensor(reader, part)
        if name in tensors:
            raise BundleRefused(f"two tensors are called {name!r}")
        tensors[name] = tensor
    inputs = [_name(reader, part) for part in graph.get(11, [])]
    return OnnxFile(
        nodes=[_node(reader, part) for part in graph.get(1, [])],
        tensors=tensors,
        inputs=[name for name in inputs if name not in tensors],
        outputs=[_name(reader, part) for part in graph.get(12, [])],
    )


def _check_opsets(reader: Reader, model: Message) -> None:
    for part in model.get(8, []):
        assert isinstance(part, memoryview)
        opset = reader.message(part, "a version of operators", _OPSET)
        domain, version = text(content(opset, 1)), number(opset, 2)
        if domain not in ("", "ai.onnx"):
            raise BundleRefused(
                f"it uses operators of {domain!r}; only ONNX's own are taken, which run no code of "
                f"others"
            )
        if version not in OPSETS:
            raise BundleRefused(
                f"its operators are of version {version}; those of {OPSETS[0]} to {OPSETS[-1]} are "
                f"taken"
            )


def _node(reader: Reader, part: int | memoryview) -> Node:
    assert isinstance(part, memoryview)
    node = reader.message(part, "a node", _NODE, (1, 2, 5, 9))
    operator, domain = text(content(node, 4)), text(content(node, 7))
    if domain not in ("", "ai.onnx"):
        raise BundleRefused(f"the operator {operator!r} is of {domain!r}, not of ONNX itself")
    attributes: dict[str, Attribute] = {}
    for one in node.get(5, []):
        assert isinstance(one, memoryview)
        name, value = _attribute(reader, one, operator)
        if name in attributes:
            raise BundleRefused(f"the operator {operator!r} has two attributes called {name!r}")
        attributes[name] = value
    return Node(
        operator,
        tuple(map(text, node.get(1, []))),
        tuple(map(text, node.get(2, []))),
        attributes,
    )


def _attribute(reader: Reader, part: memoryview, operator: str) -> tuple[str, Attribute]:
    found = reader.message(
        part, f"the operator {operator!r}", _ATTRIBUTE, (7, 8, 9), _NOT_IN_ATTRIBUTE
    )
    name, kind = text(content(found, 1)), number(found, 20)
    held_in = _HELD_IN.get(kind)
    if held_in is None or set(_HELD_IN.values()) & set(found) - {held_in}:
        raise BundleRefused(f"the attribute {name!r} of {operator!r} has no type, or another one")
    values = found.get(held_in, [])
    value: Attribute
    if kind == _INT:
        value = number(found, held_in)
    elif kind == _INTS:
        value = [signed(one) for one in values if isinstance(one, int)]
    elif kind in (_FLOAT, _FLOATS):
        floats = [_float(one) for one in values if isinstance(one, memoryview)]
        value = floats if kind == _FLOATS else (floats or [0.0])[0]
    elif kind == _TENSOR:
        value = _tensor(reader, content(found, held_in))[1]
    elif kind == _STRING:
        value = bytes(content(found, held_in))
    else:
        value = [bytes(one) for one in values if isinstance(one, memoryview)]
    return name, value


def _float(value: memoryview) -> float:
    if len(value) != 4:
        raise BundleRefused("an attribute is cut short or damaged")
    return float(np.frombuffer(value, "<f4")[0])


def _name(reader: Reader, part: int | memoryview) -> str:
    assert isinstance(part, memoryview)
    return text(content(reader.message(part, "an input or output", _VALUE, (4,)), 1))


def _tensor(reader: Reader, part: memoryview) -> tuple[str, Tensor]:
    # Its numbers, which may be a million, stay bytes here, packed as every writer packs them.
    known = _TENSORS | dict.fromkeys(_TYPED, BYTES)
    found = reader.message(part, "a tensor", known, (1, 16), _NOT_IN_TENSOR)
    name, kind = text(content(found, 8)), number(found, 2)
    shape = tuple(signed(side) for side in found.get(1, []) if isinstance(side, int))
    if number(found, 14) or kind not in _DTYPES:
        raise BundleRefused(
            f"the tensor {name!r} lies in another file, or holds no numbers (type {kind})"
        )
    if len(shape) > 16 or min(shape, default=0) < 0:
        raise BundleRefused(f"the tensor {name!r} has the shape {shape[:16]}")
    held_in = [field for field in (9, *_TYPED) if field in found]
    if len(held_in) > 1 or not all(kind in _TYPES_IN.get(field, _DTYPES) for field in held_in):
        raise BundleRefused(f"the numbers of the tensor {name!r} are given twice, or as others")
    size = math.prod(shape)
    numbers = _numbers(content(found, held_in[0]), held_in[0], kind) if held_in else np.empty(0)
    if numbers is None or len(numbers) != size:
        raise BundleRefused(
            f"the tensor {name!r} is to hold {size:,} numbers, and the file holds others"
        )
    values = None
    if size <= SMALL and kind not in _HALVES:
        values = numbers.astype(_DTYPES[kind]).reshape(shape)
    return name, Tensor(shape, values, kind in WIDE)


def _numbers(data: memoryview, field: int, kind: int) -> NDArray[Any] | None:
    """Return a tensor's numbers, of the right length if not decoded; None: they are cut short."""
    width = _DTYPES[kind] if field == 9 else _TYPED[field]
    if width == "varint":
        lasts = np.frombuffer(data, np.uint8) < 0x80
        count = int(lasts.sum())
        if len(data) and not lasts[-1]:
            return None
        if count > SMALL:
            return np.broadcast_to(np.zeros(1), (count,))
        return np.array(_varints(data), dtype=np.int64)
    if len(data) % np.dtype(width).itemsize:
        return None
    return np.frombuffer(data, width)


def _varints(data: memoryview) -> list[int]:
    found = Reader(SMALL + 1).message(_as_field(data), "a tensor", {1: VARINT}, (1,))
    return [signed(one) for one in found.get(1, []) if isinstance(one, int)]


def _as_field(data: memoryview) -> memoryview:
    """Return bytes as the one field of a message, number 1."""
    size, head = len(data), bytearray(b"\x0a")
    while size >= 0x80:
        head.append(size & 0x7F | 0x80)
        size >>= 7
    head.append(size)
    return memoryview(bytes(head) + bytes(data))
