"""Results as they lie on disk: one line each, written as soon as it is measured."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

# How a fit is run and shown, not what comes of it.
_NO_PART_OF_A_RESULT = ("device", "verbose", "checkpoint_dir", "resume", "random_state")


class Rate(BaseModel):
    """How many unseen normal pictures a limit flagged."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rule: str
    n_calibration: int
    """Scores that the limit was fitted on."""
    n_normal: int
    flagged: int
    promised: float | None
    """Share that the rule promises to flag at most."""
    refused: str | None = None
    """Why there is no limit; nothing is flagged then."""


class Result(BaseModel):
    """What one fit gave."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    row: str
    case: str
    seed: int
    key: str
    """What tells this measurement from one with other settings; see `key_of`."""
    settings: dict[str, Any]
    """The detector's parameters that are not its defaults."""
    threshold: str
    """The rule of the default verdict, as it was fitted."""
    n_train: int
    n_normal: int
    n_anomalous: int
    fit_seconds: float
    score_seconds: float
    """Of all test pictures, without decoding."""
    seconds: float
    """Of the whole case: data, fit, scores, baselines."""
    measured: dict[str, float]
    baselines: dict[str, float] = {}
    """AUROC of each baseline."""
    other_scores: dict[str, float] = {}
    """AUROC of each other score of the same network; see `quality.singles`."""
    rates: list[Rate]
    notes: list[str] = []
    """Warnings of the fit."""
    machine: str


class Kept:
    """The results of earlier calls, and a file to add to.

    Parameters
    ----------
    path : Path
        JSON lines. A line that was cut short, as by a killed call, is passed over.
    published : Path or None
        A page's results, from which a fresh checkout goes on.
    """

    def __init__(self, path: Path, published: Path | None = None) -> None:
        self._path = path
        self._results: dict[str, Result] = {}
        if published is not None and published.is_file():
            content = json.loads(published.read_text(encoding="utf-8"))
            self._take(json.dumps(entry) for entry in content["results"])
        if path.is_file():
            self._take(path.read_text(encoding="utf-8").splitlines())

    def __iter__(self) -> Iterator[Result]:
        return iter(self._results.values())

    def __contains__(self, key: str) -> bool:
        return key in self._results

    def add(self, result: Result) -> None:
        """Write a result; one of the same key is replaced."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a+b") as file:
            # After a line that was cut short, a new one begins.
            if file.tell():
                file.seek(-1, os.SEEK_END)
                if file.read(1) != b"\n":
                    file.write(b"\n")
            file.write(result.model_dump_json().encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        self._results[result.key] = result

    def _take(self, lines: Iterable[str]) -> None:
        for line in lines:
            try:
                result = Result.model_validate_json(line)
            except ValidationError:
                continue
            self._results[result.key] = result


def key_of(
    row: str, case: str, seed: int, parameters: Mapping[str, Any], circumstances: Mapping[str, Any]
) -> str:
    """Return what tells a measurement from every other.

    Parameters
    ----------
    row, case, seed
        Which one it is.
    parameters : mapping
        All of the detector's parameters, defaults included: another default is another result.
    circumstances : mapping
        What else changes a result: numbers of pictures, the content of a backbone.
    """
    relevant = {n: v for n, v in parameters.items() if n not in _NO_PART_OF_A_RESULT}
    told = {
        "row": row,
        "case": case,
        "seed": seed,
        "parameters": relevant,
        "circumstances": dict(circumstances),
        "versions": {name: version(name) for name in ("residua", "torch")},
    }
    text = json.dumps(told, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
