"""ONNX Runtime, imported so that it sends nothing to anyone."""

from __future__ import annotations

import os
from typing import Any


def onnx_runtime() -> Any:
    """Import ONNX Runtime with its telemetry off, unless the environment says otherwise.

    At import it would make an identity for this machine in the user's cache and report to its
    makers.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime

    return onnxruntime
