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

MOST_FATAL = 16
"""Pictures of one part that may end their process, before the part is given up."""
_PROGRAM = "from residua.cluster.alone import main; main()"


def fatal_pictures(bundle: Path, files: tuple[str, ...]) -> list[int]:
    """Return which of some files end the process that decodes and scores them.

    Parameters
    ----------
    bundle : Path
        The model that scores them.
    files : tuple of str
        Paths or URLs.

    Raises
    ------
    WorkersLost
        The process cannot be started, fails in another way, or there are more than `MOST_FATAL`.
    """
    fatal: list[int] = []
    first = 0
    while first < len(files):
        ended, tried = _tried(bundle, files, first)
        if ended == 0:
            break
        if tried is None or ended > 0:  # before a picture, or by an error that Python raised
            raise WorkersLost(
                f"pictures cannot be tried apart: the process ended with code {ended} before "
                f"{files[first]}"
            )
        fatal.append(tried)
        first = tried + 1
        if len(fatal) > MOST_FATAL:
            raise WorkersLost(
                f"{len(fatal)} pictures, {files[fatal[0]]} the first of them, end the process "
                f"that reads them; look for what they share, leave them out and start again"
            )
    return fatal


def _tried(bundle: Path, files: tuple[str, ...], first: int) -> tuple[int, int | None]:
    """Return how the process ended, and which picture it was at."""
    # -P: what lies in the current folder is nobody's package.
    command = [sys.executable, "-P", "-c", _PROGRAM, os.fspath(bundle), str(first)]
    path = os.pathsep.join(entry for entry in sys.path if entry)
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": path},
    ) as process:
        said, _ = process.communicate(pickle.dumps(files))
    lines = said.split(b"\n")[:-1]
    return process.returncode, int(lines[-1]) if lines else None


def main() -> None:
    """Decode and score the files on standard input; each is named before it is tried."""
    from residua.errors import InputError
    from residua.images.decode import decode_image
    from residua.images.remote_folder import read_object
    from residua.runtime import BundleScorer
    from residua.storage import is_remote

    bundle, first = sys.argv[1:]
    files: tuple[str, ...] = pickle.loads(sys.stdin.buffer.read())
    scorer = BundleScorer(bundle, threads=1, engine="onnxruntime")
    for index in range(int(first), len(files)):
        os.write(1, b"%d\n" % index)
        file = files[index]
        try:
            picture = decode_image(
                read_object(file) if is_remote(file) else file, scorer.manifest.input, name=file
            )
        except InputError:
            continue
        scorer.score_batch(picture[None])
