"""Bundles as someone with bad intent would make them: one fault each, with checksums that fit."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from residua.bundle import CALIBRATION, CHECKSUMS, GRAPH, MANIFEST, WEIGHTS

KEPT = Path(__file__).parents[2] / "tests" / "kept" / "schema_2"
FILES = (MANIFEST, WEIGHTS, GRAPH, CALIBRATION)
SECRET = "secret.txt"
"""A file beside the bundle that no case may lead to."""

Alter = Callable[[Path], None]


@dataclass(frozen=True)
class Case:
    """One hostile bundle."""

    name: str
    alter: Alter
    """Changes a sound bundle; checksums that fit are written afterwards."""
    refused: Literal["open", "score", "load", "never"] = "open"
    """Where it is refused at the latest. never: it does no harm."""
    signed: bool = True
    """Whether checksums that fit are written over those that it brings."""


def make(case: Case, folder: Path) -> Path:
    """Write the bundle into a folder that is yet to be, with a file beside it that is not its."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    (folder.parent / SECRET).write_text("not for you\n" * 100, encoding="ascii")
    shutil.copytree(KEPT, folder)
    case.alter(folder)
    if case.signed:
        sign(folder)
    return folder


def sign(folder: Path) -> None:
    """Write checksums that fit, of all that can be read."""
    lines = []
    for name in FILES:
        path = folder / name
        plain = path.is_file() and path.stat().st_size < 1 << 28
        digest = hashlib.sha256(path.read_bytes() if plain else b"").hexdigest()
        lines.append(f"{digest}  {name}\n")
    (folder / CHECKSUMS).write_text("".join(lines), encoding="ascii")


# Files that are none.


def _link(name: str, target: str, folder: Path) -> None:
    (folder / name).unlink()
    (folder / name).symlink_to(target.format(folder=folder.parent, name=name))


def _pipe(name: str, folder: Path) -> None:
    (folder / name).unlink()
    os.mkfifo(folder / name)


def _folder(name: str, folder: Path) -> None:
    (folder / name).unlink()
    (folder / name).mkdir()


def _sparse(name: str, folder: Path) -> None:
    with (folder / name).open("r+b") as file:
        file.truncate(1 << 42)


def _hard_link(folder: Path) -> None:
    shutil.copyfile(folder / CALIBRATION, folder.parent / "other")
    (folder / CALIBRATION).unlink()
    os.link(folder.parent / "other", folder / CALIBRATION)


def _more_sums(text: str, folder: Path) -> None:
    sums = (folder / CHECKSUMS).read_bytes()
    (folder / CHECKSUMS).write_bytes(text.encode() + sums)


# The manifest.


def _edit(change: Callable[[dict[str, Any]], object], folder: Path) -> None:
    manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    change(manifest)
    (folder / MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")


def _set(place: str, value: Any, folder: Path) -> None:
    def change(manifest: dict[str, Any]) -> None:
        *path, last = place.split(".")
        for key in path:
            manifest = manifest[key]
        manifest[last] = value

    _edit(change, folder)


def _text(before: str, after: str, folder: Path) -> None:
    text = (folder / MANIFEST).read_text(encoding="utf-8")
    assert before in text
    (folder / MANIFEST).write_text(text.replace(before, after, 1), encoding="utf-8")


def _long_history(folder: Path) -> None:
    def change(manifest: dict[str, Any]) -> None:
        manifest["history"] = manifest["history"][:1] * 100_000

    _edit(change, folder)


# The calibration scores.


def _npz(folder: Path, arrays: dict[str, bytes], *, method: int = zipfile.ZIP_STORED) -> None:
    with zipfile.ZipFile(folder / CALIBRATION, "w", method) as archive:
        for name, content in arrays.items():
            archive.writestr(name, content)


def _npy(array: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=True)
    return buffer.getvalue()


def _npy_header(shape: str, content: bytes = b"") -> bytes:
    header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}".encode()
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + content


