"""OpenVINO on the processor: the extra ``openvino``."""

from __future__ import annotations

import io
import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua.bundle import Bundle
from residua.engines.base import Engine, Load, Precision
from residua.scoring.verdicts import ScoredBatch, with_numbers

_HINTS: dict[Precision, str] = {"float32": "f32", "bf16": "bf16"}


class OpenVinoEngine(Engine):
    """A graph compiled by OpenVINO; each thread that calls has a request of its own."""

    name = "openvino"

    def __init__(self, bundle: Bundle, load: Load, precision: Precision) -> None:
        import openvino
        from openvino.frontend import FrontEndManager

        self.precision = precision
        core = openvino.Core()
        settings = {
            # Left to itself, it computes in bf16 wherever the processor can.
            "INFERENCE_PRECISION_HINT": _HINTS[precision],
            "INFERENCE_NUM_THREADS": load.threads,
            "NUM_STREAMS": load.at_once,
        }
        # What was looked at is an ONNX file; it is not to be taken for one of another format.
        reader = FrontEndManager().load_by_framework("onnx")
        model = reader.convert(reader.load(io.BytesIO(bundle.read_graph())))
        self._compiled: Any = core.compile_model(model, "CPU", settings)
        self._outputs = [self._compiled.output(name) for name in ScoredBatch._fields]
        self._own = threading.local()

    def __call__(self, images: NDArray[np.uint8]) -> ScoredBatch:
        """Score pictures (B, H, W, C); see `Engine`.

        Raises
        ------
        EngineFailed
            A score is no number.
        """
        request = getattr(self._own, "request", None)
        if request is None:
            request = self._own.request = self._compiled.create_infer_request()
        request.infer({0: np.ascontiguousarray(images)}, share_inputs=True)
        # Copies: the next call writes to the same memory.
        scores, *others = (np.array(request.get_tensor(output).data) for output in self._outputs)
        return with_numbers(ScoredBatch(scores.astype(np.float64), *others))
