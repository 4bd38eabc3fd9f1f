"""The time and the memory that each of many files takes, in a process that may be given up."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from fuzz.decoder import readings
from fuzz.pictures import Picture, corpus

SECONDS = 5.0
"""Time that reading any file may take, in whichever way."""
_PATIENCE = 3 * SECONDS
_BENCHMARKS = Path(__file__).parents[1]
_CLEAR = Path("/proc/self/clear_refs")
# Beyond what one file may take, so that the limit ends a runaway and the measure finds the rest.
_ROOM = 3


class Taken(NamedTuple):
    """What one file took."""

    name: str
    outcome: str
    """What came of it: "read", or the error that refused it; after "!", what should not be."""
    seconds: float
    """Of the slowest way of reading it."""
    megabytes: float
    """Peak of the memory beside what the process had before."""


def measured(max_pixels: int, most_megabytes: float, *, part: str = "corpus") -> list[Taken]:
    """Decode files in a child whose memory and time are bound; where it dies, the next goes on.

    Parameters
    ----------
    max_pixels : int
        As for `residua.images.decode.decode_image`.
    most_megabytes : float
        Memory that one file may take; the child is given several times as much, and no more.
    part : {"corpus", "bombs"}

    Raises
    ------
    RuntimeError
        The child does not even begin.
    """
    path = os.pathsep.join([str(_BENCHMARKS), os.environ.get("PYTHONPATH", "")])
    # What is freed goes back at once, so that the next file does not reuse it unseen.
    environment = os.environ | {"PYTHONPATH": path, "MALLOC_MMAP_THRESHOLD_": "65536"}
    command = [sys.executable, "-m", "fuzz.measuring", str(max_pixels), str(most_megabytes), part]
    taken: list[Taken] = []
    while True:
        done = subprocess.run(
            [*command, str(len(taken))],
            capture_output=True,
            text=True,
            check=False,
            env=environment,
        )
        lines = done.stdout.splitlines()
        taken += [Taken(*json.loads(line)) for line in lines if line.startswith("[")]
        if done.returncode == 0:
            return taken
        if not lines:
            raise RuntimeError(f"it ended with {done.returncode}: {done.stderr[-600:]}")
        why = "too long" if done.returncode == -signal.SIGALRM else f"ended {done.returncode}"
        taken.append(Taken(lines[-1], f"!{why}", _PATIENCE, 0.0))


def _main(max_pixels: int, most_megabytes: float, pictures: Iterable[Picture]) -> None:
    import resource

    for read in readings(b"", max_pixels):
        read()  # what is imported once counts for none of them
    most = _status("VmSize") + (int(most_megabytes * _ROOM) << 20)
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    for name, content in pictures:
        print(name, flush=True)
        print(json.dumps(_taken(name, content, max_pixels)), flush=True)


def _taken(name: str, content: bytes, max_pixels: int) -> Taken:
    outcomes, seconds, before = [], [], _begin_peak()
    for read in readings(content, max_pixels):
        signal.setitimer(signal.ITIMER_REAL, _PATIENCE)  # nobody catches it: the process ends
        start = time.perf_counter()
        try:
            outcomes.append(read())
        except Exception as error:
            outcomes.append(f"!{type(error).__name__}: {error}")
        seconds.append(time.perf_counter() - start)
        signal.setitimer(signal.ITIMER_REAL, 0)
    outcome = next((one for one in outcomes if one.startswith("!")), outcomes[0])
    return Taken(name, outcome, round(max(seconds), 3), round((_peak() - before) / 1e6, 1))


def _begin_peak() -> int:
    """Have the peak begin anew where Linux lets it; return the memory held now."""
    try:
        _CLEAR.write_text("5")
    except OSError:
        return _peak()
    return _status("VmRSS")


def _peak() -> int:
    import resource

    if _CLEAR.exists():
        return _status("VmHWM")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


def _status(key: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(key):
            return int(line.split()[1]) << 10
    raise KeyError(key)


def _part(name: str) -> Iterator[Picture]:
    if name == "corpus":
        yield from corpus()
        return
    from fuzz.pictures import bombs

    yield from bombs()


if __name__ == "__main__":
    _main(int(sys.argv[1]), float(sys.argv[2]), islice(_part(sys.argv[3]), int(sys.argv[4]), None))
