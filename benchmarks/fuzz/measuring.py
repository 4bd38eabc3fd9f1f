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
from fuzz.pictures import Picture, bombs, damaged, sound

SECONDS = 5.0
"""Processor time that reading any file may take, in whichever way."""
_PATIENCE, _LONGEST_WAIT = 3 * SECONDS, 120.0
_BENCHMARKS = Path(__file__).parents[1]
_CLEAR = Path("/proc/self/clear_refs")
_A_PIXEL, _BESIDE = 20, 64
# Beyond what one file may take, so that the limit ends a runaway and the measure finds the rest.
_ROOM = 3


class Taken(NamedTuple):
    """What one file took."""

    name: str
    outcome: str
    """What came of it: "read", or the error that refused it; after "!", what should not be."""
    seconds: float
    """Processor time of the slowest way of reading it, which is the same on a busy machine."""
    megabytes: float
    """Peak of the memory beside what the process had before."""


def most_megabytes(max_pixels: int) -> float:
    """Return the memory that a picture of so many pixels may take, of any mode and format."""
    return _A_PIXEL * max_pixels / 1e6 + _BESIDE


def measured(max_pixels: int, *, part: str = "corpus", every: int = 1) -> list[Taken]:
    """Read files in a child whose memory and time are bound; where it dies, the next goes on.

    The child is given several times `most_megabytes`, and no more.

    Parameters
    ----------
    max_pixels : int
        As for `residua.images.decode.decode_image`.
    part : {"corpus", "bombs"}
    every : int
        Of the damaged pictures one in so many; all others are read in any case.

    Raises
    ------
    RuntimeError
        The child does not even begin.
    """
    path = os.pathsep.join([str(_BENCHMARKS), os.environ.get("PYTHONPATH", "")])
    # What is freed goes back at once, so that the next file does not reuse it unseen.
    environment = os.environ | {"PYTHONPATH": path, "MALLOC_MMAP_THRESHOLD_": "65536"}
    options = [str(max_pixels), part, str(every)]
    command = [sys.executable, "-m", "fuzz.measuring", *options]
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
        too_long = done.returncode in (-signal.SIGALRM, -signal.SIGPROF)
        why = "too long" if too_long else f"ended with {done.returncode}"
        taken.append(Taken(lines[-1], f"!{why}", _PATIENCE, 0.0))


def _main(max_pixels: int, pictures: Iterable[Picture]) -> None:
    import resource

    for read in readings(b"", max_pixels):
        read()  # what is imported once counts for none of them
    room = int(most_megabytes(max_pixels) * _ROOM * 1e6)
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    for name, content in pictures:
        print(name, flush=True)
        resource.setrlimit(resource.RLIMIT_AS, (_status("VmSize") + room, most))
        taken = _taken(name, content, max_pixels)
        # Making the next one takes more than reading it may.
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
        print(json.dumps(taken), flush=True)


def _taken(name: str, content: bytes, max_pixels: int) -> Taken:
    outcomes, seconds, before = [], [], _begin_peak()
    for read in readings(content, max_pixels):
        # Nobody catches the signals: the process ends.
        signal.setitimer(signal.ITIMER_PROF, _PATIENCE)
        signal.setitimer(signal.ITIMER_REAL, _LONGEST_WAIT)
        start = time.process_time()
        try:
            outcomes.append(read())
        except Exception as error:
            outcomes.append(f"!{type(error).__name__}: {error}")
        seconds.append(time.process_time() - start)
        signal.setitimer(signal.ITIMER_PROF, 0)
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


def _part(name: str, every: int) -> Iterator[Picture]:
    if name == "corpus":
        for number, picture in enumerate(sound()):
            yield picture
            # Another share of each, so that every kind of damage is among them.
            yield from islice(damaged(picture), number % every, None, every)
    yield from bombs()


if __name__ == "__main__":
    _main(int(sys.argv[1]), islice(_part(sys.argv[2], int(sys.argv[3])), int(sys.argv[4]), None))
