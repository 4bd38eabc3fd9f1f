"""Sizes found without computing are those that ONNX Runtime computes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import onnx.helper as h
import pytest
from onnx import TensorProto, numpy_helper

from residua.errors import BundleRefused
from residua.graph import ScoringGraph
from residua.models import MODELS, build_model
from residua.onnx_runtime import onnx_runtime
from residua.scoring.errors import ERROR_MAPS, REDUCTIONS
from residua.scoring.score import picture_score
from residua.vetting.graph import graph_size
from residua.vetting.onnx_file import SMALL, read_onnx
from residua.vetting.operators import OPERATORS
from residua.vetting.operators_on_numbers import ARITHMETIC
from residua.vetting.sizes import size_of
from residua.vetting.values import Value

SHAPE = (20, 12, 3)


def computed(model: Any, given: dict[str, np.ndarray]) -> dict[str, tuple[int, ...]]:
    """Return the shape of every value, as ONNX Runtime has it."""
    own = {output.name for output in model.graph.output}
    names = [name for node in model.graph.node for name in node.output if name]
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in set(names) - own)
    options = onnx_runtime().SessionOptions()
    options.graph_optimization_level = onnx_runtime().GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnx_runtime().InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    outputs = [output.name for output in session.get_outputs()]
    return {
        name: found.shape for name, found in zip(outputs, session.run(outputs, given), strict=True)
    }


def assert_sizes_are_right(data: bytes, given: dict[str, np.ndarray]) -> None:
    expected = computed(onnx.load_from_string(data), given)
    graph = replace(read_onnx(data), outputs=list(expected))
    size_of(graph, {name: array.shape for name, array in given.items()}, expected)
    name = next(name for name, shape in expected.items() if shape)
    wrong = {**expected, name: (*expected[name][:-1], expected[name][-1] + 1)}
    with pytest.raises(BundleRefused, match="have the shape"):
        size_of(graph, {name: array.shape for name, array in given.items()}, wrong)


def written(model: str, error_map: str = "absolute", reduction: str = "mean") -> bytes:
    network = build_model(model, SHAPE)
    return ScoringGraph(network, picture_score(error_map, reduction, "error")).onnx()


@pytest.mark.parametrize("model", MODELS)
def test_every_value_of_every_network_has_the_size_that_was_found(model: str) -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, *SHAPE), np.uint8)
    assert_sizes_are_right(written(model), {"images": images})


@pytest.mark.parametrize("error_map", ERROR_MAPS)
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_every_value_of_every_error_has_the_size_that_was_found(
    error_map: str, reduction: str
) -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, *SHAPE), np.uint8)
    assert_sizes_are_right(written("conv", error_map, reduction), {"images": images})


def test_the_work_of_a_layer_is_that_of_its_definition() -> None:
    data, _ = single(("Conv", [np.ones((6, 2, 3, 3), F)], {"group": 2}))
    results = 2 * 6 * 4 * 6
    found = size_of(read_onnx(data), {"in_0": X.shape}, {})
    assert found.work == results * (2 * 3 * 3) + results
    assert found.numbers == X.size + results


def test_twice_the_pictures_take_about_twice_the_memory_and_work() -> None:
    one, two = (graph_size(written("residual"), SHAPE, n) for n in (8, 16))
    assert two.numbers == pytest.approx(2 * one.numbers, rel=0.05)
    assert two.work == pytest.approx(2 * one.work, rel=0.05)


F, B = np.float32, np.bool_
X = np.random.default_rng(0).normal(size=(2, 4, 6, 8)).astype(F)


def ints(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


Step = tuple[str, list[np.ndarray | None], dict[str, Any]]
# By operator: further inputs, and attributes; the first input is X unless it is in the list.
SINGLE: list[Step] = [
    ("AveragePool", [], {"kernel_shape": [3, 2], "strides": [2, 1], "ceil_mode": 1}),
    ("AveragePool", [], {"kernel_shape": [3, 2], "auto_pad": "SAME_UPPER", "strides": [2, 3]}),
    ("MaxPool", [], {"kernel_shape": [1, 1], "strides": [4, 5], "ceil_mode": 1}),
    ("MaxPool", [], {"kernel_shape": [2, 2], "strides": [3, 3], "pads": [0, 0, 1, 1],
                     "ceil_mode": 1}),
    ("MaxPool", [], {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "dilations": [2, 1]}),
    ("LpPool", [], {"kernel_shape": [2, 2]}),
    ("GlobalAveragePool", [], {}),
    ("GlobalMaxPool", [], {}),
    ("Conv", [np.ones((6, 2, 3, 3), F)], {"group": 2, "strides": [2, 2], "pads": [1, 0, 2, 1]}),
    ("Conv", [np.ones((6, 4, 3, 1), F)], {"dilations": [2, 1], "auto_pad": "VALID"}),
    ("ConvTranspose", [np.ones((4, 3, 3, 2), F)], {"strides": [2, 3], "pads": [1, 0, 0, 1]}),
    ("ConvTranspose", [np.ones((4, 3, 3, 3), F)], {"strides": [2, 2], "output_padding": [1, 1]}),
    ("ConvTranspose", [np.ones((4, 3, 3, 3), F)], {"group": 2, "dilations": [2, 1]}),
    ("ConvTranspose", [np.ones((4, 3, 3, 3), F)], {"strides": [2, 3], "auto_pad": "SAME_UPPER"}),
    ("ConvTranspose", [np.ones((4, 3, 3, 3), F)], {"strides": [2, 3], "auto_pad": "SAME_LOWER"}),
    ("ConvTranspose", [np.ones((4, 3, 3, 3), F)], {"strides": [2, 2], "auto_pad": "VALID"}),
    ("DepthToSpace", [], {"blocksize": 2}),
    ("SpaceToDepth", [], {"blocksize": 2}),
    ("Resize", [None, np.array([1, 1, 1.7, 0.4], F)], {"mode": "linear"}),
    ("Resize", [np.zeros((1, 1, 5, 7), F), None, np.array([1, 1, 1.4, 1.3], F)], {"first": True}),
    ("Resize", [None, None, ints(2, 4, 5, 9)], {"mode": "cubic"}),
    ("MatMul", [np.ones((4, 8, 5), F)], {}),
    ("MatMul", [np.ones(8, F)], {}),
    ("Pad", [ints(0, 1, 0, 2, 3, 0, 0, 1)], {}),
    ("Pad", [ints(0, 0, 1, 2, 0, 0, 1, 0)], {"mode": "reflect"}),
    ("Slice", [ints(1, 7), ints(5, -9), ints(2, 3), ints(2, -3)], {}),
    ("Slice", [ints(-2), ints(2**62), ints(-1)], {}),
    ("Slice", [ints(-100), ints(-(2**63)), ints(1), ints(-1)], {}),
    ("Slice", [ints(100), ints(-100), ints(1), ints(-3)], {}),
    ("Slice", [ints(-1), ints(-(2**63)), ints(3), ints(-1)], {}),
    ("Gather", [ints(1, 0, 3)], {"axis": 1}),
    ("GatherElements", [np.zeros((2, 2, 6, 8), np.int64)], {"axis": 1}),
    ("GatherND", [np.zeros((5, 2), np.int64)], {}),
    ("GatherND", [np.zeros((2, 3, 1), np.int64)], {"batch_dims": 1}),
    ("ScatterElements", [np.zeros((2, 1, 6, 8), np.int64), np.ones((2, 1, 6, 8), F)], {"axis": 1}),
    ("ScatterND", [ints(1)[None], np.ones((1, 4, 6, 8), F)], {}),
    ("Expand", [ints(3, 1, 1, 1, 1)], {}),
    ("Tile", [ints(1, 2, 1, 3)], {}),
    ("Transpose", [], {"perm": [3, 1, 0, 2]}),
    ("Transpose", [], {}),
    ("Reshape", [ints(0, -1, 12)], {}),
    ("Flatten", [], {"axis": 2}),
    ("Flatten", [], {"axis": -1}),
    ("Unsqueeze", [ints(0, -1)], {}),
    ("Concat", [X], {"axis": 2}),
    ("Split", [ints(1, 3)], {"axis": 1}),
    ("TopK", [ints(3)], {"axis": 1}),
    ("ArgMax", [], {"axis": 2}),
    ("ArgMin", [], {"axis": -1, "keepdims": 0}),
    ("ReduceSum", [ints(1, -1)], {"keepdims": 0}),
    ("ReduceSum", [], {"noop_with_empty_axes": 1}),
    ("ReduceMean", [], {"axes": [2, 3]}),
    ("ReduceL2", [], {"axes": [0], "keepdims": 0}),
    ("ReduceProd", [], {}),
    ("LayerNormalization", [np.ones((6, 8), F)], {"axis": 2}),
    ("InstanceNormalization", [np.ones(4, F), np.ones(4, F)], {}),
    ("BatchNormalization", [np.ones(4, F)] * 4, {}),
    ("LRN", [], {"size": 3}),
    ("RMSNormalization", [np.ones((6, 8), F)], {"axis": 2}),
    ("Swish", [], {}),
    ("Softmax", [], {"axis": 1}),
    ("CumSum", [np.array(1, np.int64)], {}),
    ("Trilu", [], {}),
    ("Clip", [np.array(-1, F), np.array(1, F)], {}),
    ("PRelu", [np.ones((4, 1, 1), F)], {}),
    ("Where", [np.zeros((1, 1, 6, 1), B), X, np.ones((3, 1, 1, 1, 1), F)], {"first": True}),
    ("Einsum", [np.ones((8, 5), F)], {"equation": "bcij,jk->bik"}),
    ("Einsum", [np.ones((8, 5), F)], {"equation": "...j,jk->...k"}),
    ("Einsum", [np.ones((2, 4, 8, 5), F)], {"equation": "...ij,...jk"}),
    ("Einsum", [np.ones((8, 5), F)], {"equation": "abcz,zd"}),
    ("Einsum", [], {"equation": "abcd->db"}),
    ("Gemm", [np.ones((8, 3), F), np.ones((8, 5), F)], {"transA": 1, "first": True}),
    ("GridSample", [np.zeros((2, 3, 5, 2), F)], {}),
    ("OneHot", [ints(0, 1), ints(5), np.array([0, 1], F)], {"axis": 0, "first": True}),
    ("Range", [*np.array([2, 11, 3])], {"first": True}),
    ("Range", [np.array(0, F), np.array(1, F), np.array(0.1, F)], {"first": True}),
    ("Range", [np.array(16777216, F), np.array(16777219, F), np.array(1, F)], {"first": True}),
    ("Range", [np.array(2.5, F), np.array(-4, F), np.array(-1, F)], {"first": True}),
    ("ConstantOfShape", [ints(3, 0, 2)], {"first": True}),
    ("EyeLike", [np.zeros((3, 4), F)], {"first": True}),
    ("Squeeze", [np.zeros((1, 3, 1), F), ints(0)], {"first": True}),
    ("Squeeze", [np.zeros((1, 3, 1), F)], {"first": True}),
    ("QuantizeLinear", [np.array(0.1, F)], {}),
    ("Shape", [], {"start": 1, "end": -1}),
    ("Size", [], {}),
    ("Mod", [np.ones(8, F)], {"fmod": 1}),
]  # fmt: skip


def single(step: Step, outputs: int = 1) -> tuple[bytes, dict[str, np.ndarray]]:
    """Write one operator that is given X and has its other inputs in the file."""
    operator, further, options = step
    attributes = {name: value for name, value in options.items() if name != "first"}
    arrays = further if options.get("first") else [X, *further]
    given = {} if options.get("first") else {"in_0": X}
    names = ["" if array is None else f"in_{i}" for i, array in enumerate(arrays)]
    held = [
        numpy_helper.from_array(array, name)
        for name, array in zip(names, arrays, strict=True)
        if array is not None and name not in given
    ]
    # What nothing is known of, so that its shape alone decides.
    results = [f"out_{i}" for i in range(outputs)]
    graph = h.make_graph(
        [h.make_node(operator, names, results, **attributes)],
        "single",
        [
            h.make_tensor_value_info(name, TensorProto.FLOAT, value.shape)
            for name, value in given.items()
        ],
        [onnx.ValueInfoProto(name=name) for name in results],
        held,
    )
    opset = {"GridSample": 16, "RMSNormalization": 23, "Swish": 24}.get(operator, 17)
    model = h.make_model(graph, opset_imports=[h.make_opsetid("", opset)], ir_version=8)
    return model.SerializeToString(), given


@pytest.mark.parametrize("step", SINGLE, ids=lambda step: f"{step[0]}-{step[2]}"[:60])
def test_an_operator_alone_has_the_size_that_was_found(step: Step) -> None:
    data, given = single(step, outputs={"Split": 2, "TopK": 2}.get(step[0], 1))
    expected = computed(onnx.load_from_string(data), given)
    graph = replace(read_onnx(data), outputs=list(expected))
    size_of(graph, {name: array.shape for name, array in given.items()}, expected)


def test_every_operator_that_moves_or_joins_numbers_is_tried_here() -> None:
    same = {"Cast", "CastLike", "Constant", "DequantizeLinear", "Dropout", "GroupNormalization"}
    same |= {"Hardmax", "Identity", "LogSoftmax", "LpNormalization", "MeanVarianceNormalization"}
    tried = {step[0] for step in SINGLE} | same
    of_one_kind = {name for name in ARITHMETIC if name.startswith("Reduce")}
    number_by_number = {n for n, one in ARITHMETIC.items() if "_each" in repr(one)}
    assert set(OPERATORS) - of_one_kind - number_by_number <= tried


def chain(*nodes: Any, **tensors: Any) -> bytes:
    graph = h.make_graph(
        list(nodes),
        "chain",
        [h.make_tensor_value_info("x", TensorProto.FLOAT, [None, 3, 4])],
        [onnx.ValueInfoProto(name=nodes[-1].output[0])],
        [numpy_helper.from_array(np.asarray(values), name) for name, values in tensors.items()],
    )
    opsets = [h.make_opsetid("", 17)]
    return bytes(h.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString())


def test_a_shape_that_is_computed_from_shapes_is_followed() -> None:
    data = chain(
        h.make_node("Shape", ["x"], ["shape"]),
        h.make_node("Gather", ["shape", "first"], ["n"]),
        h.make_node("Mul", ["n", "two"], ["twice"]),
        h.make_node("Div", ["twice", "three"], ["part"]),
        h.make_node("Concat", ["part", "two", "four"], ["wanted"], axis=0),
        h.make_node("ConstantOfShape", ["wanted"], ["zeros"]),
        first=ints(0), two=ints(2), three=ints(3), four=ints(4),
    )  # fmt: skip
    given = {"x": np.zeros((6, 3, 4), F)}
    assert computed(onnx.load_from_string(data), given)["zeros"] == (4, 2, 4)
    size_of(read_onnx(data), {"x": (6, 3, 4)}, {"zeros": (4, 2, 4)})


def as_size(*nodes: Any, **tensors: Any) -> bytes:
    """Write nodes that compute ``n``, and as many zeros."""
    return chain(
        *nodes,
        h.make_node("Cast", ["n"], ["whole"], to=7),
        h.make_node("Reshape", ["whole", "row"], ["sides"]),
        h.make_node("ConstantOfShape", ["sides"], ["zeros"]),
        row=ints(1),
        **tensors,
    )


@pytest.mark.parametrize(
    ("node", "tensors"),
    [
        (h.make_node("Div", ["a", "b"], ["n"]), {"a": ints(-7), "b": ints(-2)}),
        (h.make_node("ReduceSum", ["a"], ["n"]), {"a": np.array([3, 4, 5], np.int32)}),
        (h.make_node("ReduceProd", ["a"], ["n"]), {"a": np.array([3, 4, 5], np.int32)}),
        (h.make_node("Floor", ["a"], ["n"]), {"a": np.array([2.7], F)}),
        (h.make_node("Mul", ["a", "b"], ["n"]), {"a": np.array([1.4], F), "b": np.array([5], F)}),
        (h.make_node("Cast", ["a"], ["n"], to=1), {"a": ints(2**24 + 1)}),
    ],
)
def test_a_size_that_is_computed_is_the_one_that_the_engine_computes(
    node: Any, tensors: dict[str, np.ndarray]
) -> None:
    data = as_size(node, **tensors)
    zeros = computed(onnx.load_from_string(data), {"x": np.zeros((1, 3, 4), F)})["zeros"]
    size_of(read_onnx(data), {"x": (1, 3, 4)}, {"zeros": zeros})


def through(kind: int) -> list[Any]:
    """Bring a number to another type and back."""
    there, back = h.make_node("Cast", ["a"], ["half"], to=kind), TensorProto.FLOAT
    return [there, h.make_node("Cast", ["half"], ["n"], to=back)]


@pytest.mark.parametrize(
    ("nodes", "tensors"),
    [
        ([h.make_node("Div", ["a", "b"], ["n"])], {"a": ints(2**62 + 1), "b": ints(2**61)}),
        (through(TensorProto.BFLOAT16), {"a": np.array([257.0], F)}),
        (through(TensorProto.FLOAT16), {"a": np.array([2049.0], F)}),
        ([h.make_node("Cast", ["a"], ["n"], to=2)], {"a": np.array([300.0], F)}),
        ([h.make_node("ReduceSum", ["a"], ["n"])], {"a": np.full(40, 0.1, F)}),
        ([h.make_node("ReduceProd", ["a"], ["n"])], {"a": np.full(2, 2**20, np.int64)}),
        ([h.make_node("Range", ["a", "b", "c"], ["r"]), h.make_node("ReduceMax", ["r"], ["n"])],
         {"a": np.array(0, F), "b": np.array(9, F), "c": np.array(0.1, F)}),
    ],
)  # fmt: skip
def test_no_size_is_taken_from_what_engines_may_round_otherwise(
    nodes: list[Any], tensors: dict[str, np.ndarray]
) -> None:
    data = as_size(*nodes, **tensors)
    with pytest.raises(BundleRefused, match="not known beforehand"):
        size_of(read_onnx(data), {"x": (1, 3, 4)}, {})


def test_numbers_of_8_bytes_count_twice() -> None:
    data = chain(
        h.make_node("Cast", ["x"], ["wide"], to=11),
        h.make_node("Add", ["wide", "wide"], ["sum"]),
        h.make_node("Cast", ["sum"], ["narrow"], to=1),
    )
    assert size_of(read_onnx(data), {"x": (2, 3, 4)}, {}).numbers == 2 * (24 + 24)


@pytest.mark.parametrize("shape", [(2**41,), (1,) * 17])
def test_a_value_of_too_many_or_too_long_sides_is_refused_before_it_is_multiplied(
    shape: tuple[int, ...],
) -> None:
    with pytest.raises(BundleRefused, match="are the most that are taken"):
        Value(shape)


def test_a_list_longer_than_any_node_needs_is_not_gone_through() -> None:
    data = chain(h.make_node("ReduceSum", ["x", "axes"], ["y"]), axes=np.zeros(SMALL, np.int64))
    with pytest.raises(BundleRefused, match="4096 numbers for the axes"):
        size_of(read_onnx(data), {"x": (1, 3, 4)}, {})


@pytest.mark.parametrize(
    ("nodes", "said"),
    [
        ([h.make_node("Relu", ["none"], ["y"])], "which is not there"),
        ([h.make_node("Relu", ["x"], ["x"])], "two values are called 'x'"),
        ([h.make_node("Relu", ["x", "x"], ["y", "z"])], "used as it cannot be"),
        ([h.make_node("Relu", [], ["y"])], "used as it cannot be"),
        ([h.make_node("Concat", ["x", "x"], ["y"], axis=7)], "used as it cannot be"),
        ([h.make_node("Conv", ["x", "x"], ["y"], strides=[0])], "used as it cannot be"),
        ([h.make_node("Dropout", ["x", "", "x"], ["y"])], "training_mode"),
        ([h.make_node("LRN", ["x"], ["y"], size=8)], "used as it cannot be"),
        ([h.make_node("Einsum", ["x"] * 3, ["y"], equation="abc,abc,abc->")], "cannot be"),
        ([h.make_node("NoSuch", ["x"], ["y"])], "not one that saved models may use"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(nodes: list[Any], said: str) -> None:
    with pytest.raises(BundleRefused, match=said):
        size_of(read_onnx(chain(*nodes)), {"x": (1, 3, 4)}, {})
