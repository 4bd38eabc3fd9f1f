"""Measuring in a process of its own, so that what is tried leaves nothing behind.

Packages that are tried stay in a process's memory once they are imported, and one that does not
suit the machine may end it.
"""

from __future__ import annotations

import subprocess
import sys

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from residua.bundle import Bundle, open_bundle
from residua.engines.base import Precision
from residua.engines.choice import Choice
from residua.engines.measuring import measure
from residua.errors import EngineFailed
from residua.workspace import workspace

_PROGRAM = "from residua.engines.apart import main; main()"
# Seconds after which an engine hangs.
_PATIENCE = 300


def measure_apart(
    bundle: Bundle, probe: NDArray[np.uint8], batch: int, threads: int, precision: Precision
) -> Choice:
    """Do in a process of its own what `residua.engines.measuring.measure` does.

    Raises
    ------
    EngineFailed
        The process could not be started, or ended without a result.
    """
    try:
        with workspace("residua-engines") as folder:
            pictures = folder / "probe.npy"
            np.save(pictures, probe)
            arguments = map(str, (bundle.path, pictures, batch, threads, precision))
            done = subprocess.run(
                # -P: what lies in the current folder is nobody's package.
                [sys.executable, "-P", "-c", _PROGRAM, *arguments],
                capture_output=True,
                text=True,
                check=False,
                timeout=_PATIENCE,
            )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EngineFailed(f"the engines could not be measured: {error}") from error
    try:
        return Choice.model_validate_json(done.stdout.strip().rpartition("\n")[2])
    except ValidationError as error:
        said = " ".join(done.stderr.split())[-300:]
        raise EngineFailed(
            f"the engines could not be measured: the process that tried them ended with code "
            f"{done.returncode} ({said}); name one with --engine"
        ) from error


def main() -> None:
    """Measure what the arguments name, and print the choice as JSON on the last line."""
    path, pictures, batch, threads, precision = sys.argv[1:]
    lowest: Precision = "bf16" if precision == "bf16" else "float32"
    probe = np.load(pictures, allow_pickle=False)
    choice = measure(open_bundle(path), probe, int(batch), int(threads), lowest)
    print(choice.model_dump_json())