class _Opens:
    """What a pickle of this class would do when it is read."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch pickle-was-run",)


def _pickle(folder: Path) -> None:
    _npz(folder, {"scores.npy": _npy(np.array([_Opens()], dtype=object))})


def _zip_bomb(folder: Path) -> None:
    content = _npy_header(f"({1 << 24},)", bytes(1 << 27))
    _npz(folder, {"scores.npy": content}, method=zipfile.ZIP_DEFLATED)


def _packed_otherwise(method: int, folder: Path) -> None:
    """Too much in few bytes, by a way of packing that unpacks all of it at once."""
    _npz(folder, {"scores.npy": _npy_header(f"({1 << 24},)", bytes(1 << 27))}, method=method)


def _encrypted(folder: Path) -> None:
    _npz(folder, {"scores.npy": _npy(np.arange(9.0))})
    content = bytearray((folder / CALIBRATION).read_bytes())
    content[6] |= 1
    content[content.index(b"PK\1\2") + 8] |= 1
    (folder / CALIBRATION).write_bytes(content)


def _many_entries(folder: Path) -> None:
    _npz(folder, {f"{number}.npy": b"" for number in range(10_000)})


# The weights.


def _weights(header: dict[str, Any] | bytes, content: bytes, folder: Path) -> None:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    (folder / WEIGHTS).write_bytes(struct.pack("<Q", len(text)) + text + content)


def _one_weight(
    change: Callable[[np.ndarray[Any, Any]], np.ndarray[Any, Any]], folder: Path
) -> None:
    from safetensors.numpy import load_file, save_file

    weights = load_file(folder / WEIGHTS)
    weights["to_code.weight"] = change(weights["to_code.weight"])
    save_file(weights, folder / WEIGHTS)


# The graph.


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


def _bytes(name: str, content: bytes, folder: Path) -> None:
    (folder / name).write_bytes(content)


_TARGETS = {
    "a file outside": "{folder}/" + SECRET,
    "a device": "/dev/zero",
    "itself": "{name}",
}
_ESCAPES = "\x1b]0;owned\x07\x1b[2J\u202egnp.live\r\n"

CASES: tuple[Case, ...] = (
    *(
        Case(f"{name} is a link to {what}", partial(_link, name, target), signed=name != CHECKSUMS)
        for name in (*FILES, CHECKSUMS)
        for what, target in _TARGETS.items()
    ),
    *(
        Case(f"{name} is {what}", partial(alter, name), signed=name != CHECKSUMS)
        for name in (*FILES, CHECKSUMS)
        for what, alter in (("a pipe", _pipe), ("a folder", _folder), ("4 TB of nothing", _sparse))
    ),
    Case("a file has a second name outside", _hard_link, "never"),
    Case(
        "checksums name files outside",
        partial(
            _more_sums, f"{'0' * 64}  ../{SECRET}\n{'0' * 64}  /etc/passwd\n{'0' * 64}  a\0b\n"
        ),
        "never",
        signed=False,
    ),
    Case(
        "a million checksums",
        partial(_more_sums, f"{'0' * 64}  x\n" * 1_000_000),
        signed=False,
    ),
    Case("JSON nested deeply", partial(_bytes, MANIFEST, b"[" * 1_000_000)),
    Case("JSON of two names", partial(_text, '"seed"', '"seed": 1, "seed"')),
    Case("JSON with NaN", partial(_text, '"map_ceiling": ', '"map_ceiling": NaN, "x": ')),
    Case("JSON with infinity", partial(_set, "map_ceiling", float("inf"))),
    Case("JSON with 1e999", partial(_text, '"map_ceiling": ', '"map_ceiling": 1e999, "x": ')),
    Case(
        "JSON with a number of a million digits",
        partial(_text, '"seed": ', f'"seed": {"9" * 10**6}'),
    ),
    Case("a manifest of 100 MB", partial(_bytes, MANIFEST, b" " * 10**8)),
    Case("a history of 100,000 epochs", _long_history),
    Case("pictures of 10⁹ × 10⁹", partial(_set, "input.height", 10**9)),
    Case("a name of a million letters", partial(_set, "x" * 1_000_000, 1)),
    Case("pictures of -8 rows", partial(_set, "input.height", -8)),
    Case("a schema of tomorrow", partial(_set, "schema_version", 99)),
    Case("a list for a name", partial(_set, "model.name", ["conv"])),
    Case("codes that steer a terminal", partial(_set, "model.package", _ESCAPES), "never"),
    Case("a network that is not known", partial(_set, "model.name", "os.system"), "load"),
    Case("a code of 10⁹ numbers", partial(_set, "model.latent_dim", 10**9), "load"),
    Case(
        "a layer of 10¹² channels",
        partial(_set, "settings.model_options.first_channels", 10**12),
        "load",
    ),
    Case("a score that is no text of one", partial(_set, "settings.score", "(" * 10_000), "load"),
    Case("a score that is code", partial(_set, "settings.score", "knn(__import__('os'))"), "load"),
    Case("calibration scores that are a pickle", _pickle, "score"),
    Case("calibration scores of 134 MB in 130 kB", _zip_bomb, "score"),
    *(
        Case(f"calibration scores packed by {name}", partial(_packed_otherwise, method), "score")
        for name, method in (("bzip2", zipfile.ZIP_BZIP2), ("LZMA", zipfile.ZIP_LZMA))
    ),
    Case("calibration scores under a password", _encrypted, "score"),
    Case("calibration scores in 10,000 parts", _many_entries, "score"),
    Case(
        "calibration scores of 8 TB that are not there",
        lambda folder: _npz(folder, {"scores.npy": _npy_header(f"({10**12},)")}),
        "score",
    ),
    Case(
        "calibration scores under a path",
        lambda folder: _npz(folder, {f"../{SECRET}": _npy(np.arange(9.0))}),
        "score",
    ),
    Case(
        "calibration scores with NaN",
        lambda folder: _npz(folder, {"scores.npy": _npy(np.array([np.nan, 1]))}),
        "score",
    ),
    Case("weights with a header of 8 EB", partial(_bytes, WEIGHTS, b"\xff" * 7 + b"\x7f" + b"{}")),
    Case("weights with a header that is nested deeply", partial(_weights, b"[" * 1_000_000, b"")),
    Case(
        "weights of 4 EB that are not there",
        partial(
            _weights,
            {"a": {"dtype": "F32", "shape": [1 << 60], "data_offsets": [0, 1 << 62]}},
            b"",
        ),
    ),
    Case(
        "weights that overlap",
        partial(
            _weights,
            {n: {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]} for n in "ab"},
            bytes(4),
        ),
    ),
    Case("weights of another shape", partial(_one_weight, lambda w: w[:, :3].copy()), "load"),
    Case("weights that are NaN", partial(_one_weight, lambda w: w * np.float32("nan")), "load"),
    Case("junk for a graph", partial(_bytes, GRAPH, bytes(range(256)) * 40)),
    Case("nothing for a graph", partial(_bytes, GRAPH, b"")),
    Case("a graph of another format", partial(_bytes, GRAPH, b"\x20\0\0\0ORTM" + bytes(400))),
    Case("two graphs", _two_graphs),
    Case(
        "a graph cut short",
        lambda folder: _bytes(GRAPH, (folder / GRAPH).read_bytes()[:-9], folder),
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
