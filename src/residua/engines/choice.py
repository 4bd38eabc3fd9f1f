"""Which engine is the fastest for a model on this machine: measured once, then remembered."""

from __future__ import annotations

import contextlib
import json
import math
import platform
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from residua.bundle import Bundle
from residua.engines.base import TOLERANCE, Engine, Load, Precision
from residua.engines.opening import compared, open_default, spread_of
from residua.engines.registry import DEFAULT, ENGINES, EngineKind
from residua.errors import BundleAltered
from residua.writing import whole_file

_ROUNDS = 3
_SECONDS_A_ROUND = 0.25


class Measurement(BaseModel):
    """How one engine did."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    engine: str
    precision: Precision
    images_per_second: float | None
    """None: it could not be used."""
    start_seconds: float | None
    """What importing its package and opening the model took."""
    deviation: float | None
    """Greatest difference of its scores from those of ONNX Runtime; see
    `residua.engines.base.deviation`."""
    failure: str | None = None
    """Why it could not be used, or may not be chosen."""

    def seconds_for(self, pictures: int) -> float:
        """Return what so many pictures take, from the start; infinite where it cannot be used."""
        if self.images_per_second is None or self.start_seconds is None:
            return math.inf
        return self.start_seconds + pictures / self.images_per_second


class Circumstances(BaseModel):
    """All that the speed of engines hangs on: under others, a choice is forgotten."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    graph: str
    """SHA-256 of the model's graph."""
    machine: str
    """Name of the processor, and the system."""
    threads: int
    precision: Precision
    """The lowest that is allowed."""
    versions: dict[str, str]
    """Engines that are installed."""


class Choice(BaseModel):
    """What was measured of a model on a machine, and what was chosen."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    under: Circumstances
    created: datetime
    batch: int
    """Pictures at a time."""
    measured: list[Measurement]
    """The fastest that may be chosen first."""

    @property
    def best(self) -> Measurement:
        """The fastest, once it has started."""
        return self.measured[0]

    def best_for(self, pictures: int | None) -> Measurement:
        """Return what is done first with so many pictures, its start included; None: with many."""
        if pictures is None:
            return self.best
        usable = (m for m in self.measured if m.failure is None)
        return min(usable, key=lambda m: m.seconds_for(pictures))

    def why(self) -> str:
        """Return the reason in words."""
        best, *others = self.measured
        beside = ", ".join(
            f"{_titled(m)} "
            + (f"{m.images_per_second:,.0f}" if m.failure is None else "cannot be used")
            for m in others
        )
        few = self.best_for(1)
        sooner = f"; {_titled(few)} for few pictures, since it starts sooner" * (few is not best)
        return (
            f"{_titled(best)}: {best.images_per_second:,.0f} images/s ({beside}), measured "
            f"{self.created:%Y-%m-%d} with {self.under.threads} threads, "
            f"{self.batch} pictures at a time{sooner}"
        )


def candidates(precision: Precision) -> Iterator[tuple[EngineKind, Precision]]:
    """Yield what is installed here, in every arithmetic that is allowed."""
    for kind in ENGINES.values():
        if kind.installed:
            yield kind, "float32"
            if precision == "bf16" and "bf16" in kind.precisions:
                yield kind, "bf16"


def measure(bundle: Bundle, probe: NDArray[np.uint8], threads: int, precision: Precision) -> Choice:
    """Time every engine on the same pictures, in turns, and compare their scores.

    Parameters
    ----------
    bundle : Bundle
    probe : ndarray of shape (B, H, W, C), uint8
        One batch.
    threads : int
        Threads that compute.
    precision : {"float32", "bf16"}
        The lowest that is allowed.
    """
    load, spread = Load(threads, at_once=threads), spread_of(bundle)
    # Each start is the first of its package in this process, see `residua.engines.apart`; that of
    # a second precision is the same.
    began = time.perf_counter()
    reference = open_default(bundle, load)
    starts = {DEFAULT: time.perf_counter() - began}
    engines: dict[tuple[str, Precision], Engine] = {}
    measured: list[Measurement] = []
    for kind, own in candidates(precision):
        found, started = None, time.perf_counter()
        try:
            engine = kind.open(bundle, load, own)
            opened = time.perf_counter() - started
            found = compared(engine, reference, probe, spread)
            failure = None if found <= TOLERANCE[own] else f"its scores differ by {found:.1e}"
        except BundleAltered:
            raise
        except Exception as error:  # of a package that is not ours
            failure = " ".join(str(error).split())[:300] or type(error).__name__
        if failure is None:
            engines[kind.name, own] = engine
            starts[kind.name] = max(starts.get(kind.name, 0.0), opened)
        measured.append(
            Measurement(
                engine=kind.name,
                precision=own,
                images_per_second=None,
                start_seconds=None,
                deviation=found if found is None or np.isfinite(found) else None,
                failure=failure,
            )
        )
    speeds = _speeds(engines, probe, threads)
    measured = [
        m.model_copy(
            update={
                "images_per_second": speeds.get((m.engine, m.precision)),
                "start_seconds": starts.get(m.engine) if m.failure is None else None,
            }
        )
        for m in measured
    ]
    return Choice(
        under=_circumstances(bundle, threads, precision),
        created=datetime.now(UTC),
        batch=len(probe),
        measured=sorted(measured, key=lambda m: -(m.images_per_second or 0)),
    )


def remembered(bundle: Bundle, threads: int, precision: Precision) -> Choice | None:
    """Return what was chosen before under the same circumstances; None: nothing was."""
    try:
        text = _path(bundle, threads, precision).read_text(encoding="utf-8")
        choice = Choice.model_validate_json(text)
    except (OSError, ValidationError, ValueError):
        return None
    usable = bool(choice.measured) and choice.best.failure is None
    same = choice.under == _circumstances(bundle, threads, precision)
    return choice if same and usable else None


def remember(choice: Choice, bundle: Bundle) -> None:
    """Keep a choice in the user's cache folder; where that cannot be written, it is forgotten."""
    path = _path(bundle, choice.under.threads, choice.under.precision)
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as beside:
            text = json.dumps(choice.model_dump(mode="json"), indent=2)
            beside.write_text(text + "\n", encoding="utf-8")


