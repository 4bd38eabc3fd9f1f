"""Trying pictures in a process of its own, to find those that end the process that reads them.

A picture may do so by a fault in a codec, or by the memory that it takes. No error comes of it that
could be caught, so a worker that was ended once tries what it was at before it goes on.
"""

from __future__ import annotations

import os
import pickle
import select
import subprocess
import sys
import tempfile
from pathlib import Path

from residua.errors import WorkersLost
from residua.images.source import ImageSource

MOST_FATAL = 16
"""Pictures of one part that may end their process, before the part is given up."""
LONGEST = 300.0
"""Seconds without news of a next picture, after which that in hand counts as one of them."""
_NUMBER = 8
_PROGRAM = "from residua.cluster.alone import main; main()"


def fatal_pictures(bundle: Path, source: ImageSource) -> list[int]:
    """Return which of a source's pictures end, or hold up, who decodes and scores them.

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
    # Of its own, since libraries may print; written whole numbers at a time, and so read.
    reading, writing = os.pipe()
    # -P: what lies in the current folder is nobody's package.
    command = [sys.executable, "-P", "-c", _PROGRAM, os.fspath(bundle), str(first), str(writing)]
    path = os.pathsep.join(entry for entry in sys.path if entry)
    with (
        os.fdopen(reading, "rb"),
        tempfile.TemporaryFile() as given,
        tempfile.TemporaryFile() as said,
    ):
        try:
            pickle.dump(source, given)
            given.seek(0)
            process = subprocess.Popen(
                command,
                stdin=given,
                stdout=subprocess.DEVNULL,
                stderr=said,
                pass_fds=[writing],
                env={**os.environ, "PYTHONPATH": path},
            )
        except OSError as error:
            return 1, None, str(error)
        finally:
            os.close(writing)
        tried = None
        while select.select([reading], [], [], LONGEST)[0]:
            number = os.read(reading, _NUMBER)
            if not number:
                break
            tried = int.from_bytes(number, "little")
        else:
            process.kill()
        code = process.wait()
        said.seek(0)
        return code, tried, " ".join(said.read().decode("utf-8", "replace").split())[-300:]


def main() -> None:
    """Decode and score the pictures on standard input; each is numbered before it is tried."""
    from residua.runtime import BundleScorer

    bundle, first, writing = sys.argv[1:]
    # From the worker that started this process, which has it from its own driver.
    source: ImageSource = pickle.loads(sys.stdin.buffer.read())
    scorer = BundleScorer(bundle, threads=1, engine="onnxruntime")
    for index in range(int(first), len(source)):
        os.write(int(writing), index.to_bytes(_NUMBER, "little"))
        for batch in source.batches(scorer.manifest.input, 1, [index], workers=1):
            if len(batch.indices):
                scorer.score_batch(batch.images)
