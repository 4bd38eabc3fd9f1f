"""The operators that a saved model may use: for each, its results' shapes and its work.

They are those of https://onnx.ai/onnx/operators that compute numbers from numbers in a time that
their shapes tell. Left out are control flow (If, Loop, Scan), chance, text, sequences, and results
whose size hangs on the pictures (NonZero, Unique, Compress, NonMaxSuppression).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from residua.vetting.onnx_file import Node
from residua.vetting.operators_of_layers import LAYERS
from residua.vetting.operators_of_shapes import SHAPES
from residua.vetting.operators_on_numbers import ARITHMETIC
from residua.vetting.values import Value

Operator = Callable[[Node, list[Value | None]], tuple[list[Value], int]]
"""From a node and its inputs to its results and the multiplications that they take."""

OPERATORS: Mapping[str, Operator] = MappingProxyType({**ARITHMETIC, **SHAPES, **LAYERS})
