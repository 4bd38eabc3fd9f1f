"""Operators that make, cut, join and move values."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import numpy as np

from residua.vetting.onnx_file import SMALL, Node
from residua.vetting.values import (
    Value,
    at,
    broadcast,
    computed,
    known,
    optional,
    tensor,
    whole,
    wholes,
    word,
)

Inputs = list[Value | None]
Results = tuple[list[Value], int]


def _constant(node: Node, _: Inputs) -> Results:
    ((name, value),) = node.attributes.items()
    if name == "value":
        return [tensor(node, "value")], 0
    kinds = {"value_float": "f4", "value_int": "i8", "value_floats": "f4", "value_ints": "i8"}
    return [computed(np.array(value, kinds[name]))], 0


def _shape(node: Node, inputs: Inputs) -> Results:
    sides = at(inputs, 0).shape
    start, end = whole(node, "start", 0), whole(node, "end", len(sides))
    return [computed(np.array(sides[start:end], "i8"))], 0


def _count(_: Node, inputs: Inputs) -> Results:
    return [computed(np.array(at(inputs, 0).size, "i8"))], 0


def _filled(node: Node, inputs: Inputs) -> Results:
    shape = tuple(known(at(inputs, 0), "its shape"))
    fill = tensor(node, "value").numbers if "value" in node.attributes else np.zeros(1, "f4")
    result = Value(shape)
    if fill is not None and 0 <= result.size <= SMALL and min(shape, default=0) >= 0:
        result = computed(np.full(shape, fill.ravel()[0]))
    return [result], result.size


def _range(_: Node, inputs: Inputs) -> Results:
    for i in range(3):
        known(at(inputs, i), "its ends")
    # Scalars of NumPy: the difference is rounded to their type, and the quotient is not.
    start, limit, step = (np.ravel(at(inputs, i).numbers)[0] for i in range(3))  # type: ignore[arg-type]
    with np.errstate(all="ignore"):
        count = max(0, math.ceil(float(limit - start) / float(step)))
    if count > SMALL or start.dtype.kind != "i":
        return [Value((count,))], count
    return [computed((start + step * np.arange(count)).astype(start.dtype))], count


def _reshaped(node: Node, inputs: Inputs) -> Results:
    first = at(inputs, 0)
    sides = known(at(inputs, 1), "its shape")
    if not whole(node, "allowzero", 0):
        sides = [first.shape[i] if side == 0 else side for i, side in enumerate(sides)]
    if sides.count(-1) == 1:
        rest = math.prod(side for side in sides if side != -1)
        sides[sides.index(-1)] = first.size // rest if rest else 0
    result = Value(tuple(sides))
    if result.size != first.size or min(sides, default=0) < 0:
        raise ValueError(sides)
    if first.numbers is not None:
        result = computed(first.numbers.reshape(result.shape))
    return [result], 0


def _flattened(node: Node, inputs: Inputs) -> Results:
    first = at(inputs, 0)
    axis = whole(node, "axis", 1)
    axis += first.rank if axis < 0 else 0
    if not 0 <= axis <= first.rank:
        raise IndexError(axis)
    return [Value((math.prod(first.shape[:axis]), math.prod(first.shape[axis:])))], 0


def _squeezed(node: Node, inputs: Inputs) -> Results:
    first, given = at(inputs, 0), optional(inputs, 1)
    axes = known(given, "the axes") if given is not None else wholes(node, "axes", [])
    gone = {first.axis(axis) for axis in axes}
    gone = gone or {i for i, side in enumerate(first.shape) if side == 1}
    if any(first.shape[axis] != 1 for axis in gone):
        raise ValueError(axes)
    shape = tuple(side for i, side in enumerate(first.shape) if i not in gone)
    numbers = first.numbers
    return [Value(shape, None if numbers is None else numbers.reshape(shape))], 0


def _unsqueezed(node: Node, inputs: Inputs) -> Results:
    first, given = at(inputs, 0), optional(inputs, 1)
    axes = known(given, "the axes") if given is not None else wholes(node, "axes", [])
    rank = first.rank + len(axes)
    new = {axis % rank for axis in axes if -rank <= axis < rank}
    if len(new) != len(axes):
        raise IndexError(axes)
    rest = iter(first.shape)
    shape = tuple(1 if i in new else next(rest) for i in range(rank))
    numbers = first.numbers
    return [Value(shape, None if numbers is None else numbers.reshape(shape))], 0


def _transposed(node: Node, inputs: Inputs) -> Results:
    first = at(inputs, 0)
    order = wholes(node, "perm", list(range(first.rank))[::-1])
    if sorted(order) != list(range(first.rank)):
        raise IndexError(order)
    shape = tuple(first.shape[i] for i in order)
    numbers = first.numbers
    return [Value(shape, None if numbers is None else numbers.transpose(order))], first.size


def _joined(node: Node, inputs: Inputs) -> Results:
    values = [at(inputs, i) for i in range(len(inputs))]
    axis = values[0].axis(whole(node, "axis", 0))
    sides = list(values[0].shape)
    sides[axis] = sum(value.shape[axis] for value in values)
    result = Value(tuple(sides))
    arrays = [value.numbers for value in values]
    present = [array for array in arrays if array is not None]
    if result.size <= SMALL and len(present) == len(arrays):
        result = computed(np.concatenate(present, axis))
    return [result], result.size


def _split(node: Node, inputs: Inputs) -> Results:
    first, given = at(inputs, 0), optional(inputs, 1)
    axis = first.axis(whole(node, "axis", 0))
    side = first.shape[axis]
    count = len(node.outputs)
    if given is not None:
        parts = known(given, "its parts")
    elif "split" in node.attributes:
        parts = wholes(node, "split", [])
    else:
        each = -(-side // whole(node, "num_outputs", count))
        parts = [min(each, side - i * each) for i in range(count)]
    if sum(parts) != side or min(parts) < 0 or len(parts) != count:
        raise ValueError(parts)
    ends = np.cumsum([0, *parts]).tolist()
    found = []
    for start, end in pairwise(ends):
        shape = (*first.shape[:axis], end - start, *first.shape[axis + 1 :])
        where = (slice(None),) * axis + (slice(start, end),)
        found.append(Value(shape, None if first.numbers is None else first.numbers[where]))
    return found, first.size


def _sliced(_: Node, inputs: Inputs) -> Results:
    first = at(inputs, 0)
    starts, ends = (known(at(inputs, i), "its ends") for i in (1, 2))
    given, steps_given = optional(inputs, 3), optional(inputs, 4)
    axes = list(range(len(starts))) if given is None else known(given, "the axes")
    steps = [1] * len(starts) if steps_given is None else known(steps_given, "its steps")
    where = [slice(None)] * first.rank
    sides = list(first.shape)
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        i = first.axis(axis)
        # Before the first number is on it, as on the last where it is behind.
        start = max(start, -sides[i]) if step < 0 else start
        # The least int64 as the end of a slice backwards means: up to the first and with it.
        stop = None if step < 0 and end < -sides[i] else end
        where[i] = slice(start, stop, step)
        sides[i] = len(range(*where[i].indices(first.shape[i])))
    numbers = None if first.numbers is None else first.numbers[tuple(where)]
    result = Value(tuple(sides), numbers)
    return [result], result.size


def _gathered(node: Node, inputs: Inputs) -> Results:
    first, places = at(inputs, 0), at(inputs, 1)
    axis = first.axis(whole(node, "axis", 0))
    result = Value(first.shape[:axis] + places.shape + first.shape[axis + 1 :])
    if first.numbers is not None and places.numbers is not None and result.size <= SMALL:
        result = computed(np.take(first.numbers, places.numbers, axis))
    return [result], result.size


def _as_places(_: Node, inputs: Inputs) -> Results:
    """GatherElements: as many as there are places."""
    at(inputs, 0)
    return [Value(at(inputs, 1).shape)], at(inputs, 1).size


def _gathered_by_rows(node: Node, inputs: Inputs) -> Results:
    first, places = at(inputs, 0), at(inputs, 1)
    batch, depth = whole(node, "batch_dims", 0), places.shape[-1]
    if not 0 <= batch <= batch + depth <= first.rank:
        raise IndexError(depth)
    result = Value(places.shape[:-1] + first.shape[batch + depth :])
    return [result], result.size


def _scattered(_: Node, inputs: Inputs) -> Results:
    first = at(inputs, 0)
    return [Value(first.shape)], first.size + at(inputs, 2).size


def _expanded(_: Node, inputs: Inputs) -> Results:
    first = at(inputs, 0)
    shape = broadcast(first.shape, tuple(known(at(inputs, 1), "its shape")))
    result = Value(shape)
    if first.numbers is not None and result.size <= SMALL:
        result = computed(np.broadcast_to(first.numbers, shape))
    return [result], result.size


def _tiled(_: Node, inputs: Inputs) -> Results:
    first = at(inputs, 0)
    times = known(at(inputs, 1), "its repeats")
    result = Value(tuple(a * b for a, b in zip(first.shape, times, strict=True)))
    if first.numbers is not None and result.size <= SMALL and min(times, default=0) >= 0:
        result = computed(np.tile(first.numbers, times))
    return [result], result.size


def _padded(node: Node, inputs: Inputs) -> Results:
    first = at(inputs, 0)
    word(node, "mode", b"constant", (b"constant", b"reflect", b"edge", b"wrap"))
    pads, given = known(at(inputs, 1), "its borders"), optional(inputs, 3)
    axes = list(range(first.rank)) if given is None else known(given, "the axes")
    if len(pads) != 2 * len(axes):
        raise ValueError(pads)
    sides = list(first.shape)
    for i, axis in enumerate(axes):
        sides[first.axis(axis)] += pads[i] + pads[i + len(axes)]
    result = Value(tuple(sides))
    return [result], result.size


def _one_hot(node: Node, inputs: Inputs) -> Results:
    places = at(inputs, 0)
    (depth,) = known(at(inputs, 1), "its depth")
    axis = whole(node, "axis", -1)
    axis += places.rank + 1 if axis < 0 else 0
    result = Value((*places.shape[:axis], depth, *places.shape[axis:]))
    return [result], result.size


def _diagonal(_: Node, inputs: Inputs) -> Results:
    first = at(inputs, 0)
    return [Value(first.shape)], first.size


SHAPES: dict[str, Callable[[Node, Inputs], Results]] = {
    "Constant": _constant,
    "ConstantOfShape": _filled,
    "Concat": _joined,
    "Expand": _expanded,
    "EyeLike": _diagonal,
    "Flatten": _flattened,
    "Gather": _gathered,
    "GatherElements": _as_places,
    "GatherND": _gathered_by_rows,
    "OneHot": _one_hot,
    "Pad": _padded,
    "Range": _range,
    "Reshape": _reshaped,
    "ScatterElements": _scattered,
    "ScatterND": _scattered,
    "Shape": _shape,
    "Size": _count,
    "Slice": _sliced,
    "Split": _split,
    "Squeeze": _squeezed,
    "Tile": _tiled,
    "Transpose": _transposed,
    "Unsqueeze": _unsqueezed,
}
