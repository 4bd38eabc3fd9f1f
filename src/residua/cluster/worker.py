"""What a worker does: it reads, scores and writes one part after the other."""

from __future__ import annotations

import pickle
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from residua import __version__
from residua.bundle import CHECKSUMS, revision_of
from residua.cluster.alone import fatal_pictures
from residua.cluster.parts import Part
from residua.cluster.results import Counts, ResultFolder
from residua.engines.registry import DEFAULT
from residua.errors import (
    BundleAltered,
    ConfigurationError,
    OutputError,
    ResiduaError,
    UnreadableFile,
)
from residua.images.file_source import FileSource
from residua.runtime import BundleScorer
from residua.scoring.verdicts import Verdict, VerdictMaker, batch_size_for, scored_batches
from residua.storage import is_remote

IN_FLIGHT = 2
"""Parts that a worker is given at a time: while it scores one, the next is on its way."""


class PartScorer:
    """A worker: one processor, one thread, one model.

    Ray makes one a worker and calls it with one part after the other. What goes wrong is answered,
    not raised, since errors of a worker reach the driver as text only.

    Parameters
    ----------
    files : mapping of str to bytes, or a reference to it in Ray's object store
        The bundle's files.
    revision : str
        The bundle's; see `residua.bundle.revision_of`.
    version : str
        Of the driver's Residua.
    out : str
        The folder of results.
    pictures, part_size, …
        See `residua.cluster.results.RunRecord`.
    """

    def __init__(self, files: Any, revision: str, version: str, out: str) -> None:
        self._trouble = ""
        self._careful = IN_FLIGHT if _was_lost_before() else 0
        try:
            if version != __version__:
                raise ConfigurationError(
                    f"it has Residua {__version__} and the driver {version}; install the same"
                )
            self._folder = ResultFolder(out)
            if not self._folder.is_begun():
                raise OutputError(
                    f"it does not see the folder {out}; put it where every node can write, or "
                    f"name a URL such as s3://bucket/scores.parquet with --out"
                )
            self._files = _fetched(files)
            self._scorer = _opened(self._files, revision)
        except ResiduaError as error:
            self._trouble = str(error)

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, list[Any]]:
        """Score one part; the answer is one row of what came of it."""
        part: Part = pickle.loads(batch["part"][0])
        name: str = batch["name"][0]
        answer = {"number": part.number, "trouble": self._trouble, "node": _node()}
        if not self._trouble:
            try:
                answer |= self._scored(part, name)
            except (ResiduaError, OSError) as error:
                answer["trouble"] = str(error) or type(error).__name__
        empty = {**Counts()._asdict(), "seconds_reading": 0.0, "seconds": 0.0}
        return {key: [value] for key, value in (empty | answer).items()}

    def _scored(self, part: Part, name: str) -> dict[str, Any]:
        start = time.perf_counter()
        fatal: list[int] = []
        if self._careful:
            self._careful -= 1
            with tempfile.TemporaryDirectory(prefix="residua-") as folder:
                fatal = fatal_pictures(_unpacked(self._files, Path(folder)), part.files)
        verdicts = PartVerdicts(self._scorer, part, fatal)
        rows = sorted(verdicts, key=lambda row: row.index)
        _require_sight(part, rows)
        self._folder.write_part(name, rows)
        failed = sum(row.error is not None for row in rows)
        counts = Counts(len(rows) - failed, sum(bool(row.anomalous) for row in rows), failed)
        took = time.perf_counter() - start
        return {
            **counts._asdict(),
            "seconds_reading": verdicts.seconds_reading,
            "seconds": took,
        }


class PartVerdicts:
    """The verdicts of a part, in batches of the same pictures as on one machine.

    Parameters
    ----------
    scorer : BundleScorer
    part : Part
    fatal : list of int
        Pictures of the part that are not read, since they end who reads them.
    """

    def __init__(self, scorer: BundleScorer, part: Part, fatal: list[int]) -> None:
        self._scorer, self._part, self._fatal = scorer, part, fatal
        self.seconds_reading = 0.0
        """Time in which nothing was scored, since pictures were read."""

    def __iter__(self) -> Iterator[Verdict]:
        source, part = FileSource(part_files := self._part.files), self._part
        manifest = self._scorer.manifest
        maker = VerdictMaker(source, manifest.threshold, self._scorer.calibration_scores)
        spec = manifest.input
        size = batch_size_for(spec)
        # A store answers late, and many are asked at once; a disk is read by the one that scores.
        workers = None if any(map(is_remote, part_files[:1])) else 1
        left = np.setdiff1d(np.arange(len(part_files)), self._fatal)
        for window in self._windows(left, size):
            batches = source.batches(spec, size, window, workers=workers)
            while True:
                start = time.perf_counter()
                batch = next(batches, None)
                self.seconds_reading += time.perf_counter() - start
                if batch is None:
                    break
                scored = self._scorer.score_batch(batch.images) if len(batch.indices) else None
                for verdict in maker.of(batch, scored):
                    yield self._named(verdict)
        for index in self._fatal:
            yield self._named(
                Verdict(
                    index=index,
                    id="",
                    score=None,
                    threshold=manifest.threshold.upper,
                    anomalous=None,
                    error=f"{part_files[index]} ends the process that reads it, so it was left "
                    f"out; look at it by itself",
                )
            )
