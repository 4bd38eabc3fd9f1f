from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper

from residua.errors import ConfigurationError
from residua.features.backbone import Backbone
from residua.vetting.onnx_file import read_onnx
from residua.vetting.sizes import size_of

Write = Callable[..., Path]


def pictures(n: int = 3, height: int = 64, width: int = 64, channels: int = 3) -> NDArray[np.uint8]:
    shape = (n, height, width, channels)
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def graph_of(path: Path, shapes: dict[str, list[int | str]], op: str = "Identity") -> Path:
    """Write a graph with inputs of these shapes, each passed through one node."""
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in shapes.items()
    ]
    outputs = [
        helper.make_tensor_value_info(f"{name}_out", TensorProto.FLOAT, shape)
        for name, shape in shapes.items()
    ]
    nodes = [helper.make_node(op, [name], [f"{name}_out"]) for name in shapes]
    graph = helper.make_graph(nodes, "graph", inputs, outputs)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, path)
    return path


def test_it_takes_the_maps_at_strides_8_to_32_and_the_vector(backbone: Path) -> None:
    record = Backbone.open(backbone).record(64, 64)
    assert record.name == "small.onnx"
    assert record.sha256 == hashlib.sha256(backbone.read_bytes()).hexdigest()
    assert record.maps == ("stride_8", "stride_16", "stride_32")
    assert record.outputs == (*record.maps, "descriptor")
    assert (record.channels, record.grid, record.width) == ((8, 10, 12), (4, 4), 12)


def test_maps_at_other_strides_are_left_out(write_backbone: Write, tmp_path: Path) -> None:
    path = write_backbone(tmp_path / "b.onnx", maps=(2, 4, 8, 16))
    assert Backbone.open(path).record(64, 64).maps == ("stride_8", "stride_16")


def test_where_all_maps_are_fine_the_coarsest_is_taken(
    write_backbone: Write, tmp_path: Path
) -> None:
    record = Backbone.open(write_backbone(tmp_path / "b.onnx", maps=(2, 4))).record(64, 64)
    assert (record.maps, record.grid) == (("stride_4",), (16, 16))


def test_without_a_vector_the_coarsest_map_describes_the_picture(
    write_backbone: Write, tmp_path: Path
) -> None:
    record = Backbone.open(write_backbone(tmp_path / "b.onnx", vector=False)).record(64, 64)
    assert record.descriptor is None
    assert record.outputs == record.maps
    assert record.width == 12


def test_a_map_of_one_position_says_nothing_of_place_and_is_left_out(backbone: Path) -> None:
    assert Backbone.open(backbone).record(32, 32).maps == ("stride_8", "stride_16")


def test_pictures_of_sides_that_are_no_multiples_have_maps_of_odd_sizes(backbone: Path) -> None:
    record = Backbone.open(backbone).record(72, 104)
    assert record.grid == (5, 7)


def test_outputs_come_in_the_order_asked_for(backbone: Path) -> None:
    opened = Backbone.open(backbone)
    maps, vector = opened.run(pictures(), ("stride_16", "descriptor"))
    assert (maps.shape, vector.shape) == ((3, 10, 4, 4), (3, 12))
    assert np.array_equal(opened.run(pictures(), ("descriptor",))[0], vector)


def test_a_grey_picture_is_seen_as_one_of_three_equal_channels(backbone: Path) -> None:
    opened, grey = Backbone.open(backbone), pictures(channels=1)
    (found,) = opened.run(grey, ("stride_8",))
    assert np.array_equal(found, opened.run(np.repeat(grey, 3, axis=3), ("stride_8",))[0])


def test_levels_come_from_0_to_1_and_channels_first(tmp_path: Path) -> None:
    opened = Backbone.open(graph_of(tmp_path / "same.onnx", {"x": ["b", 3, "h", "w"]}))
    given = pictures(2, 8, 12)
    (found,) = opened.run(given, ("x_out",))
    np.testing.assert_allclose(found, given.transpose(0, 3, 1, 2) / 255, rtol=1e-6)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"absent\.onnx cannot be read .*No such file"):
        Backbone.open(tmp_path / "absent.onnx")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        Backbone.open(tmp_path)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 weights", b"\x08\x07" * 40])
def test_a_file_that_is_no_onnx_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "other.onnx"
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"other\.onnx"):
        Backbone.open(path)


@pytest.mark.parametrize(
    "shapes",
    [
        {"x": ["b", 3, "h", "w"], "y": ["b", 3, "h", "w"]},
        {"x": ["b", 3]},
        {"x": ["b", 3, "h"]},
    ],
)
def test_a_network_of_other_inputs_is_refused(
    shapes: dict[str, list[int | str]], tmp_path: Path
) -> None:
    with pytest.raises(ConfigurationError, match=r"wanted one input \(B, 3, H, W\)"):
        Backbone.open(graph_of(tmp_path / "b.onnx", shapes))


@pytest.mark.parametrize("shape", [["b", 1, "h", "w"], ["b", 4, "h", "w"]])
def test_a_network_of_other_channels_is_refused(shape: list[int | str], tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=f"{shape[1]} channels; wanted 3"):
        Backbone.open(graph_of(tmp_path / "b.onnx", {"x": shape}))


def test_a_network_of_one_batch_size_is_refused(write_backbone: Write, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="batches of 1 only; wanted any number"):
        Backbone.open(write_backbone(tmp_path / "b.onnx", sizes=False))


def test_a_network_of_vectors_alone_has_no_maps(write_backbone: Write, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"no feature maps .* 64 x 64"):
        Backbone.open(write_backbone(tmp_path / "b.onnx", maps=())).record(64, 64)


def test_pictures_too_small_for_any_map_are_refused(write_backbone: Write, tmp_path: Path) -> None:
    opened = Backbone.open(write_backbone(tmp_path / "b.onnx", maps=(32,)))
    with pytest.raises(ConfigurationError, match=r"no feature maps .* or larger pictures"):
        opened.record(32, 32)


def test_a_network_is_sized_for_as_many_pictures_as_are_scored_at_once(
    backbone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = Backbone.open(backbone)
    one = size_of(read_onnx(opened.graph), {opened.input: (1, 3, 64, 64)}, {}).numbers
    monkeypatch.setattr("residua.vetting.sizes.MOST_NUMBERS", 2 * one)
    opened.record(64, 64)
    with pytest.raises(ConfigurationError, match="numbers at a time"):
        opened.record(64, 64, batch=16)


def test_a_size_that_the_network_does_not_take_is_refused(tmp_path: Path) -> None:
    opened = Backbone.open(graph_of(tmp_path / "b.onnx", {"x": ["b", 3, 64, 64]}))
    assert opened.record(64, 64).grid == (64, 64)
    with pytest.raises(ConfigurationError, match=r"does not take .* 60 x 64.*image size"):
        opened.record(60, 64)
