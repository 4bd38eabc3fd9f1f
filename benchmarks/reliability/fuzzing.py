"""Bad pictures, bodies and bundles: the whole corpus under its limits, and a while of fuzzing."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from fuzz.measuring import SECONDS, Taken, measured, most_megabytes
from fuzz.running import TARGETS, fuzz, is_installed
from reliability.check import Check, Finding
from residua.images.decode import MAX_PIXELS
from residua.service.settings import Limits

# An hour and more is what `scripts/bench fuzz` is for.
_FUZZED_SECONDS = 120
_WORDS = {
    "decoder": "any bytes given as a picture",
    "body": "any bytes sent to the service as a body",
    "bundle": "any bytes as a file of a bundle",
}


def checks() -> Iterator[Check]:
    """Yield the corpus under the limits of the service and of Python, and each fuzzed target."""
    for label, max_pixels in (("service", Limits().max_pixels), ("python", MAX_PIXELS)):
        yield Check(
            f"bad-pictures-{label}",
            f"Every bad picture is read or refused by a named error within {SECONDS:g} s and "
            f"{most_megabytes(max_pixels):,.0f} MB, where pictures may have "
            f"{max_pixels / 1e6:,.0f} million pixels.",
            partial(_corpus, max_pixels),
        )
    for target in TARGETS:
        yield Check(
            f"fuzz-{target}",
            f"For {_WORDS[target]} there is an answer or a named error, whatever a fuzzer tries.",
            partial(_fuzzed, target),
        )


def _corpus(max_pixels: int) -> Finding:
    return finding_of(measured(max_pixels), most_megabytes(max_pixels))


def finding_of(taken: list[Taken], most: float) -> Finding:
    """Say whether every file of a corpus kept to its limits, and name the first that did not.

    Parameters
    ----------
    taken : list of Taken
    most : float
        Megabytes that one file may take.
    """
    slowest = max(taken, key=lambda one: one.seconds)
    largest = max(taken, key=lambda one: one.megabytes)
    refused = sum(one.outcome != "read" for one in taken)
    figures = (
        f"{len(taken):,} files, {refused:,} refused, the slowest {slowest.seconds:.1f} s "
        f"({slowest.name}), the largest {largest.megabytes:,.0f} MB ({largest.name})"
    )
    beyond = [
        one
        for one in taken
        if one.outcome.startswith("!") or one.seconds > SECONDS or one.megabytes > most
    ]
    if beyond:
        names = ", ".join(f"{one.name} {one.outcome}" for one in beyond[:3])
        figures += f"; {len(beyond)} beyond the limits: {names}"
    return Finding(not beyond, figures)


def _fuzzed(target: str) -> Finding:
    if not is_installed():
        return Finding(
            kept=False, figures="not tried: atheris is not installed (scripts/bench fuzz says how)"
        )
    with tempfile.TemporaryDirectory() as folder:
        result = fuzz(target, seconds=_FUZZED_SECONDS, folder=Path(folder))
    figures = f"{result.executions:,} inputs in {result.seconds:,.0f} s, "
    if result.finding is None:
        return Finding(kept=True, figures=figures + "no finding")
    last = result.said.strip().rpartition("\n")[2]
    return Finding(kept=False, figures=f"{figures}1 finding: {result.finding.name} ({last})")
