"""A frozen pretrained network, given as an ONNX file: pictures to feature maps and a descriptor.

It is run by ONNX Runtime while a model is fitted, and its graph becomes part of the model's own, so
that what was fitted on is what scores.
"""

from __future__ import annotations

import hashlib
import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua.errors import BundleRefused, ConfigurationError
from residua.features.record import BackboneRecord
from residua.features.timm_export import PREFIX, export_timm
from residua.onnx_runtime import onnx_runtime
from residua.storage import local_copy, name_of
from residua.vetting.onnx_file import read_onnx
from residua.vetting.sizes import size_of

CHANNELS = 3
# Versions of ONNX's operators that the rest of a model can be written in.
_OLDEST_OPSET, _NEWEST_OPSET = 17, 20
_OLDEST_IR = 8
DEFAULT_SIDE = 224
"""Pixels to a side where none is asked for: what most backbones were trained at."""
# Strides of the maps that are looked at: finer ones hold edges, coarser ones little place.
_FINEST, _MIDDLE, _COARSEST = 8, 16, 32


class Backbone:
    """Turns pictures into features.

    Parameters
    ----------
    graph : bytes
        An ONNX network with one input, pictures (B, 3, H, W) in [0, 1], and outputs that are maps
        (B, C, h, w) or vectors (B, D).
    name : str
        What it is called.

    Raises
    ------
    ConfigurationError
        It is no such network.
    """

    def __init__(self, graph: bytes, name: str) -> None:
        ort = onnx_runtime()

        options = ort.SessionOptions()
        options.log_severity_level = 3
        try:
            self._session: Any = ort.InferenceSession(
                graph, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:
            raise ConfigurationError(f"ONNX Runtime cannot use {name}: {error}") from error
        self.graph, self.name = graph, name
        self.sha256 = hashlib.sha256(graph).hexdigest()
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        ranks = {output.name: len(output.shape) for output in outputs}
        if len(inputs) != 1 or len(inputs[0].shape) != 4 or not {2, 4} & set(ranks.values()):
            raise ConfigurationError(
                f"the backbone {name} has {len(inputs)} inputs and {len(outputs)} outputs; wanted "
                f"one input (B, 3, H, W) and outputs (B, C, h, w) or (B, D)"
            )
        batch, channels = inputs[0].shape[:2]
        if isinstance(channels, int) and channels != CHANNELS:
            raise ConfigurationError(
                f"the backbone {name} takes pictures of {channels} channels; wanted {CHANNELS}"
            )
        if isinstance(batch, int):
            raise ConfigurationError(
                f"the backbone {name} takes batches of {batch} only; wanted any number: export it "
                f"with a dynamic first axis"
            )
        self.input = str(inputs[0].name)
        self.all_maps = tuple(name for name, rank in ranks.items() if rank == 4)
        self.vectors = tuple(name for name, rank in ranks.items() if rank == 2)

    def __reduce__(self) -> tuple[Any, ...]:
        # A session cannot be pickled; what it was made of can.
        return _restored, (self.graph, self.name, self.sha256)

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Backbone:
        """Open an ONNX file, by path or URL, or ``timm:NAME`` where that package is installed.

        Raises
        ------
        ConfigurationError
            There is no such file, or it is no network from pictures to features.
        """
        if str(path).startswith(PREFIX):
            name = str(path).removeprefix(PREFIX)
            return cls(export_timm(name), str(path))
        try:
            with local_copy(path) as file:
                graph = file.read_bytes()
        except OSError as error:
            raise ConfigurationError(
                f"the backbone {path} cannot be read ({error.strerror}); wanted an ONNX file"
            ) from error
        return cls(graph, name_of(path))

    def joinable(self) -> Backbone:
        """Return the same network in operators to which the rest of a model can be joined.

        Raises
        ------
        ConfigurationError
            It cannot be had in such operators, or they are of another domain than ONNX's own.
        """
        import onnx
        from onnx import version_converter

        model = onnx.load_from_string(self.graph)
        domains = {part.domain: part.version for part in model.opset_import}
        foreign = sorted(set(domains) - {"", "ai.onnx"})
        if foreign:
            raise ConfigurationError(
                f"the backbone {self.name} uses operators of {', '.join(foreign)}; export it with "
                f"ONNX's own operators alone"
            )
        version = domains.get("", domains.get("ai.onnx", 0))
        wanted = min(max(version, _OLDEST_OPSET), _NEWEST_OPSET)
        if version == wanted and model.ir_version >= _OLDEST_IR:
            return self
        # Older files list their weights among the inputs too.
        weights = {weight.name for weight in model.graph.initializer}
        for given in [given for given in model.graph.input if given.name in weights]:
            model.graph.input.remove(given)
        model.ir_version = max(model.ir_version, _OLDEST_IR)
        try:
            if version != wanted:
                model = version_converter.convert_version(model, wanted)
            graph = model.SerializeToString()
        except Exception as error:
            raise ConfigurationError(
                f"the backbone {self.name} is written in version {version} of ONNX's operators and "
                f"cannot be brought to {wanted} ({error}); export it with {wanted}"
            ) from error
        converted = Backbone(graph, self.name)
        converted.sha256 = self.sha256  # of what the user has
        return converted

    def run(self, images: NDArray[np.uint8], outputs: tuple[str, ...]) -> list[NDArray[np.float32]]:
        """Return outputs for pictures (B, H, W, C), uint8, C being 3, or 1 that is seen as 3.

        Raises
        ------
        ConfigurationError
            The network does not take pictures of this size.
        """
        x = np.ascontiguousarray(images.transpose(0, 3, 1, 2), np.float32) / np.float32(255)
        if x.shape[1] == 1:
            x = np.repeat(x, CHANNELS, axis=1)
        try:
            found: list[NDArray[np.float32]] = self._session.run(list(outputs), {self.input: x})
        except Exception as error:
            height, width = images.shape[1:3]
            raise ConfigurationError(
                f"the backbone {self.name} does not take pictures of {height} x {width}; most want "
                f"sides that are multiples of 32, such as {DEFAULT_SIDE}: set the image size"
            ) from error
        return found

    def record(self, height: int, width: int, batch: int = 1) -> BackboneRecord:
        """Decide what is taken of it for pictures of a size, ``batch`` of which are scored at once.

        Raises
        ------
        ConfigurationError
            The network does not take pictures of this size, or has no map for them; or a model
            with it in could not be opened again, since it has operators that none may have.
        """
        blank = np.zeros((1, height, width, CHANNELS), np.uint8)
        names = (*self.all_maps, *self.vectors)
        found = self.run(blank, names)
        try:
            for count in sorted({1, batch}):
                size_of(read_onnx(self.graph), {self.input: (count, CHANNELS, height, width)}, {})
        except BundleRefused as error:
            raise ConfigurationError(
                f"the backbone {self.name} cannot be part of a saved model: {error}; export it "
                f"with plain operators, or give another one"
            ) from error
        shapes = {name: part.shape for name, part in zip(names, found, strict=True)}
        strides = {
            name: height / shape[2]
            for name, shape in shapes.items()
            if len(shape) == 4 and shape[2] > 1
        }
        if not strides:
            raise ConfigurationError(
                f"the backbone {self.name} has no feature maps (B, C, h, w) for pictures of "
                f"{height} x {width}; give a network with them, or larger pictures"
            )
        wanted = [name for name, stride in strides.items() if _FINEST <= stride <= _COARSEST]
        maps = sorted(wanted or [max(strides, key=strides.__getitem__)], key=strides.__getitem__)
        middle = min(maps, key=lambda name: abs(np.log2(strides[name] / _MIDDLE)))
        descriptor = self.vectors[-1] if self.vectors else None
        return BackboneRecord(
            name=self.name,
            sha256=self.sha256,
            maps=tuple(maps),
            descriptor=descriptor,
            channels=tuple(shapes[name][1] for name in maps),
            grid=shapes[middle][2:],
            width=shapes[descriptor or maps[-1]][1],
        )


def _restored(graph: bytes, name: str, sha256: str) -> Backbone:
    backbone = Backbone(graph, name)
    backbone.sha256 = sha256
    return backbone
