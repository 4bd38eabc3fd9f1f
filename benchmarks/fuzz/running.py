"""A target under atheris, in a process of its own, and what came of it."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import time
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

TARGETS = ("decoder", "body", "bundle")
SECONDS = 5
"""Time that any input may take."""
MEGABYTES = 1_536
"""Memory that the whole process may take, Python and what it imports included."""
FOLDER = Path(__file__).parents[2] / ".bench" / "fuzz"
_LONGEST_INPUT = 65_536
_BENCHMARKS = Path(__file__).parents[1]


class Fuzzed(NamedTuple):
    """What came of fuzzing a target."""

    target: str
    seconds: float
    """How long it ran."""
    executions: int
    """Inputs that were tried."""
    kept: int
    """Inputs that reached new code, with those of earlier runs."""
    finding: Path | None
    """The input that ended it; None: none did."""
    said: str
    """The last lines that the process printed, where there is a finding."""

    def words(self) -> str:
        """Return it in one line; after a finding, more."""
        line = (
            f"{self.target}: {self.executions:,} inputs in {self.seconds:,.0f} s, "
            f"{self.kept:,} of them kept, "
        )
        return (
            f"{line}1 finding: {self.finding}\n{self.said}" if self.finding else f"{line}no finding"
        )


def is_installed() -> bool:
    """Tell whether atheris can be imported."""
    return find_spec("atheris") is not None


def fuzz(target: str, *, seconds: float, folder: Path = FOLDER) -> Fuzzed:
    """Run a target until the time is over or an input ends it.

    Parameters
    ----------
    target : {"decoder", "body", "bundle"}
    seconds : float
    folder : Path
        Where its inputs are kept, in a folder of its own name.

    Raises
    ------
    RuntimeError
        It did not run at all.
    """
    inputs, findings = folder / target, folder / f"{target}-findings"
    for place in (inputs, findings):
        place.mkdir(parents=True, exist_ok=True)
    path = os.pathsep.join([str(_BENCHMARKS), os.environ.get("PYTHONPATH", "")])
    environment = os.environ | {"PYTHONPATH": path}
    # Apart: a process begins with the peak of memory of the one that starts it, and making bombs
    # takes more than reading them may.
    subprocess.run(
        [sys.executable, "-m", "fuzz.running", target, inputs], check=True, env=environment
    )
    log = folder / f"{target}.log"
    before = set(findings.iterdir())
    start = time.monotonic()
    with log.open("w") as output:
        code = subprocess.run(
            [
                *(sys.executable, "-m", "fuzz.child", target),
                f"-max_total_time={max(1, round(seconds))}",
                f"-timeout={SECONDS}",
                f"-rss_limit_mb={MEGABYTES}",
                f"-max_len={_LONGEST_INPUT}",
                f"-artifact_prefix={findings}{os.sep}",
                "-print_final_stats=1",
                str(inputs),
            ],
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
            env=environment,
        ).returncode
    took = time.monotonic() - start
    text = log.read_text(errors="replace")
    finding = max(set(findings.iterdir()) - before, default=None, key=lambda p: p.stat().st_mtime)
    if code != 0 and finding is None:
        raise RuntimeError(f"fuzzing {target} ended with {code}: {text[-2_000:]}")
    executions = re.search(r"stat::number_of_executed_units: *(\d+)", text)
    # After a finding there are no statistics, but each line begins with the number of inputs.
    counted = [int(number) for number in re.findall(r"^#(\d+)\t", text, re.MULTILINE)]
    return Fuzzed(
        target,
        took,
        int(executions[1]) if executions else max(counted, default=0),
        sum(1 for _ in inputs.iterdir()),
        finding,
        text[-3_000:] if finding else "",
    )


def _sow(target: str, inputs: Path) -> None:
    """Write the seeds, each under the name that libFuzzer would give it."""
    for seed in import_module(f"fuzz.{target}").seeds():
        path = inputs / hashlib.sha1(seed, usedforsecurity=False).hexdigest()
        if not path.exists():
            path.write_bytes(seed)


if __name__ == "__main__":
    _sow(sys.argv[1], Path(sys.argv[2]))
