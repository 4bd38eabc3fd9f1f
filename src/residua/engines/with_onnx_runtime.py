"""ONNX Runtime on the processor: the engine that every installation has."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua.bundle import Bundle
from residua.engines.base import Engine, Load, Precision
from residua.errors import BundleError, EngineFailed
from residua.onnx_runtime import onnx_runtime
from residua.scoring.verdicts import ScoredBatch

_QUIET = 3


class OnnxRuntimeEngine(Engine):
    """A session of ONNX Runtime, in float32.

    Raises
    ------
    BundleAltered
        The graph is no longer the file that was verified.
    BundleError
        ONNX Runtime cannot use the graph.
    """

    name = "onnxruntime"
    precision: Precision = "float32"

    def __init__(self, bundle: Bundle, load: Load) -> None:
        ort = onnx_runtime()

        options = ort.SessionOptions()
        options.intra_op_num_threads = max(1, load.threads // load.at_once)
        options.log_severity_level = _QUIET
        graph = bundle.read_graph()
        try:
            self._session: Any = ort.InferenceSession(
                graph, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:
            raise BundleError(f"ONNX Runtime cannot use {bundle.graph}: {error}") from error

    def __call__(self, images: NDArray[np.uint8]) -> ScoredBatch:
        """Score pictures (B, H, W, C); see `Engine`.

        Raises
        ------
        EngineFailed
            Most often: there is too little memory.
        """
        try:
            results = self._session.run(list(ScoredBatch._fields), {"images": images})
        except Exception as error:
            raise EngineFailed(
                f"ONNX Runtime cannot score {len(images)} pictures of "
                f"{images.shape[1]} × {images.shape[2]}: {error}"
            ) from error
        return ScoredBatch(*results)
