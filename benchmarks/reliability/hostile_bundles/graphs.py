"""Graphs that read, run or take what no saved model does."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from reliability.hostile_bundles.case import SECRET, Alter, Case, put
from residua.bundle import GRAPH, WEIGHTS


def _graph(change: Callable[[Any], object], folder: Path) -> None:
    import onnx

    model = onnx.load_from_string((folder / GRAPH).read_bytes())
    change(model)
    (folder / GRAPH).write_bytes(model.SerializeToString())


def _with_nodes(build: Callable[[Any], list[Any]], **tensors: Any) -> Alter:
    """Put nodes in front whose last result is added to the scores, times nothing."""

    def change(model: Any) -> None:
        import onnx.helper as h
        from onnx import numpy_helper

        nodes = build(h)
        scores = next(node for node in model.graph.node if "scores" in node.output)
        scores.output[list(scores.output).index("scores")] = "true_scores"
        result = nodes[-1].output[0]
        nodes += [
            h.make_node("Cast", [result], ["as_float"], to=11),
            h.make_node("ReduceMax", ["as_float"], ["one_number"], keepdims=0),
            h.make_node("Mul", ["one_number", "nothing"], ["vanishes"]),
        ]
        for node in reversed(nodes):
            model.graph.node.insert(0, node)
        model.graph.node.append(h.make_node("Cast", ["true_scores"], ["wide"], to=11))
        model.graph.node.append(h.make_node("Add", ["wide", "vanishes"], ["scores"]))
        for name, values in {**tensors, "nothing": np.float64(0)}.items():
            model.graph.initializer.append(numpy_helper.from_array(np.asarray(values), name))

    return partial(_graph, change)


def _nodes(*steps: tuple[str, list[str], list[str], dict[str, Any]]) -> Callable[[Any], list[Any]]:
    return lambda h: [
        h.make_node(operator, inputs, outputs, **attributes)
        for operator, inputs, outputs, attributes in steps
    ]


def _doubling(h: Any) -> list[Any]:
    cast = h.make_node("Cast", ["images"], ["d0"], to=1)
    return [
        cast,
        *(h.make_node("Concat", [f"d{i}", f"d{i}"], [f"d{i + 1}"], axis=0) for i in range(40)),
    ]


def _branch(h: Any) -> list[Any]:
    import onnx

    value = h.make_tensor_value_info("inner", onnx.TensorProto.FLOAT, [1])
    constant = h.make_node("Constant", [], ["inner"], value_floats=[1.0])
    graph = h.make_graph([constant], "branch", [], [value])
    return [h.make_node("If", ["true"], ["chosen"], then_branch=graph, else_branch=graph)]


def _endless_loop(h: Any) -> list[Any]:
    import onnx

    given = [
        h.make_tensor_value_info("i", onnx.TensorProto.INT64, []),
        h.make_tensor_value_info("go", onnx.TensorProto.BOOL, []),
        h.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1]),
    ]
    steps = [h.make_node("Identity", ["go"], ["go_on"]), h.make_node("Identity", ["x"], ["y"])]
    results = [
        h.make_tensor_value_info("go_on", onnx.TensorProto.BOOL, []),
        h.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1]),
    ]
    body = h.make_graph(steps, "body", given, results)
    return [h.make_node("Loop", ["most", "true", "start"], ["end"], body=body)]


def _external(location: str, model: Any) -> None:
    import onnx

    tensor = max(model.graph.initializer, key=lambda one: len(one.raw_data))
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", location


def _declared(model: Any) -> None:
    tensor = max(model.graph.initializer, key=lambda one: len(one.raw_data))
    tensor.dims[:] = [1 << 20, 1 << 20]


def _other_domain(domain: str, model: Any) -> None:
    model.graph.node[0].domain = domain
    entry = model.opset_import.add()
    entry.domain, entry.version = domain, 1


def _function(model: Any) -> None:
    import onnx.helper as h

    node = h.make_node("Identity", ["x"], ["y"])
    opset = [h.make_opsetid("", 17)]
    model.functions.append(h.make_function("", "Relu", ["x"], ["y"], [node], opset))


def _sparse_tensor(model: Any) -> None:
    import onnx
    import onnx.helper as h

    values = h.make_tensor("sparse", onnx.TensorProto.FLOAT, [1], [1.0])
    places = h.make_tensor("", onnx.TensorProto.INT64, [1], [0])
    model.graph.sparse_initializer.append(h.make_sparse_tensor(values, places, [1 << 40]))


def _texts(model: Any) -> None:
    import onnx
    import onnx.helper as h

    model.graph.initializer.append(h.make_tensor("t", onnx.TensorProto.STRING, [1], [b"text"]))


def _many_nodes(model: Any) -> None:
    import onnx.helper as h

    nodes = (h.make_node("Relu", ["images"], [f"r{i}"]) for i in range(200_000))
    model.graph.node.extend(nodes)


def _two_graphs(folder: Path) -> None:
    """A second graph, which parsers join to the first one."""
    content = (folder / GRAPH).read_bytes()
    (folder / GRAPH).write_bytes(content + b"\x3a\x02\x12\x00")


def _rename(part: str, model: Any) -> None:
    for node in model.graph.node:
        node.output[:] = ["other" if name == part else name for name in node.output]
        node.input[:] = ["other" if name == part else name for name in node.input]
    for value in (*model.graph.input, *model.graph.output):
        value.name = "other" if value.name == part else value.name


def _opset(version: int, model: Any) -> None:
    model.opset_import[0].version = version


def _format(version: int, model: Any) -> None:
    model.ir_version = version


CASES: tuple[Case, ...] = (
    Case("junk for a graph", partial(put, GRAPH, bytes(range(256)) * 40)),
    Case("nothing for a graph", partial(put, GRAPH, b"")),
    Case("a graph of another format", partial(put, GRAPH, b"\x20\0\0\0ORTM" + bytes(400))),
    Case("two graphs", _two_graphs),
    Case(
        "a graph cut short",
        lambda folder: put(GRAPH, (folder / GRAPH).read_bytes()[:-9], folder),
    ),
    *(
        Case(f"weights of the graph in {where}", partial(_graph, partial(_external, where)))
        for where in (f"../{SECRET}", "/etc/passwd", WEIGHTS)
    ),
    Case("10¹² weights of the graph that are not there", partial(_graph, _declared)),
    *(
        Case(f"an operator of {domain}", partial(_graph, partial(_other_domain, domain)))
        for domain in ("evil.example", "com.microsoft", "ai.onnx.ml")
    ),
    Case("a function that is called as an operator is", partial(_graph, _function)),
    Case("a sparse tensor", partial(_graph, _sparse_tensor)),
    Case("text in the graph", partial(_graph, _texts)),
    Case("200,000 operators", partial(_graph, _many_nodes)),
    Case("a branch", _with_nodes(_branch, true=np.bool_(True))),
    Case(
        "an endless loop",
        _with_nodes(
            _endless_loop, most=np.int64(2**62), true=np.bool_(True), start=np.ones(1, "f4")
        ),
    ),
    Case("chance", _with_nodes(_nodes(("RandomNormal", [], ["r"], {"shape": [4]})))),
    Case(
        "100 GB of zeros",
        _with_nodes(_nodes(("ConstantOfShape", ["s"], ["z"], {})), s=np.array([25 * 10**9])),
    ),
    Case(
        "one number expanded to 10¹²",
        _with_nodes(
            _nodes(("Expand", ["one", "s"], ["z"], {})), one=np.ones(1), s=np.array([10**12])
        ),
    ),
    Case(
        "one number repeated 10¹² times",
        _with_nodes(
            _nodes(("Tile", ["one", "s"], ["z"], {})), one=np.ones(1), s=np.array([10**12])
        ),
    ),
    Case(
        "a border of 10⁶ pixels",
        _with_nodes(
            _nodes(("Cast", ["images"], ["x"], {"to": 1}), ("Pad", ["x", "p"], ["z"], {})),
            p=np.array([0, 10**6, 10**6, 0] * 2),
        ),
    ),
    Case(
        "pictures made 10⁵ times as large",
        _with_nodes(
            _nodes(
                ("Cast", ["images"], ["x"], {"to": 1}),
                ("Resize", ["x", "", "scales"], ["z"], {"mode": "nearest"}),
            ),
            scales=np.array([1, 1e5, 1e5, 1], "f4"),
        ),
    ),
    Case(
        "a row and a column of 200,000 joined",
        _with_nodes(
            _nodes(("Add", ["row", "column"], ["z"], {})),
            row=np.zeros((1, 200_000), "f4"),
            column=np.zeros((200_000, 1), "f4"),
        ),
    ),
    Case("a value doubled 40 times", _with_nodes(_doubling)),
    Case(
        "years of multiplying",
        _with_nodes(
            _nodes(
                ("Expand", ["one", "s"], ["m"], {}),
                *(("MatMul", ["m", "m"], [f"p{i}"], {}) for i in range(200)),
            ),
            one=np.ones((1, 1), "f4"),
            s=np.array([20_000, 20_000]),
        ),
    ),
    Case(
        "as many numbers as a picture says",
        _with_nodes(
            _nodes(
                ("Cast", ["images"], ["x"], {"to": 1}),
                ("ReduceSum", ["x"], ["sum"], {"keepdims": 0}),
                ("Cast", ["sum"], ["many"], {"to": 7}),
                ("Reshape", ["many", "row"], ["s"], {}),
                ("ConstantOfShape", ["s"], ["z"], {}),
            ),
            row=np.array([1]),
        ),
    ),
    Case(
        "as many numbers as a picture has light pixels",
        _with_nodes(_nodes(("NonZero", ["images"], ["z"], {}))),
    ),
    Case(
        "a mean of 10⁹ neighbours",
        _with_nodes(
            _nodes(
                ("Cast", ["images"], ["x"], {"to": 1}),
                ("LRN", ["x"], ["z"], {"size": 2 * 10**9 + 1}),
            )
        ),
    ),
    Case(
        "a product of four with 10¹⁰ numbers in between",
        _with_nodes(
            _nodes(("Einsum", ["a", "b", "a", "b"], ["z"], {"equation": "a,b,a,b->"})),
            a=np.ones(100_000, "f4"),
            b=np.ones(100_000, "f4"),
        ),
    ),
    Case(
        "a shape of a thousand sides",
        _with_nodes(
            _nodes(("ConstantOfShape", ["s"], ["z"], {})), s=np.full(1_000, 2**62 - 1, "i8")
        ),
    ),
    Case(
        "chance by the name of dropout",
        _with_nodes(
            _nodes(
                ("Cast", ["images"], ["x"], {"to": 1}),
                ("Dropout", ["x", "share", "training"], ["z"], {}),
            ),
            share=np.float32(0.5),
            training=np.bool_(True),
        ),
    ),
    Case(
        "a size that differs where it is rounded",
        _with_nodes(
            _nodes(
                ("Cast", ["exact"], ["half"], {"to": 16}),
                ("Cast", ["half"], ["back"], {"to": 1}),
                ("Sub", ["back", "given"], ["off"], {}),
                ("Mul", ["off", "much"], ["more"], {}),
                ("Cast", ["more"], ["many"], {"to": 7}),
                ("ConstantOfShape", ["many"], ["z"], {}),
            ),
            exact=np.array([1.001], "f4"),
            given=np.array([1.001], "f4"),
            much=np.array([-1e9], "f4"),
        ),
    ),
    Case("no scores", partial(_graph, partial(_rename, "scores"))),
    Case("another input", partial(_graph, partial(_rename, "images"))),
    Case("operators of version 99", partial(_graph, partial(_opset, 99))),
    Case("a format of version 99", partial(_graph, partial(_format, 99)), "score"),
    Case(
        "scores that are NaN",
        _with_nodes(_nodes(("Div", ["zero", "zero"], ["n"], {})), zero=np.zeros((), "f4")),
        "score",
    ),
)
