"""Timing every engine that is installed on the same pictures, in turns."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from residua.bundle import Bundle
from residua.engines.base import Comparison, Engine, Load, Precision
from residua.engines.choice import Choice, Measurement, candidates, circumstances
from residua.engines.opening import compared, in_one_line, open_default, spread_of
from residua.engines.registry import DEFAULT, EngineKind
from residua.errors import BundleAltered

_ROUNDS = 3
_SECONDS_A_ROUND = 0.25


class _Tried(NamedTuple):
    kind: EngineKind
    precision: Precision
    engine: Engine | None
    start_seconds: float
    comparison: Comparison


def measure(
    bundle: Bundle, probe: NDArray[np.uint8], batch: int, threads: int, precision: Precision
) -> Choice:
    """Open every engine, compare its results with those of ONNX Runtime, and time it.

    What a start takes is right only in a process that has not imported the engines' packages yet;
    see `residua.engines.apart`.

    Parameters
    ----------
    bundle : Bundle
    probe : ndarray of shape (B, H, W, C), uint8
        Pictures on which results are compared.
    batch : int
        How many of them are scored at a time when it is timed.
    threads : int
        Threads that compute.
    precision : {"float32", "bf16"}
        The lowest that is allowed.
    """
    load, spread, began = Load(threads, at_once=threads), spread_of(bundle), time.perf_counter()
    default = open_default(bundle, load)
    default_start = time.perf_counter() - began
    tried = [
        _try(*one, bundle, load, default, probe, spread) for one in candidates(bundle, precision)
    ]
    speeds, failures = _speeds(tried, probe[:batch], threads)
    starts = {DEFAULT: default_start}
    for one in tried:  # the second time, with another precision, a package is imported already
        starts[one.kind.name] = max(starts.get(one.kind.name, 0.0), one.start_seconds)
    measured = []
    for one, speed, failure in zip(tried, speeds, failures, strict=True):
        away = one.comparison.deviation
        measured.append(
            Measurement(
                engine=one.kind.name,
                precision=one.precision,
                images_per_second=speed,
                start_seconds=None if failure else starts[one.kind.name],
                deviation=away if np.isfinite(away) else None,
                failure=failure or None,
            )
        )
    return Choice(
        under=circumstances(bundle, threads, precision),
        created=datetime.now(UTC),
        batch=len(probe[:batch]),
        measured=sorted(measured, key=lambda m: -(m.images_per_second or 0)),
    )


def _try(
    kind: EngineKind,
    precision: Precision,
    bundle: Bundle,
    load: Load,
    default: Engine,
    probe: NDArray[np.uint8],
    spread: float,
) -> _Tried:
    started = time.perf_counter()
    try:
        engine = kind.open(bundle, load, precision)
        start_seconds = time.perf_counter() - started
        found = compared(engine, default, probe, spread)
    except BundleAltered:
        raise
    except Exception as error:  # of a package that is not ours, on a machine that we do not know
        return _Tried(kind, precision, None, 0.0, Comparison(np.inf, in_one_line(error)))
    return _Tried(kind, precision, None if found.fault else engine, start_seconds, found)


def _speeds(
    tried: list[_Tried], images: NDArray[np.uint8], threads: int
) -> tuple[list[float | None], list[str]]:
    """Return each engine's pictures a second, the best of a few turns; and why it has none."""
    best: list[float | None] = [None] * len(tried)
    failures = [one.comparison.fault for one in tried]
    with ThreadPoolExecutor(threads) as pool:
        for _ in range(_ROUNDS):
            for position, one in enumerate(tried):
                if one.engine is None or failures[position]:
                    continue
                try:
                    speed = _speed(one.engine, images, threads, pool)
                except Exception as error:  # several at once may be more than it can
                    best[position], failures[position] = None, in_one_line(error)
                else:
                    best[position] = max(speed, best[position] or 0.0)
    return best, failures


def _speed(
    engine: Engine, images: NDArray[np.uint8], threads: int, pool: ThreadPoolExecutor
) -> float:
    """Return pictures a second, computed by so many threads for a while."""
    start = time.perf_counter()

    def work(_: int) -> int:
        calls = 0
        while time.perf_counter() - start < _SECONDS_A_ROUND or not calls:
            engine(images)
            calls += 1
        return calls

    calls = sum(pool.map(work, range(threads)))
    return calls * len(images) / (time.perf_counter() - start)
