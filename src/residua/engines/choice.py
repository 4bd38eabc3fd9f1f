"""Which engine is the fastest for a model on this machine: measured once, then remembered."""

from __future__ import annotations

import contextlib
import math
import os
import platform
from collections.abc import Iterator
from datetime import datetime
from functools import cache
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from residua.bundle import Bundle
from residua.engines.base import Precision
from residua.engines.registry import DEFAULT, ENGINES, EngineKind
from residua.errors import OutputError
from residua.writing import write_text


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
    """Name of the processor, the system, the computer, and the cards that torch may see."""
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


def candidates(bundle: Bundle, precision: Precision) -> Iterator[tuple[EngineKind, Precision]]:
    """Yield what is installed here, in every arithmetic that is allowed.

    torch would import the package of a network that is not built in, since the bundle names it:
    it is not tried unasked.
    """
    imports = bundle.manifest.model.package is not None
    for kind in ENGINES.values():
        if kind.installed and not (imports and kind.name == "torch"):
            yield kind, "float32"
            if precision == "bf16" and "bf16" in kind.precisions:
                yield kind, "bf16"


def remembered(bundle: Bundle, threads: int, precision: Precision) -> Choice | None:
    """Return what was chosen before under the same circumstances; None: nothing was."""
    try:
        text = _path(bundle, threads, precision).read_text(encoding="utf-8")
        choice = Choice.model_validate_json(text)
    except (OSError, ValidationError, ValueError):
        return None
    # Another bundle with the same graph may name a package where that one named none.
    allowed = {kind.name for kind, _ in candidates(bundle, precision)}
    usable = bool(choice.measured) and choice.best.failure is None
    usable &= allowed >= {one.engine for one in choice.measured}
    same = choice.under == circumstances(bundle, threads, precision)
    return choice if same and usable else None


def remember(choice: Choice, bundle: Bundle) -> None:
    """Keep a choice in the user's cache folder; where that cannot be written, it is forgotten."""
    path = _path(bundle, choice.under.threads, choice.under.precision)
    with contextlib.suppress(OSError, OutputError):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, choice.model_dump_json(indent=2) + "\n")


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
    if len(list(candidates(bundle, "float32"))) == 1:
        if bundle.manifest.model.package is not None:
            return f"{default}; torch, which would import {bundle.manifest.model.package}, if named"
        return f"{default}, the only one that is installed"
    return f"{default}, until others are measured: residua engines {bundle.path}"


def circumstances(bundle: Bundle, threads: int, precision: Precision) -> Circumstances:
    """Return what a measurement made now would hang on."""
    return Circumstances(
        graph=bundle.graph_sha256,
        machine=_machine(),
        threads=threads,
        precision=precision,
        versions={kind.name: kind.version for kind in ENGINES.values() if kind.installed},
    )


@cache
def _machine() -> str:
    """Return what tells this machine from others."""
    cards = os.environ.get("CUDA_VISIBLE_DEVICES", "all")
    return f"{processor()}, {platform.system()}, {platform.node()}, cards {cards}"


def processor() -> str:
    """Return the processor's name, as far as the system tells it."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _path(bundle: Bundle, threads: int, precision: Precision) -> Path:
    from platformdirs import user_cache_path

    name = f"{bundle.graph_sha256[:32]}-{threads}-{precision}.json"
    return user_cache_path("residua", appauthor=False) / "engines" / name


def _titled(measurement: Measurement) -> str:
    title = ENGINES[measurement.engine].title
    return title if measurement.precision == "float32" else f"{title} in {measurement.precision}"
