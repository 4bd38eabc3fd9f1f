"""ONNX Runtime on the processor: the engine that every installation has."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua.bundle import Bundle
from residua.engines.base import Engine, Load, Precision
from residua.errors import BundleError, EngineFailed
from residua.images.free_memory import free_memory
from residua.onnx_runtime import onnx_runtime
from residua.scoring.verdicts import ScoredBatch, with_numbers
from residua.vetting.text import shown

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
        # What was looked at is an ONNX file; it is not to be taken for one of another format.
        options.add_session_config_entry("session.load_model_format", "ONNX")
        graph = bundle.read_graph()
        _require_room(bundle, load.at_once)
        try:
            self._session: Any = ort.InferenceSession(
                graph, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:
            raise BundleError(
                f"ONNX Runtime cannot use {bundle.graph}: {shown(str(error))}"
            ) from error

    def __call__(self, images: NDArray[np.uint8]) -> ScoredBatch:
        """Score pictures (B, H, W, C); see `Engine`.

        Raises
        ------
        EngineFailed
            Most often: there is too little memory. Or a score is no number.
        """
        try:
            results = self._session.run(list(ScoredBatch._fields), {"images": images})
        except Exception as error:
            raise EngineFailed(
                f"ONNX Runtime cannot score {len(images)} pictures of "
                f"{images.shape[1]} × {images.shape[2]}: {shown(str(error))}"
            ) from error
        return with_numbers(ScoredBatch(*results))


def _require_room(bundle: Bundle, at_once: int) -> None:
    """Refuse a model that would take more memory than there is, before the system ends us."""
    free, wanted = free_memory(), bundle.working_memory * at_once
    if free is not None and wanted > free:
        raise EngineFailed(
            f"scoring with {bundle.path} takes some {wanted / 1e9:.3g} GB at a time and "
            f"{free / 1e9:.3g} GB of memory are free; score on a machine with more"
        )
