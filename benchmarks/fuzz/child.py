"""Run by `python -m fuzz`: one target under libFuzzer, with Python's own branches counted.

Everything after the target's name is libFuzzer's.
"""

from __future__ import annotations

import sys
import time
from importlib import import_module

import atheris

from fuzz.running import SECONDS

if __name__ == "__main__":
    target, *options = sys.argv[1:]
    with atheris.instrument_imports(include=["residua", "PIL", "python_multipart"]):
        module = import_module(f"fuzz.{target}")
        # What is imported at the first use is counted too, and its time is no input's.
        module.one(next(module.seeds()))

    def one_in_time(data: bytes) -> None:
        """Try an input; that it takes long is told by the processor's time, on any machine."""
        start = time.process_time()
        module.one(data)
        took = time.process_time() - start
        assert took <= SECONDS, f"it took {took:.1f} s"

    atheris.Setup([sys.argv[0], *options], one_in_time)
    atheris.Fuzz()
