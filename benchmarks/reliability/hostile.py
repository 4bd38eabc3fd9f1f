"""Every hostile bundle opened, described, scored with and loaded, watched from within and without.

Each is tried in a process of its own, which notes what Python opens, starts and imports; the system
tells how much memory it took. What libraries open by themselves Python does not see: no path of a
bundle is ever given to one, only the bytes of files that were verified.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from reliability.check import Check, Finding
from reliability.hostile_bundles import CASES, Case, make

SECONDS = 5.0
"""That none may take longer."""
MEGABYTES = 300
"""That none may take more of than a sound bundle does."""
_PATIENCE = 60
# Events of Python's audit that no saved model has a reason for.
_STARTS = ("os.system", "os.exec", "os.posix_spawn", "subprocess.Popen", "socket.connect")
_WRITES = ("os.remove", "os.rename", "os.mkdir", "os.link", "os.symlink", "os.truncate")
_SYSTEM = ("/proc/", "/sys/", "/dev/null", "/dev/urandom")


def checks() -> Iterator[Check]:
    """Yield the one check."""
    yield Check(
        "hostile-bundles",
        "A hostile bundle with fitting checksums is refused by name, in seconds and little memory, "
        "and Python opens, writes and runs nothing outside of it.",
        _run,
    )


@dataclass(frozen=True)
class Trial:
    """What became of one bundle."""

    refused: str
    """Where it was refused: open, score or load; never; or the name of another error."""
    seconds: float
    outside: list[str]
    """What was opened, written or started that had no reason to be."""


def _run() -> Finding:
    with tempfile.TemporaryDirectory(prefix="residua-hostile-") as name:
        sound = Case("a sound bundle", lambda _: None, "never")
        _, least = trial(sound, Path(name) / "sound")
        results = [(case, *trial(case, Path(name) / str(i))) for i, case in enumerate(CASES)]
    wrong = [
        f"{case.name}: {one.refused}" for case, one, _ in results if one.refused != case.refused
    ]
    outside = [f"{case.name}: {what}" for case, one, _ in results for what in one.outside]
    slowest = max(results, key=lambda result: result[1].seconds)
    largest = max(results, key=lambda result: result[2])
    more = (largest[2] - least) / 1024
    for line in (*wrong, *outside):
        print(f"  {line}", flush=True)
    refused = sum(case.refused != "never" for case in CASES)
    return Finding(
        kept=not wrong and not outside and slowest[1].seconds <= SECONDS and more <= MEGABYTES,
        figures=f"{len(CASES)} bundles, {refused} to be refused, {len(wrong)} otherwise than "
        f"they should be; {len(outside)} accesses outside; slowest {slowest[1].seconds:.2f} s "
        f"({slowest[0].name}); most memory {more:+.0f} MB beside a sound one ({largest[0].name})",
    )


def trial(case: Case, folder: Path) -> tuple[Trial, int]:
    """Try one bundle in a forked process; returns what it says, and its peak in KiB."""
    _import_all()
    bundle = make(case, folder / "hostile.residua")
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        # Whatever is raised here, the loop of the parent does not go on in this process as well.
        try:
            os.close(reading)
            signal.alarm(_PATIENCE)  # ends the process, and is then seen from without
            os.chdir(folder)
            with os.fdopen(writing, "w") as answer:
                answer.write(json.dumps(asdict(tried(bundle))))
            os._exit(0)
        finally:
            os._exit(1)
    os.close(writing)
    with os.fdopen(reading) as answer:
        said = answer.read()
    _, status, usage = os.wait4(child, 0)
    if status or not said:
        ended = Trial(f"ended with {os.waitstatus_to_exitcode(status)}", float(_PATIENCE), [])
        return ended, usage.ru_maxrss
    return Trial(**json.loads(said)), usage.ru_maxrss


def tried(bundle: Path) -> Trial:
    """Try a bundle in this process, from now on watched."""
    from fuzz.bundle import steps
    from residua.errors import BundleError, EngineFailed

    outside = _watched(bundle)
    step, start = "open", time.monotonic()
    try:
        for step in steps(bundle):  # noqa: B007 (it is told where that ended)
            pass
        step = "never"
    except (BundleError, EngineFailed):
        pass
    except Exception as error:
        step = f"{type(error).__name__} at {step}"
    return Trial(step, time.monotonic() - start, list(outside))


def _watched(bundle: Path) -> list[str]:
    """Note from now on whatever has no reason to be; the hook stays as long as the process."""
    allowed = {str(bundle), sys.prefix, sys.base_prefix, *filter(None, sys.path)}
    allowed = {os.path.realpath(path) + os.sep for path in allowed}
    found: list[str] = []

    def note(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            path, mode, flags = arguments
            if not isinstance(path, str | bytes):
                return
            # Links are not followed: what is asked for counts.
            name = os.path.abspath(os.fsdecode(path))  # noqa: PTH100
            writes = bool(flags & (os.O_WRONLY | os.O_RDWR)) and not name.startswith("/dev/null")
            known = name.startswith((*allowed, *_SYSTEM))
            if writes or not known:
                found.append(f"open {name} {mode or flags}")
        elif event.startswith((*_STARTS, *_WRITES)):
            found.append(f"{event} {arguments!r:.100}")
        elif event == "pickle.find_class":
            found.append(f"{event} {arguments[1:]!r}")

    sys.addaudithook(note)
    return found


def _import_all() -> None:
    """Import what a trial needs, once, and so that it is not counted among what a bundle opens."""
    import safetensors.torch  # noqa: F401

    import fuzz.bundle  # noqa: F401
    import residua.runtime
    import residua.saving
    import residua.summary  # noqa: F401
    from residua import load  # noqa: F401
    from residua.onnx_runtime import onnx_runtime

    onnx_runtime()
