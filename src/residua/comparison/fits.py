"""Every fit of a comparison, done once and kept."""

from __future__ import annotations

import hashlib
import json
import pickle
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from residua.comparison.adapters import takes_pictures
from residua.comparison.measuring import Job, measure
from residua.comparison.methods import Circumstances, Method
from residua.comparison.pixels import Decoded, flat_spec
from residua.comparison.protocol import draw
from residua.comparison.ranks import Fit, Result
from residua.errors import ConfigurationError, OutputError, TrainingError
from residua.images.preprocess import InputSpec
from residua.writing import write_text

if TYPE_CHECKING:
    from rich.console import Console


@dataclass(frozen=True)
class Trial:
    """The decoded pictures of a comparison."""

    train: Decoded
    train_rows: dict[int, NDArray[np.int64]]
    """Rows of the training file to use, by seed."""
    test: Decoded
    anomalous: NDArray[np.bool_]
    """The truth of each test picture (N,)."""


class _Kept(BaseModel):
    """One fit as it lies on disk."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: str
    seed: int
    n_train: int
    fit_seconds: float
    score_seconds: float
    memory_mb: float | None
    notes: list[str]
    scores: list[float]


@dataclass(frozen=True)
class Fits:
    """Fits each method from each seed, or takes what an earlier call has left."""

    trial: Trial
    spec: InputSpec
    epochs: int | None
    room: Path
    """Folder for what passes between processes."""
    kept: Path | None
    """Folder for what later calls reuse."""
    console: Console | None

    def all(
        self, methods: Sequence[Method], seeds: Sequence[int]
    ) -> tuple[list[Result], dict[str, str]]:
        """Return the results, and why each other method is left out."""
        results: list[Result] = []
        left_out: dict[str, str] = {}
        for number, method in enumerate(methods, 1):
            self._say(f"[{number}/{len(methods)}] {method.name}: {method.what}")
            try:
                fits = [self._one(method, seed) for seed in seeds]
            except (TrainingError, ConfigurationError) as error:
                left_out[method.name] = str(error)
                self._say(f"    left out: {error}")
            else:
                results.append(self._result(method, seeds, fits))
        return results, left_out

    def _one(self, method: Method, seed: int) -> Fit:
        rows = draw(self.trial.train_rows[seed], method.most, seed)
        spec, flat = self.spec, flat_spec(self.spec)
        detector = method.build(
            Circumstances(len(rows), int(np.prod(flat.shape)), spec, seed, self.epochs)
        )
        pictures = takes_pictures(detector)
        key = self._key(detector, rows, pictures)
        path = None
        if self.kept is not None and key is not None:
            path = self.kept / f"{_file_name(method.name)}-{key}.json"
            if (fit := self._read(path, pictures)) is not None:
                self._say(f"    seed {seed}: kept from before")
                return fit
        shows_progress = self.console is not None and hasattr(detector, "verbose") and pictures
        if shows_progress:
            detector.set_params(verbose=1)
        train, test = self.trial.train, self.trial.test
        job = Job(
            detector=detector,
            train=train.pictures if pictures else train.rows,
            rows=rows,
            test=test.pictures if pictures else test.rows,
        )
        outcome = measure(job, self.room, quiet=not shows_progress)
        fit = Fit(n_train=len(rows), in_pictures=pictures, **vars(outcome))
        self._say(
            f"    seed {seed}: fitted on {len(rows):,} in {fit.fit_seconds:.1f} s, scored "
            f"{len(fit.scores):,} in {fit.score_seconds:.1f} s"
        )
        if path is not None:
            self._write(path, method.name, seed, fit)
        return fit

    def _result(self, method: Method, seeds: Sequence[int], fits: list[Fit]) -> Result:
        spec = self.spec if fits[0].in_pictures else flat_spec(self.spec)
        reduced: list[str] = []
        available = len(self.trial.train_rows[seeds[0]])
        if fits[0].n_train < available:
            reduced = [
                f"trained on {fits[0].n_train:,} of {available:,} pictures, drawn at random, "
                "since its work grows with their square"
            ]
        size = f"{spec.height} × {spec.width} × {spec.channels}"
        return Result(method, list(seeds), fits, size, reduced)

    def _key(self, detector: Any, rows: NDArray[np.int64], pictures: bool) -> str | None:
        """Return what tells this fit from every other; None where its detector has no bytes."""
        try:
            content = pickle.dumps(detector)
        except Exception:
            return None
        # Another version of the code is another fit; so are other pictures.
        versions = [version(name) for name in ("residua", "scikit-learn", "torch", "numpy")]
        digest = hashlib.sha256(json.dumps([*versions, self.spec.shape, pictures]).encode())
        digest.update(self.trial.train.digests[rows].tobytes() + b"test")
        digest.update(self.trial.test.digests.tobytes())
        digest.update(content)
        return digest.hexdigest()[:16]

    def _read(self, path: Path, pictures: bool) -> Fit | None:
        try:
            kept = _Kept.model_validate_json(path.read_text(encoding="utf-8"))
        except (FileNotFoundError, ValidationError):
            return None
        values = kept.model_dump(exclude={"method", "seed", "scores"})
        return Fit(scores=np.array(kept.scores), in_pictures=pictures, **values)

    def _write(self, path: Path, method: str, seed: int, fit: Fit) -> None:
        values = {name: value for name, value in vars(fit).items() if name != "in_pictures"}
        kept = _Kept(method=method, seed=seed, **{**values, "scores": fit.scores.tolist()})
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"the result cannot be written in {path.parent}: {error}") from error
        write_text(path, kept.model_dump_json() + "\n")

    def _say(self, text: str) -> None:
        if self.console is not None:
            self.console.print(text, highlight=False, markup=False)


def _file_name(method: str) -> str:
    return "".join(c if c.isalnum() or c in "-_" else "-" for c in method)
