"""Operators number by number, and those that join the numbers of some sides."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from residua.vetting.onnx_file import SMALL, Node
from residua.vetting.values import (
    Value,
    at,
    broadcast,
    known,
    optional,
    whole,
    wholes,
)

Inputs = list[Value | None]
Results = tuple[list[Value], int]

# Types to which `Cast` brings numbers, by their number in ONNX. Of halves nothing is known
# afterwards: where they are computed as float32, nobody says between which steps they are rounded.
_TYPES: dict[int, str] = {
    1: "f4", 2: "u1", 3: "i1", 4: "u2", 5: "i2", 6: "i4", 7: "i8", 9: "?", 11: "f8", 12: "u4",
    13: "u8",
}  # fmt: skip
_HALVES = (10, 16)
# No side is as long; beyond, the ways of machines to round, wrap and cut part.
_BEYOND = 1 << 31


def _evaluated(compute: Callable[..., Any] | None, inputs: list[Value]) -> Any:
    """Compute what is known of all inputs; None: it is not known, or there is no need to.

    What is known decides on sizes, so that it must be to the bit what an engine computes.
    """
    arrays = [value.numbers for value in inputs]
    if compute is None or not all(map(_is_plain, arrays)):
        return None
    with np.errstate(all="ignore"):
        found = compute(*arrays)
    return found if _is_plain(found) else None


def _is_plain(array: Any) -> bool:
    return array is not None and bool(np.all((array > -_BEYOND) & (array < _BEYOND)))


def _each(compute: Callable[..., Any] | None, _: Node, inputs: Inputs) -> Results:
    """Number by number, of inputs that are brought to one shape."""
    at(inputs, 0)
    values = [value for value in inputs if value is not None]
    shape = broadcast(*(value.shape for value in values))
    result = Value(shape)
    if result.size <= SMALL:
        result = Value(shape, _evaluated(compute, values))
    return [result], result.size


def _same(node: Node, inputs: Inputs) -> Results:
    """Results of the first input's shape; further inputs say how."""
    first = at(inputs, 0)
    return [Value(first.shape) for _ in node.outputs], 8 * first.size


def _passed(node: Node, inputs: Inputs) -> Results:
    first = at(inputs, 0)
    return [Value(first.shape, first.numbers)], first.size


def _without_chance(node: Node, inputs: Inputs) -> Results:
    """Dropout, which does nothing: its third input would have it drop numbers."""
    if optional(inputs, 2) is not None:
        raise ValueError("training_mode")
    return _same(node, inputs)


def _normalised_by_neighbours(node: Node, inputs: Inputs) -> Results:
    """LRN, which takes memory for its window too; none needs to be wider than both sides of all."""
    first, size = at(inputs, 0), whole(node, "size", 0)
    if not 1 <= size <= 2 * first.shape[1] + 1:
        raise ValueError(size)
    return [Value(first.shape)], first.size * size


def _normalised(node: Node, inputs: Inputs) -> Results:
    """LayerNormalization and RMSNormalization: further results have normalised sides of 1."""
    first = at(inputs, 0)
    axis = first.axis(whole(node, "axis", -1))
    means = first.shape[:axis] + (1,) * (first.rank - axis)
    return [Value(first.shape), Value(means), Value(means)], 8 * first.size


def _cast(node: Node, inputs: Inputs) -> Results:
    first = at(inputs, 0)
    to = whole(node, "to", 0)
    if to in _HALVES:
        return [Value(first.shape)], first.size
    return [Value(first.shape, _brought_to(np.dtype(_TYPES[to]), first))], first.size


def _brought_to(kind: np.dtype[Any], value: Value) -> Any:
    array = value.numbers
    if array is not None and array.dtype.kind in "iub" and kind == np.int64:
        return array.astype(kind)  # the ends of slices are the greatest there are
    found = _evaluated(lambda one: one.astype(kind), [value])
    if found is None or kind.kind not in "iu":
        return found
    # What does not fit into a whole number becomes what the machine makes of it.
    return found if np.all(np.abs(found.astype("f8") - array) < 1) else None


def _divided(one: Any, other: Any) -> Any:
    if np.issubdtype(one.dtype, np.integer) and np.issubdtype(other.dtype, np.integer):
        if not other.all():
            raise ZeroDivisionError
        return np.trunc(one / other).astype(one.dtype)  # exact below 2^53
    return one / other


def _sum(array: Any, **how: Any) -> Any:
    return np.sum(array, dtype=array.dtype, **how)


def _product(array: Any, **how: Any) -> Any:
    return np.prod(array, dtype=array.dtype, **how)


