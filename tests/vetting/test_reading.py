"""Readers of files that strangers wrote: limits, and errors of known kinds."""

from __future__ import annotations

import io
import json
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
import onnx
import onnx.helper as h
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from residua.errors import BundleRefused
from residua.vetting.arrays import read_array
from residua.vetting.files import content_of, sha256_of
from residua.vetting.json_file import read_json
from residua.vetting.onnx_file import read_onnx
from residua.vetting.text import shown
from residua.vetting.weights import shapes_within
from residua.vetting.wire import Reader

KEPT = Path(__file__).parents[1] / "kept" / "schema_2"


@given(st.binary(max_size=200))
@settings(max_examples=300, deadline=None)
def test_any_bytes_are_a_graph_or_refused(data: bytes) -> None:
    said = ""
    try:
        read_onnx(data)
    except BundleRefused as error:
        said = str(error)
    assert said.isprintable()


@given(st.binary(max_size=200))
@settings(max_examples=200, deadline=None)
def test_any_bytes_are_weights_or_refused(data: bytes) -> None:
    with pytest.raises((ValueError, RecursionError)):
        shapes_within(struct.pack("<Q", len(data)) + data, 8 + len(data) + 1)


@given(st.dictionaries(st.text(), st.text(), max_size=4))
def test_text_is_read_as_it_is_shown(found: dict[str, str]) -> None:
    read = read_json(json.dumps(found).encode())
    assert read == {shown(name): shown(value) for name, value in found.items()}
    assert shown(str(read)) == str(read)


@pytest.mark.parametrize(
    ("numbers", "kind"),
    [
        (np.array([[1.5, -2.25]], np.float32), "raw"),
        (np.array([1.5, -2.25], np.float32), "typed"),
        (np.array([3, -4, 2**40], np.int64), "typed"),
        (np.array([3, -4], np.int32), "typed"),
        (np.array([True, False]), "typed"),
        (np.array([1e300, -1.0]), "typed"),
        (np.array([2**63 + 1, 1], np.uint64), "typed"),
        (np.array(7, np.int64), "raw"),
        (np.zeros((0, 3), np.float32), "raw"),
    ],
)
def test_tensors_hold_the_numbers_that_onnx_wrote(numbers: np.ndarray, kind: str) -> None:
    if kind == "raw":
        tensor = onnx.numpy_helper.from_array(numbers, "t")
    else:
        of_type = onnx.helper.np_dtype_to_tensor_dtype(numbers.dtype)
        tensor = h.make_tensor("t", of_type, numbers.shape, numbers.ravel().tolist())
    model = h.make_model(h.make_graph([], "g", [], [], [tensor]), ir_version=8)
    model.opset_import[0].version = 17
    read = read_onnx(model.SerializeToString()).tensors["t"]
    assert read.shape == numbers.shape
    assert read.values is not None
    assert np.array_equal(read.values, numbers)


def test_a_tensor_whose_typed_numbers_are_many_is_counted_and_not_looked_at() -> None:
    tensor = h.make_tensor("t", onnx.TensorProto.INT64, [5_000], range(5_000))
    model = h.make_model(h.make_graph([], "g", [], [], [tensor]), ir_version=8)
    model.opset_import[0].version = 17
    assert read_onnx(model.SerializeToString()).tensors["t"].values is None
    tensor.dims[:] = [5_001]
    model = h.make_model(h.make_graph([], "g", [], [], [tensor]), ir_version=8)
    model.opset_import[0].version = 17
    with pytest.raises(BundleRefused, match="is to hold 5,001 numbers"):
        read_onnx(model.SerializeToString())


@pytest.mark.parametrize(
    "data", [b"\x08", b"\x08" + b"\xff" * 10, b"\x12\x05ab", b"\x0b", b"\x0d\1\2"]
)
def test_a_message_cut_short_is_refused(data: bytes) -> None:
    with pytest.raises(BundleRefused):
        Reader(10).message(memoryview(data), "it", {1: 0, 2: 2})


def test_fields_are_counted_over_all_messages() -> None:
    reader = Reader(5)
    reader.message(memoryview(b"\x08\x01" * 3), "it", {1: 0}, (1,))
    with pytest.raises(BundleRefused, match="more than 5 parts"):
        reader.message(memoryview(b"\x08\x01" * 3), "it", {1: 0}, (1,))
    with pytest.raises(BundleRefused, match="more than 5 parts"):
        Reader(5).message(memoryview(b"\x0a\x06" + b"\x01" * 6), "it", {1: 0}, (1,))


def test_the_weights_of_a_saved_model_have_the_shapes_that_safetensors_reads() -> None:
    from safetensors.numpy import load

    content = (KEPT / "weights.safetensors").read_bytes()
    expected = {name: array.shape for name, array in load(content).items()}
    assert shapes_within(content, len(content)) == expected


@pytest.mark.parametrize("kind", ["u2", "u4", "u8", "c8", "f2", "?"])
def test_weights_of_every_type_that_safetensors_writes_are_taken(kind: str) -> None:
    from safetensors.numpy import save

    content = save({"a": np.ones((2, 3), kind)})
    assert shapes_within(content, len(content)) == {"a": (2, 3)}


def test_a_name_longer_than_any_is_refused_in_few_words() -> None:
    node = h.make_node("Relu" * 1_000, ["x"], ["y"])
    model = h.make_model(h.make_graph([node], "g", [], []), ir_version=8)
    model.opset_import[0].version = 17
    with pytest.raises(BundleRefused, match="has 4,000 bytes") as caught:
        read_onnx(model.SerializeToString())
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("compressed", [False, True])
def test_an_array_is_the_one_that_numpy_wrote(compressed: bool) -> None:
    scores = np.random.default_rng(0).random(500)
    buffer = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(buffer, scores=scores, more=scores[:3])
    assert np.array_equal(read_array(buffer.getvalue(), "scores", 10_000), scores)
    with pytest.raises(ValueError, match="more than 100 bytes"):
        read_array(buffer.getvalue(), "scores", 100)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_an_archive_packed_in_a_way_that_unpacks_all_at_once_is_refused(method: int) -> None:
    buffer = io.BytesIO()
    np.savez(buffer, scores=np.arange(9.0))
    with zipfile.ZipFile(buffer) as old:
        content = old.read("scores.npy")
    with zipfile.ZipFile(buffer, "w", method) as new:
        new.writestr("scores.npy", content)
    with pytest.raises(ValueError, match="packed as NumPy packs nothing"):
        read_array(buffer.getvalue(), "scores", 10_000)


@given(st.binary(max_size=120), st.integers(0, 400))
@settings(max_examples=200, deadline=None)
def test_a_damaged_archive_fails_in_a_known_way(junk: bytes, at: int) -> None:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, scores=np.arange(9.0))
    content = bytearray(buffer.getvalue())
    content[at : at + len(junk)] = junk
    known = (ValueError, KeyError, OSError, zipfile.BadZipFile, zlib.error, EOFError)
    try:
        read_array(bytes(content), "scores", 1_000)
    except (*known, NotImplementedError, RuntimeError, SyntaxError, UserWarning):
        pass


def test_a_file_that_grows_while_it_is_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    assert content_of(path, 5) == b"12345"
    for read in (content_of, sha256_of):
        with pytest.raises(BundleRefused, match="4 at most"):
            read(path, 4)
