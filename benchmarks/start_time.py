"""Time to start: the help of the command line, and that it imports no torch.

scripts/bench start_time [--repeats 10]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

from _table import alternate, median_of, print_table

COMMAND = Path(sys.executable).with_name("residua")
HEAVY = ("torch", "lightning", "sklearn", "matplotlib", "onnxruntime", "numpy")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--repeats", type=int, default=10)
    options = parser.parse_args()
    sides = {
        "python -c pass": lambda: seconds_of([sys.executable, "-c", "pass"]),
        "residua --help": lambda: seconds_of([COMMAND, "--help"]),
        "residua fit --help": lambda: seconds_of([COMMAND, "fit", "--help"]),
    }
    times = alternate(sides, options.repeats)
    probe = (
        "import sys, residua.cli, typer.testing as t; "
        "t.CliRunner().invoke(residua.cli.app, ['--help']); "
        f"print([m for m in {HEAVY!r} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", probe], check=True, capture_output=True, text=True)
    print_table(
        f"start of the command; median of {options.repeats} alternating runs (least to greatest)",
        ["", "seconds"],
        [[name, median_of(values, ".3f")] for name, values in times.items()],
    )
    print(f"heavy packages imported by the help: {done.stdout.strip()}")


def seconds_of(command: list[object]) -> float:
    started = time.perf_counter()
    subprocess.run([str(part) for part in command], check=True, capture_output=True)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
