"""One fit, measured in a process of its own, so that its memory is its own.

The process reads its job from standard input and leaves the outcome in a folder.
"""

from __future__ import annotations

import contextlib
import json
import pickle
import subprocess
import sys
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua.comparison.adapters import anomaly_scores, as_input
from residua.errors import TooFewForThreshold, TrainingError

MEMORY_MEASURED = (
    "peak resident memory of a process that fits and scores this method alone, less that after its "
    "libraries are loaded; its pictures are included"
)
_PROGRAM = "from residua.comparison.measuring import main; main()"
_OUTCOME, _SCORES = "outcome.json", "scores.npy"
_NOT_THERE = "cannot be sent"


@dataclass(frozen=True)
class Job:
    """A detector to fit, and where its pictures lie."""

    detector: Any
    """Not fitted."""
    train: Path
    """Pictures (N, H, W, C), uint8, as .npy."""
    rows: NDArray[np.int64]
    """Which of them to train on (n,), sorted."""
    test: Path
    """Pictures to score, of the same shape."""


@dataclass(frozen=True)
class Outcome:
    """What a fit gave and what it took."""

    scores: NDArray[np.float64]
    """(M,); the higher, the more anomalous."""
    fit_seconds: float
    score_seconds: float
    """For all M pictures."""
    memory_mb: float | None
    """Peak, in 10⁶ bytes; None where it could not be measured apart."""
    notes: list[str]
    """Warnings of the fit."""


def measure(job: Job, folder: Path, *, quiet: bool = True) -> Outcome:
    """Fit and score in a process of its own.

    Where the detector cannot be sent to another process, as one defined in a notebook, it is
    fitted in this one and its memory is not measured.

    Parameters
    ----------
    job : Job
    folder : Path
        For what the process leaves.
    quiet : bool, default=True
        False lets the process write its progress to standard error.

    Raises
    ------
    TrainingError
        The fit failed or gave scores that are not finite; the text says why.
    """
    try:
        # Its own path first: without it the job's classes may not be found.
        sent = pickle.dumps((sys.path, folder)) + pickle.dumps(job)
    except Exception:
        return _measured_here(job)
    for name in (_OUTCOME, _SCORES):
        (folder / name).unlink(missing_ok=True)
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM],
        input=sent,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE if quiet else None,
        check=False,
    )
    if not (folder / _OUTCOME).is_file():
        last = (done.stderr or b"").decode(errors="replace").strip().rpartition("\n")[2]
        if done.returncode == -9:
            last = "there may be too little memory for it"
        raise TrainingError(
            f"its process ended with code {done.returncode}" + (f": {last}" if last else "")
        )
    said = json.loads((folder / _OUTCOME).read_text(encoding="utf-8"))
    if said.get("error") == _NOT_THERE:
        return _measured_here(job)
    if "error" in said:
        raise TrainingError(said["error"])
    return Outcome(scores=np.load(folder / _SCORES), **said)


def _measured_here(job: Job) -> Outcome:
    try:
        return _run(job, with_memory=False)
    except Exception as error:
        raise TrainingError(_in_words(error)) from error


def _run(job: Job, *, with_memory: bool) -> Outcome:
    before = peak_memory_mb()
    train = _pictures(job.train, job.rows)
    test: NDArray[np.uint8] = np.load(job.test, mmap_mode="r")
    detector = job.detector
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        started = time.perf_counter()
        detector.fit(as_input(detector, train))
        fitted = time.perf_counter()
        scores = anomaly_scores(detector, test)
        scored = time.perf_counter()
    if scores.shape != (len(test),):
        raise TrainingError(f"it gave {scores.size} scores for {len(test)} pictures")
    if not np.isfinite(scores).all():
        raise TrainingError(
            f"{np.count_nonzero(~np.isfinite(scores))} of its scores are not finite"
        )
    return Outcome(
        scores=scores,
        fit_seconds=fitted - started,
        score_seconds=scored - fitted,
        memory_mb=peak_memory_mb() - before if with_memory else None,
        notes=_worth_saying(caught),
    )


def peak_memory_mb() -> float:
    """Return this process's greatest resident memory so far, in 10⁶ bytes.

    Linux's ``ru_maxrss`` begins at the peak of the process that started this one, so its own
    high-water mark is read where there is one.
    """
    with contextlib.suppress(OSError):
        for line in (
            Path("/proc/self/status").read_text(encoding="ascii", errors="replace").split("\n")
        ):
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / 1e6
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6


def _pictures(path: Path, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Return the rows of a file; the file itself, mapped into memory, where they are all of it."""
    pictures: NDArray[np.uint8] = np.load(path, mmap_mode="r")
    return pictures if len(rows) == len(pictures) else pictures[rows]


def _worth_saying(caught: list[warnings.WarningMessage]) -> list[str]:
    # No threshold is compared, so nothing hangs on how many pictures one rests on.
    said = [
        " ".join(str(warning.message).split())
        for warning in caught
        if not issubclass(warning.category, TooFewForThreshold)
        and any(
            kind.__name__ in ("ResiduaWarning", "ConvergenceWarning")
            for kind in warning.category.__mro__
        )
    ]
    return list(dict.fromkeys(said))


def _in_words(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def main() -> None:
    """Do the job that comes on standard input."""
    sys.path[:], folder = pickle.load(sys.stdin.buffer)
    said: dict[str, Any]
    try:
        job = pickle.load(sys.stdin.buffer)
    except Exception:
        said = {"error": _NOT_THERE}
    else:
        said = _outcome_of(job, folder)
    (folder / _OUTCOME).write_text(json.dumps(said), encoding="utf-8")


def _outcome_of(job: Job, folder: Path) -> dict[str, Any]:
    try:
        outcome = _run(job, with_memory=True)
    except Exception as error:
        return {"error": _in_words(error)}
    np.save(folder / _SCORES, outcome.scores)
    return {name: value for name, value in vars(outcome).items() if name != "scores"}
