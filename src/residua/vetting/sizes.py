"""How large each value of a graph is, and how much work it is, found without computing it.

Shapes are followed from the pictures to the results. A shape that a graph computes, as exporters
write them, is computed here, from few numbers; one that would hang on what is in the pictures is
refused, and so is an operator whose results have no size that is known beforehand.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

from residua.errors import BundleRefused
from residua.vetting.onnx_file import WIDE, Node, OnnxFile, Tensor
from residua.vetting.operators import OPERATORS
from residua.vetting.text import shown
from residua.vetting.values import Unknown, Value

MOST_NUMBERS = 1 << 32
"""Numbers that may be needed at the same time: 16 GiB of float32."""
MOST_WORK = 10**13
"""Multiplications for one batch, about: minutes of one processor."""
# Operators whose results are places or sides, and inputs whose type others' results have: of all
# that are not named it is that of the first input.
_PLACES = frozenset({"ArgMax", "ArgMin", "Shape", "Size", "TopK"})
_TYPED_BY = {"CastLike": 1, "DequantizeLinear": 1, "OneHot": 2, "Where": 1}


class Size(NamedTuple):
    """What computing one batch takes."""

    numbers: int
    """Numbers that are needed at the same time, at most, without the weights; one that takes 8
    bytes counts twice."""
    work: int
    """Multiplications, about."""


def size_of(
    graph: OnnxFile, given: Mapping[str, tuple[int, ...]], wanted: Mapping[str, tuple[int, ...]]
) -> Size:
    """Follow the shapes through a graph.

    Parameters
    ----------
    graph : OnnxFile
    given : mapping of str to tuple of int
        Inputs, with their shapes.
    wanted : mapping of str to tuple of int
        Results with their shapes; a negative side may be any.

    Raises
    ------
    BundleRefused
        It takes other inputs, gives other results, has operators that no saved model needs, or is
        too large; the text says which, not in what file.
    """
    if sorted(graph.inputs) != sorted(given):
        raise BundleRefused(f"it takes {_listed(graph.inputs)}; wanted {_listed(given)}")
    values = {
        name: Value(tensor.shape, tensor.values, tensor.wide)
        for name, tensor in graph.tensors.items()
    }
    values |= {name: Value(shape) for name, shape in given.items()}
    last_use = {name: at for at, node in enumerate(graph.nodes) for name in node.inputs}
    kept = set(graph.tensors) | set(graph.outputs)
    live = most = sum(math.prod(shape) for shape in given.values())
    work = 0
    for at, node in enumerate(graph.nodes):
        found, cost = _step(node, values)
        work += cost
        for name, value in zip(node.outputs, found, strict=False):
            if not name:
                continue
            if name in values:
                raise BundleRefused(f"two values are called {name!r}")
            values[name] = value
            live += value.room
        most = max(most, live)
        _check(node, most, work)
        done = {n for n in node.inputs if last_use[n] == at} | set(node.outputs) - set(last_use)
        live -= sum(values[name].room for name in done if name and name not in kept)
    for name, shape in wanted.items():
        if name not in graph.outputs or name not in values:
            raise BundleRefused(f"it gives {_listed(graph.outputs)}; wanted {_listed(wanted)}")
        sides = values[name].shape
        if len(sides) != len(shape) or any(
            a != b for a, b in zip(sides, shape, strict=True) if b >= 0
        ):
            raise BundleRefused(f"its {name!r} have the shape {sides}; wanted {shape}")
    return Size(most, work)


def _step(node: Node, values: Mapping[str, Value]) -> tuple[list[Value], int]:
    operator = OPERATORS.get(node.operator)
    if operator is None:
        raise BundleRefused(
            f"it uses the operator {node.operator!r}, which is not one that saved models may use"
        )
    missing = next((name for name in node.inputs if name and name not in values), None)
    if missing is not None:
        raise BundleRefused(f"the operator {node.operator!r} takes {missing!r}, which is not there")
    inputs = [values[name] if name else None for name in node.inputs]
    try:
        found, work = operator(node, inputs)
    except Unknown as error:
        raise BundleRefused(
            f"the operator {node.operator!r} takes {error} from what is computed of the pictures, "
            f"so that the size of its result is not known beforehand"
        ) from error
    except BundleRefused:
        raise
    except Exception as error:  # a node that makes no sense fails anywhere
        raise BundleRefused(
            f"the operator {node.operator!r} is used as it cannot be ({type(error).__name__}: "
            f"{shown(str(error)[:100])})"
        ) from error
    if len(found) < len(node.outputs) or any(side < 0 for one in found for side in one.shape):
        raise BundleRefused(f"the operator {node.operator!r} is used as it cannot be")
    wide = _is_wide(node, inputs)
    for value in found:
        value.wide = wide
    return found, work + sum(one.size for one in found)


def _is_wide(node: Node, inputs: list[Value | None]) -> bool:
    """Tell whether each number of the results takes 8 bytes."""
    attributes = node.attributes
    if node.operator in _PLACES or {"value_int", "value_ints"} & set(attributes):
        return True
    held = attributes.get("value")
    if isinstance(held, Tensor):
        return held.wide
    named = attributes.get({"Cast": "to", "EyeLike": "dtype"}.get(node.operator, ""))
    if named is not None:
        return named in WIDE
    if node.operator == "ConstantOfShape":  # zeros in float32, of sides that are wide
        return False
    of = _TYPED_BY.get(node.operator, 0)
    typed_by = inputs[of] if of < len(inputs) else None
    return typed_by is not None and typed_by.wide


def _check(node: Node, numbers: int, work: int) -> None:
    if numbers > MOST_NUMBERS:
        raise BundleRefused(
            f"at its operator {node.operator!r} it needs {numbers:.3g} numbers at a time; "
            f"{MOST_NUMBERS:,} are the most that are taken"
        )
    if work > MOST_WORK:
        raise BundleRefused(
            f"at its operator {node.operator!r} it has needed {work:.3g} multiplications; "
            f"{MOST_WORK:.0e} a batch are the most that are taken"
        )


def _listed(names: Mapping[str, object] | list[str]) -> str:
    return ", ".join(map(repr, list(names)[:8])) or "nothing"
