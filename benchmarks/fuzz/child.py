"""Run by `python -m fuzz`: one target under libFuzzer, with Python's own branches counted.

Everything after the target's name is libFuzzer's.
"""

from __future__ import annotations

import sys
from importlib import import_module

import atheris

if __name__ == "__main__":
    target, *options = sys.argv[1:]
    with atheris.instrument_imports(include=["residua", "PIL", "python_multipart"]):
        module = import_module(f"fuzz.{target}")
        # What is imported at the first use is counted too, and its time is no input's.
        module.one(next(module.seeds()))
    atheris.Setup([sys.argv[0], *options], module.one)
    atheris.Fuzz()
