"""Operators that are a network's layers: convolutions, products of matrices, pooling, resizing."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from residua.vetting.onnx_file import Node
from residua.vetting.values import Value, at, broadcast, known, optional, real, whole, wholes, word

Inputs = list[Value | None]
Results = tuple[list[Value], int]


# Letters for the sides that "..." stands for, which no equation can have.
_FURTHER = "αβγδεζηθ"


class _Window:
    """What slides over the sides of a picture."""

    def __init__(self, node: Node, kernel: list[int]) -> None:
        n = len(kernel)
        self.kernel = kernel
        self.steps = wholes(node, "strides", [1] * n)
        self.spread = wholes(node, "dilations", [1] * n)
        self.pads = wholes(node, "pads", [0] * 2 * n)
        self.auto = word(
            node, "auto_pad", b"NOTSET", (b"NOTSET", b"VALID", b"SAME_UPPER", b"SAME_LOWER")
        )
        if min(kernel) < 1 or min(self.steps) < 1 or min(self.spread) < 1 or min(self.pads) < 0:
            raise ValueError(kernel)
        if not len(self.steps) == len(self.spread) == n == len(self.pads) / 2:
            raise ValueError(kernel)

    def over(self, sides: tuple[int, ...], *, ceil: bool = False) -> tuple[int, ...]:
        """Return how often it fits along each side."""
        if len(sides) != len(self.kernel):
            raise ValueError(sides)
        n, found = len(sides), []
        for i, side in enumerate(sides):
            if self.auto in (b"SAME_UPPER", b"SAME_LOWER"):
                found.append(-(-side // self.steps[i]))
                continue
            pad = 0 if self.auto == b"VALID" else self.pads[i] + self.pads[n + i]
            room = side + pad - self.spread[i] * (self.kernel[i] - 1) - 1
            if room < 0:
                raise ValueError(sides)
            times = (-(-room // self.steps[i]) if ceil else room // self.steps[i]) + 1
            # The last one starts within the picture or the border before it.
            begins = side + (0 if self.auto == b"VALID" else self.pads[i])
            if ceil and (times - 1) * self.steps[i] >= begins:
                times -= 1
            found.append(times)
        return tuple(found)


def _convolved(node: Node, inputs: Inputs) -> Results:
    x, weights = at(inputs, 0), at(inputs, 1)
    window = _Window(node, list(weights.shape[2:]))
    result = Value((x.shape[0], weights.shape[0], *window.over(x.shape[2:])))
    return [result], result.size * math.prod(weights.shape[1:])


def _convolved_back(node: Node, inputs: Inputs) -> Results:
    x, weights = at(inputs, 0), at(inputs, 1)
    window = _Window(node, list(weights.shape[2:]))
    n = len(window.kernel)
    more = wholes(node, "output_padding", [0] * n)
    if "output_shape" in node.attributes or len(x.shape) != n + 2 or len(more) != n:
        raise ValueError("output_shape")
    if window.auto != b"NOTSET":
        window.pads = [0] * 2 * n
    sides = tuple(
        window.steps[i] * x.shape[2 + i]
        if window.auto.startswith(b"SAME")
        else window.steps[i] * (x.shape[2 + i] - 1)
        + more[i]
        + (window.kernel[i] - 1) * window.spread[i]
        + 1
        - window.pads[i]
        - window.pads[n + i]
        for i in range(n)
    )
    result = Value((x.shape[0], weights.shape[1] * whole(node, "group", 1), *sides))
    return [result], x.size * math.prod(weights.shape[1:])


def _pooled(node: Node, inputs: Inputs) -> Results:
    x = at(inputs, 0)
    window = _Window(node, wholes(node, "kernel_shape", []))
    ceil = bool(whole(node, "ceil_mode", 0))
    result = Value(x.shape[:2] + window.over(x.shape[2:], ceil=ceil))
    return [result, Value(result.shape)], result.size * math.prod(window.kernel)


def _pooled_whole(_: Node, inputs: Inputs) -> Results:
    x = at(inputs, 0)
    return [Value(x.shape[:2] + (1,) * (x.rank - 2))], x.size


def _product(_: Node, inputs: Inputs) -> Results:
    a, b = at(inputs, 0).shape, at(inputs, 1).shape
    left, right = (1, *a) if len(a) == 1 else a, (*b, 1) if len(b) == 1 else b
    if left[-1] != right[-2]:
        raise ValueError(a)
    shape = broadcast(left[:-2], right[:-2]) + (left[-2],) * (len(a) > 1)
    result = Value(shape + (right[-1],) * (len(b) > 1))
    return [result], result.size * left[-1]


def _affine(node: Node, inputs: Inputs) -> Results:
    a, b = at(inputs, 0).shape, at(inputs, 1).shape
    rows, inner = a[::-1] if whole(node, "transA", 0) else a
    depth, columns = b[::-1] if whole(node, "transB", 0) else b
    if inner != depth:
        raise ValueError(a)
    return [Value((rows, columns))], rows * columns * inner


def _einsum(node: Node, inputs: Inputs) -> Results:
    """Of one or two values; what lies between the products of more has sizes of its own."""
    equation = node.attributes["equation"]
    if not isinstance(equation, bytes) or len(inputs) > 2:
        raise TypeError("equation")
    left, arrow, right = equation.decode("ascii").replace(" ", "").partition("->")
    if not arrow:  # what occurs once, in the order of the alphabet
        once = (letter for letter in left if letter.isalpha() and left.count(letter) == 1)
        right = "..." * ("..." in left) + "".join(sorted(once))
    sides: dict[str, int] = {}
    others = ""
    values = [at(inputs, i) for i in range(len(inputs))]
    for term, value in zip(left.split(","), values, strict=True):
        more = value.rank - len(term) + 3
        if "..." in term and 0 <= more <= len(_FURTHER):
            others = max(others, _FURTHER[len(_FURTHER) - more :], key=len)
            term = term.replace("...", _FURTHER[len(_FURTHER) - more :], 1)
        for letter, side in zip(term, value.shape, strict=True):
            if not letter.isalpha() or sides.setdefault(letter, side) != side:
                raise ValueError(term)
    right = right.replace("...", others, 1)
    if len(set(right)) != len(right):
        raise ValueError(right)
    return [Value(tuple(sides[letter] for letter in right))], math.prod(sides.values())


def _resized(node: Node, inputs: Inputs) -> Results:
    x = at(inputs, 0)
    word(node, "keep_aspect_ratio_policy", b"stretch", (b"stretch",))
    mode = word(node, "mode", b"nearest", (b"nearest", b"linear", b"cubic"))
    axes = [x.axis(i) for i in wholes(node, "axes", list(range(x.rank)))]
    scales, wanted = optional(inputs, 2), optional(inputs, 3)
    sides = list(x.shape)
    if wanted is not None and wanted.size:
        for i, side in zip(axes, known(wanted, "its shape"), strict=True):
            sides[i] = side
    else:
        for i, scale in zip(axes, real(scales, "its scale"), strict=True):
            sides[i] = int(np.float32(sides[i]) * np.float32(scale))  # as engines round it
    result = Value(tuple(sides))
    return [result], result.size * (16 if mode == b"cubic" else 4)


def _depth_to_space(node: Node, inputs: Inputs) -> Results:
    n, channels, height, width = at(inputs, 0).shape
    block = whole(node, "blocksize", 0)
    shape = (n, channels // block**2, height * block, width * block)
    return [Value(shape)], at(inputs, 0).size


def _space_to_depth(node: Node, inputs: Inputs) -> Results:
    n, channels, height, width = at(inputs, 0).shape
    block = whole(node, "blocksize", 0)
    return [Value((n, channels * block**2, height // block, width // block))], at(inputs, 0).size


def _sampled(_: Node, inputs: Inputs) -> Results:
    x, grid = at(inputs, 0), at(inputs, 1)
    result = Value((*x.shape[:2], *grid.shape[1:-1]))
    return [result], 16 * result.size


LAYERS: dict[str, Callable[[Node, Inputs], Results]] = {
    "AveragePool": _pooled,
    "Conv": _convolved,
    "ConvTranspose": _convolved_back,
    "DepthToSpace": _depth_to_space,
    "Einsum": _einsum,
    "Gemm": _affine,
    "GlobalAveragePool": _pooled_whole,
    "GlobalMaxPool": _pooled_whole,
    "GridSample": _sampled,
    "LpPool": _pooled,
    "MatMul": _product,
    "MaxPool": _pooled,
    "Resize": _resized,
    "SpaceToDepth": _space_to_depth,
}
