"""Measures what is not there yet, one seed of every row before the next seed."""

from __future__ import annotations

import gc
import hashlib
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch

from _table import machine
from quality.kept import Kept, Result, key_of
from quality.measure import Singles, measure
from quality.protocols import fewer
from quality.rows import Row
from quality.singles import no_singles

QUICK_TRUSTED, QUICK_EACH_SIDE, QUICK_CASES = 400, 150, 2


class Job(NamedTuple):
    """One fit to make."""

    row: Row
    case: str
    seed: int


@dataclass(frozen=True)
class Runner:
    """Measures rows with a detector.

    Parameters
    ----------
    build : callable
        Returns the detector, not fitted, from its parameters.
    backbone : Path
        The ONNX file of rows on features.
    quick : bool, default=False
        Whether fewer pictures, cases and epochs are taken; such results are kept apart by key.
    singles : callable
        Returns the single scores of a network on pixels; see `quality.singles`.
    say : callable, default=print
        Takes a line on the progress.
    """

    build: Callable[..., Any]
    backbone: Path
    quick: bool = False
    singles: Singles = no_singles
    say: Callable[[str], None] = print

    def cases(self, row: Row) -> tuple[str, ...]:
        """Return the cases of a row that are measured."""
        return row.cases[:QUICK_CASES] if self.quick else row.cases

    def jobs(self, rows: Sequence[Row], seeds: Sequence[int]) -> list[Job]:
        """Return all fits of some rows, the first seed of every row before the next seed."""
        return [Job(row, case, seed) for seed in seeds for row in rows for case in self.cases(row)]

    def key(self, job: Job) -> str:
        """Return what tells this fit's result from every other."""
        parameters = self._built(job).get_params(deep=False)
        around: dict[str, Any] = {"quick": self.quick}
        if job.row.features or any("features" in name for name in job.row.baselines):
            # The file counts, wherever it lies.
            around["backbone"] = _digest(self.backbone)
        if job.row.features:
            parameters["model_options"] = None
        return key_of(job.row.name, job.case, job.seed, parameters, around)

    def current(self, kept: Kept, rows: Sequence[Row]) -> list[Result]:
        """Return the results that still hold: those of today's parameters and versions."""
        return list(self._current(kept, {row.name: row for row in rows}))

    def run(
        self, kept: Kept, rows: Sequence[Row], seeds: Sequence[int], *, again: bool = False
    ) -> list[str]:
        """Measure what is not kept yet; returns what could not be measured, and why.

        A fit that fails ends its case alone, since the table takes hours. Nothing is kept of it,
        so that the next call tries again.
        """
        failed = []
        jobs = [job for job in self.jobs(rows, seeds) if again or self.key(job) not in kept]
        self.say(f"{len(jobs)} fits to make; those kept from before are not made again")
        for number, job in enumerate(jobs, 1):
            name = f"{job.row.name}, {job.case}, seed {job.seed}"
            try:
                result = self._measured(job)
            except Exception as error:
                traceback.print_exc()
                failed.append(f"{name}: {' '.join(str(error).split())}")
                self.say(f"[{number}/{len(jobs)}] {failed[-1]}")
            else:
                kept.add(result)
                self.say(
                    f"[{number}/{len(jobs)}] {name}: AUROC {result.measured['auroc']:.4f} "
                    f"in {result.seconds:.0f} s"
                )
            # A network and its trainer refer to each other; their pictures go with them.
            gc.collect()
        return failed

    def _built(self, job: Job) -> Any:
        return self.build(**self._parameters(job))

    def _parameters(self, job: Job) -> dict[str, Any]:
        return job.row.parameters(job.seed, self.backbone, quick=self.quick)

    def _measured(self, job: Job) -> Result:
        row, case, seed = job
        started = time.perf_counter()
        pictures = row.pictures(case, seed)
        if self.quick:
            pictures = fewer(pictures, trusted=QUICK_TRUSTED, each_side=QUICK_EACH_SIDE, seed=seed)
        found = measure(
            self._built(job).set_params(device="cpu"),
            pictures,
            baselines=row.baselines,
            backbone=self.backbone,
            seed=seed,
            singles=no_singles if row.features else self.singles,
        )
        settings = self._parameters(job)
        if row.features:
            settings["model_options"] = {"backbone": self.backbone.name}
        return Result(
            row=row.name,
            case=case,
            seed=seed,
            key=self.key(job),
            settings=settings,
            n_train=len(pictures.trusted),
            n_normal=int((~pictures.anomalous).sum()),
            n_anomalous=int(pictures.anomalous.sum()),
            seconds=time.perf_counter() - started,
            machine=f"{machine()}, threads of torch: {torch.get_num_threads()}",
            **found._asdict(),
        )

    def _current(self, kept: Kept, rows: dict[str, Row]) -> Iterator[Result]:
        for result in kept:
            row = rows.get(result.row)
            if row is None or result.case not in self.cases(row):
                continue
            if self.key(Job(row, result.case, result.seed)) == result.key:
                yield result


def _digest(path: Path) -> str | None:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16] if path.is_file() else None