def in_words(bundle: Bundle, threads: int) -> str:
    """Return which engine ``auto`` means here, and why."""
    said = _in_float32(bundle, threads)
    lower = remembered(bundle, threads, "bf16")
    return said if lower is None else f"{said}; where bf16 is allowed, {lower.why()}"


def _in_float32(bundle: Bundle, threads: int) -> str:
    choice = remembered(bundle, threads, "float32")
    if choice is not None:
        return choice.why()
    default = f"{ENGINES[DEFAULT].title} {ENGINES[DEFAULT].version}"
    if len(list(candidates("float32"))) == 1:
        return f"{default}, the only one that is installed"
    return f"{default}, until others are measured: residua engines {bundle.path}"


def _speeds(
    engines: dict[tuple[str, Precision], Engine], probe: NDArray[np.uint8], threads: int
) -> dict[tuple[str, Precision], float]:
    best = dict.fromkeys(engines, 0.0)
    with ThreadPoolExecutor(threads) as pool:
        for _ in range(_ROUNDS):
            for key, engine in engines.items():
                best[key] = max(best[key], _speed(engine, probe, threads, pool))
    return best


def _speed(
    engine: Engine, probe: NDArray[np.uint8], threads: int, pool: ThreadPoolExecutor
) -> float:
    """Return pictures a second, computed by so many threads for a while."""
    start = time.perf_counter()

    def work(_: int) -> int:
        calls = 0
        while time.perf_counter() - start < _SECONDS_A_ROUND or not calls:
            engine(probe)
            calls += 1
        return calls

    calls = sum(pool.map(work, range(threads)))
    return calls * len(probe) / (time.perf_counter() - start)


def _circumstances(bundle: Bundle, threads: int, precision: Precision) -> Circumstances:
    return Circumstances(
        graph=bundle.graph_sha256,
        machine=_machine(),
        threads=threads,
        precision=precision,
        versions={kind.name: kind.version for kind in ENGINES.values() if kind.installed},
    )


@cache
def _machine() -> str:
    """Return the processor's name and the system's."""
    name = platform.processor() or platform.machine()
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                name = line.partition(":")[2].strip()
                break
    return f"{name}, {platform.system()}"


def _path(bundle: Bundle, threads: int, precision: Precision) -> Path:
    from platformdirs import user_cache_path

    name = f"{bundle.graph_sha256[:32]}-{threads}-{precision}.json"
    return user_cache_path("residua", appauthor=False) / "engines" / name


def _titled(measurement: Measurement) -> str:
    title = ENGINES[measurement.engine].title
    return title if measurement.precision == "float32" else f"{title} in {measurement.precision}"
