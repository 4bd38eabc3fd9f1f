"""Trying pictures in a process of its own, to find those that end the process that reads them.

A picture may do so by a fault in a codec, or by the memory that it takes. No error comes of it that
could be caught, so a worker that was ended once tries what it was at before it goes on.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path

from residua.errors import WorkersLost
from residua.images.source import ImageSource

MOST_FATAL = 16
"""Pictures of one part that may end their process, before the part is given up."""
_PROGRAM = "from residua.cluster.alone import main; main()"


def fatal_pictures(bundle: Path, source: ImageSource) -> list[int]:
    """Return which of a source's pictures end the process that decodes and scores them.

    Parameters
    ----------
    bundle : Path
        The model that scores them.
    source : ImageSource
        Of the kind that `ImageSource.portion` returns.

    Raises
    ------
    WorkersLost
        The process cannot be started, fails in another way, or there are more than `MOST_FATAL`.
    """
    fatal: list[int] = []
    first = 0
    while first < len(source):
        code, tried, said = _tried(bundle, source, first)
        if code == 0:
            break
        if tried is None or code > 0:  # before a picture, or by an error that Python raised
            raise WorkersLost(
                f"the pictures from {source.ids[first]} on cannot be tried in a process of their "
                f"own: it ended with code {code} ({said})"
            )
        fatal.append(tried)
        first = tried + 1
        if len(fatal) > MOST_FATAL:
            raise WorkersLost(
                f"{len(fatal)} pictures near {source.ids[fatal[0]]} end the process that reads "
                f"them; look at these apart, and start again without them"
            )
    return fatal


def _tried(bundle: Path, source: ImageSource, first: int) -> tuple[int, int | None, str]:
    """Return how the process ended, which picture it was at, and the last of what it said."""
    # -P: what lies in the current folder is nobody's package.
    command = [sys.executable, "-P", "-c", _PROGRAM, os.fspath(bundle), str(first)]
    path = os.pathsep.join(entry for entry in sys.path if entry)
    try:
        done = subprocess.run(
            command,
            input=pickle.dumps(source),
            capture_output=True,
            check=False,
            env={**os.environ, "PYTHONPATH": path},
        )
    except OSError as error:
        return 1, None, str(error)
    lines = done.stdout.split(b"\n")[:-1]
    said = " ".join(done.stderr.decode("utf-8", "replace").split())[-300:]
    return done.returncode, int(lines[-1]) if lines else None, said


def main() -> None:
    """Decode and score the pictures on standard input; each is numbered before it is tried."""
    from residua.runtime import BundleScorer

    bundle, first = sys.argv[1:]
    # From the worker that started this process, which has it from its own driver.
    source: ImageSource = pickle.loads(sys.stdin.buffer.read())
    scorer = BundleScorer(bundle, threads=1, engine="onnxruntime")
    for index in range(int(first), len(source)):
        os.write(1, b"%d\n" % index)
        for batch in source.batches(scorer.manifest.input, 1, [index], workers=1):
            if len(batch.indices):
                scorer.score_batch(batch.images)