def _reduced(compute: Callable[..., Any] | None, node: Node, inputs: Inputs) -> Results:
    first = at(inputs, 0)
    given = optional(inputs, 1)
    axes = known(given, "the axes") if given is not None else wholes(node, "axes", [])
    if not axes and whole(node, "noop_with_empty_axes", 0):
        return [Value(first.shape, first.numbers)], first.size
    gone = {first.axis(axis) for axis in axes} or set(range(first.rank))
    keep = bool(whole(node, "keepdims", 1))
    sides = [
        1 if i in gone else side for i, side in enumerate(first.shape) if keep or i not in gone
    ]
    numbers = None
    # Of others, the order in which they are added would have to be known.
    if first.numbers is not None and first.numbers.dtype.kind in "iu" and first.size:
        how = {"axis": tuple(gone), "keepdims": keep}
        numbers = _evaluated(None if compute is None else partial(compute, **how), [first])
    return [Value(tuple(sides), numbers)], first.size


def _greatest_place(node: Node, inputs: Inputs) -> Results:
    first = at(inputs, 0)
    axis = first.axis(whole(node, "axis", 0))
    kept = (1,) if whole(node, "keepdims", 1) else ()
    return [Value(first.shape[:axis] + kept + first.shape[axis + 1 :])], first.size


def _top(node: Node, inputs: Inputs) -> Results:
    first = at(inputs, 0)
    axis = first.axis(whole(node, "axis", -1))
    (count,) = known(at(inputs, 1), "how many are wanted")
    shape = (*first.shape[:axis], count, *first.shape[axis + 1 :])
    return [Value(shape), Value(shape)], first.size * max(1, math.ceil(math.log2(first.size + 1)))


_FUNCTIONS: dict[str, Callable[..., Any] | None] = {
    "Add": np.add, "Sub": np.subtract, "Mul": np.multiply, "Div": _divided, "Pow": None,
    "Mod": None, "Min": None, "Max": None, "Mean": None, "Sum": None, "PRelu": None,
    "And": np.logical_and, "Or": np.logical_or, "Xor": np.logical_xor, "Not": np.logical_not,
    "Equal": np.equal, "Greater": np.greater, "GreaterOrEqual": np.greater_equal,
    "Less": np.less, "LessOrEqual": np.less_equal, "Where": np.where,
    "Neg": np.negative, "Abs": np.abs, "Floor": np.floor, "Ceil": np.ceil, "Round": np.round,
    "Sqrt": np.sqrt, "Reciprocal": None, "Exp": None, "Log": None, "Sign": None,
    "Sin": None, "Cos": None, "Tan": None, "Asin": None, "Acos": None, "Atan": None,
    "Sinh": None, "Cosh": None, "Tanh": None, "Asinh": None, "Acosh": None, "Atanh": None,
    "Erf": None, "Sigmoid": None, "HardSigmoid": None, "HardSwish": None, "Relu": None,
    "LeakyRelu": None, "ThresholdedRelu": None, "Elu": None, "Selu": None, "Celu": None,
    "Gelu": None, "Mish": None, "Softplus": None, "Softsign": None, "Shrink": None,
    "IsNaN": None, "IsInf": None, "Swish": None,
}  # fmt: skip
_ACROSS = (
    "Clip", "Softmax", "LogSoftmax", "Hardmax", "BatchNormalization", "InstanceNormalization",
    "GroupNormalization", "LpNormalization", "MeanVarianceNormalization", "CumSum", "Trilu",
    "CastLike", "QuantizeLinear", "DequantizeLinear",
)  # fmt: skip
_REDUCTIONS: dict[str, Callable[..., Any] | None] = {
    "ReduceSum": _sum, "ReduceProd": _product, "ReduceMin": np.min, "ReduceMax": np.max,
    "ReduceMean": None, "ReduceL1": None, "ReduceL2": None, "ReduceLogSum": None,
    "ReduceLogSumExp": None, "ReduceSumSquare": None,
}  # fmt: skip

ARITHMETIC: dict[str, Callable[[Node, Inputs], Results]] = {
    **{name: partial(_each, compute) for name, compute in _FUNCTIONS.items()},
    **dict.fromkeys(_ACROSS, _same),
    **{name: partial(_reduced, compute) for name, compute in _REDUCTIONS.items()},
    "Identity": _passed,
    "Dropout": _without_chance,
    "LRN": _normalised_by_neighbours,
    "LayerNormalization": _normalised,
    "RMSNormalization": _normalised,
    "Cast": _cast,
    "ArgMax": _greatest_place,
    "ArgMin": _greatest_place,
    "TopK": _top,
}
