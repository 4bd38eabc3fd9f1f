"""One promise put to the test."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """What came of a check."""

    kept: bool
    """Whether the promise was kept."""
    figures: str
    """What was measured, in one line: "10 kills between 0.3 and 9.1 s, 0 rows lost"."""


@dataclass(frozen=True)
class Check:
    """A promise, and the trial of it."""

    name: str
    """Its key in the kept results, such as ``kill-score``."""
    promise: str
    """What docs/reliability.md promises, in one sentence."""
    run: Callable[[], Finding]
    """Tries it. An exception is a promise that was not kept."""
