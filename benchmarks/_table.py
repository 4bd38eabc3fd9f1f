"""What the benchmarks share: the machine in words, alternating runs, medians with spread."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Callable, Mapping, Sequence

from residua.engines.choice import processor


def machine() -> str:
    """Describe the processor, the cores and the system in one line."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{processor()}, {cores} cores, {platform.system()}, Python {platform.python_version()}"


def alternate(sides: Mapping[str, Callable[[], float]], repeats: int) -> dict[str, list[float]]:
    """Call the sides in turn, A B A B …, and collect what each returns."""
    results: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(repeats):
        for name, side in sides.items():
            results[name].append(side())
    return results


def paired_ratio(above: Sequence[float], below: Sequence[float]) -> list[float]:
    """Divide run by run, so that a drift of the machine cancels."""
    return [a / b for a, b in zip(above, below, strict=True)]


def median_of(values: Sequence[float], form: str = ",.0f") -> str:
    """Write the median with the least and the greatest value."""
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"{middle:{form}} ({low:{form}} to {high:{form}})"


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def print_table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a Markdown table under its title, with the machine below."""
    print(f"\n### {title}\n\n{markdown(header, rows)}\n\n{machine()}\n")
