"""What a worker does: it reads, scores and writes one part after the other."""

from __future__ import annotations

import contextlib
import os
import pickle
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from residua import __version__
from residua.bundle import revision_of
from residua.cluster.alone import LONGEST, fatal_pictures
from residua.cluster.parts import Part
from residua.cluster.results import Counts, ResultFolder
from residua.cluster.session import ray_package
from residua.engines.registry import DEFAULT
from residua.errors import (
    BundleAltered,
    ConfigurationError,
    OutputError,
    ResiduaError,
    StorageUnreachable,
    UnreadableFile,
    WorkersLost,
)
from residua.images.parallel import usable_processors
from residua.images.source import ImageSource
from residua.runtime import BundleScorer
from residua.scoring.verdicts import Verdict, VerdictMaker, batch_size_for
from residua.workspace import workspace

ATTEMPTS = 4
"""How often a part is begun by workers that are then lost, before it is given up."""


class Attempts:
    """How often each part was begun and not ended; one actor keeps it for all workers of a run."""

    def __init__(self) -> None:
        self._begun: Counter[int] = Counter()

    def begin(self, number: int) -> int:
        """Note that a part is begun; returns the how manyth time it is."""
        self._begun[number] += 1
        return self._begun[number]

    def end(self, number: int) -> None:
        """Note that a part's worker was not lost."""
        del self._begun[number]


class Job(NamedTuple):
    """What all workers of a run are told."""

    files: Any
    """The bundle's files, name to content, as a reference into Ray's object store."""
    attempts: Any
    """The actor of `Attempts`."""
    revision: str
    """The bundle's; see `residua.bundle.revision_of`."""
    version: str
    """Of the driver's Residua."""
    folder: str
    """The driver's current folder, below which relative names are."""
    out: str
    """The folder of results."""


class Answer(NamedTuple):
    """What a worker says of a part."""

    number: int
    """The part's."""
    node: str = ""
    """Address of the worker's node."""
    pid: int = 0
    """The worker's process there."""
    trouble: str = ""
    """Why nothing came of it; empty: its file is written."""
    passing: bool = False
    """The trouble is a store that did not answer, and may in a while."""
    unseen: bool = False
    """Not one of its pictures could be opened, which may be the node's fault; nothing is
    written."""
    scored: int = 0
    flagged: int = 0
    failed: int = 0
    seconds: float = 0.0
    """In all."""
    seconds_reading: float = 0.0
    """Of these, the ones in which pictures were read and decoded."""
    seconds_computing: float = 0.0
    """Of these, the ones in which they were scored."""

    @property
    def counts(self) -> Counts:
        """What came of its pictures."""
        return Counts(self.scored, self.flagged, self.failed)


class PartScorer:
    """A worker: one processor, one thread, one model. Ray calls it with one part after the other.

    What goes wrong is answered, not raised: an exception would come back as Ray's, after retries.

    Parameters
    ----------
    job : Job
    """

    def __init__(self, job: Job) -> None:
        self._trouble, self._passing = "", False
        self._job = job
        with contextlib.suppress(OSError):
            os.chdir(job.folder)
        try:
            if job.version != __version__:
                raise ConfigurationError(
                    f"it has Residua {__version__} and the driver has {job.version}; install the "
                    f"same on all nodes"
                )
            self._out = ResultFolder(job.out)
            if not self._out.is_begun():
                raise OutputError(
                    f"it does not see the folder {job.out}; let every node see it, or name a URL "
                    f"such as s3://bucket/scores.parquet with --out"
                )
            self._files: Mapping[str, bytes] = _fetched(job.files)
            self._scorer, self._calibration = _opened(self._files, job.revision)
        except (ResiduaError, OSError) as error:
            self._trouble = str(error)
            self._passing = isinstance(error, StorageUnreachable)

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, list[Any]]:
        """Score the one part of a batch; returns its `Answer` as a batch of one row."""
        part: Part = pickle.loads(batch["part"][0])
        answer = Answer(part.number, _node(), os.getpid(), self._trouble, self._passing)
        if not self._trouble:
            try:
                answer = self._answer(part, batch["name"][0])
            except (ResiduaError, OSError) as error:
                answer = answer._replace(
                    trouble=str(error) or type(error).__name__,
                    passing=isinstance(error, StorageUnreachable),
                )
            self._job.attempts.end.remote(part.number)
        return {key: [value] for key, value in answer._asdict().items()}

    def _answer(self, part: Part, name: str) -> Answer:
        start = time.perf_counter()
        scored = PartVerdicts(self._scorer, self._calibration, part.source, self._fatal(part))
        rows = list(scored)
        answer = Answer(part.number, _node(), os.getpid())
        if scored.unseen == len(rows) and not part.confirmed:
            return answer._replace(unseen=True)
        self._out.write_part(name, rows)
        failed = sum(row.error is not None for row in rows)
        return answer._replace(
            scored=len(rows) - failed,
            flagged=sum(bool(row.anomalous) for row in rows),
            failed=failed,
            seconds=time.perf_counter() - start,
            seconds_reading=scored.seconds_reading,
            seconds_computing=scored.seconds_computing,
        )

    def _fatal(self, part: Part) -> list[int]:
        """Return the pictures that end their reader, if the part's last reader was lost."""
        attempt = _begun(self._job.attempts, part.number)
        if attempt == 1:
            return []
        if attempt > ATTEMPTS:
            raise WorkersLost(
                f"it was begun {ATTEMPTS} times, and each time its worker was lost, though no "
                f"picture from {part.source.ids[0]} to {part.source.ids[-1]} ends a process by "
                f"itself; give the nodes more memory"
            )
        with workspace("residua-tried") as folder:
            _unpack(self._files, folder)
            return fatal_pictures(folder, part.source)


class PartVerdicts:
    """The verdicts of a part in their order, in batches of the same pictures as on one machine.

    Parameters
    ----------
    scorer : BundleScorer
    calibration_scores : ndarray of shape (n,)
    source : ImageSource
        The part's pictures.
    fatal : sequence of int
        Those that are not read, since they end who reads them.

    Attributes
    ----------
    unseen : int
        Pictures that could not be opened, so far.
    seconds_reading, seconds_computing : float
        So far.
    """

    def __init__(
        self,
        scorer: BundleScorer,
        calibration_scores: NDArray[np.float64],
        source: ImageSource,
        fatal: Sequence[int] = (),
    ) -> None:
        self._scorer, self._source, self._fatal = scorer, source, fatal
        self._maker = VerdictMaker(source, scorer.manifest.threshold, calibration_scores)
        self.unseen = 0
        self.seconds_reading = self.seconds_computing = 0.0

    def __iter__(self) -> Iterator[Verdict]:
        if not len(self._fatal):
            yield from self._verdicts(None)
            return
        size = batch_size_for(self._scorer.manifest.input)
        for start in range(0, len(self._source), size):
            window = range(start, min(start + size, len(self._source)))
            found = list(self._verdicts([i for i in window if i not in self._fatal]))
            found += [self._left_out(i) for i in window if i in self._fatal]
            yield from sorted(found, key=lambda verdict: verdict.index)

    def _verdicts(self, indices: list[int] | None) -> Iterator[Verdict]:
        spec = self._scorer.manifest.input
        # A disk is read by the thread that scores; a store answers late, so many threads ask it.
        late = self._source.looks_at_once > 1
        batches = self._source.batches(
            spec,
            batch_size_for(spec),
            indices,
            workers=max(self._source.looks_at_once, usable_processors()) if late else 1,
        )
        start = time.perf_counter()
        for batch in batches:
            read = time.perf_counter()
            self.seconds_reading += read - start
            self.unseen += sum(isinstance(one.error, UnreadableFile) for one in batch.failures)
            scored = self._scorer.score_batch(batch.images) if len(batch.indices) else None
            self.seconds_computing += time.perf_counter() - read
            yield from self._maker.of(batch, scored)
            start = time.perf_counter()

    def _left_out(self, index: int) -> Verdict:
        name = self._source.ids[index]
        return Verdict(
            index,
            name,
            score=None,
            threshold=self._scorer.manifest.threshold.upper,
            anomalous=None,
            label=None if self._source.labels is None else self._source.labels[index],
            error=f"{name} ends the process that reads it, or holds it up for {LONGEST:g} s, and "
            f"was left out; convert or remove it",
        )


def _opened(files: Mapping[str, bytes], revision: str) -> tuple[BundleScorer, NDArray[np.float64]]:
    """Open the bundle, verified, with its calibration scores; nothing of it stays on the disk."""
    with workspace("residua-model") as folder:
        _unpack(files, folder)
        scorer = BundleScorer(folder, threads=1, engine=DEFAULT)
        if revision_of(folder) != revision:
            raise BundleAltered(f"it received another model than {revision}; start again")
        # The graph is read when the first picture is scored.
        scorer.score_batch(np.zeros((1, *scorer.manifest.input.shape), np.uint8))
        return scorer, scorer.calibration_scores


def _unpack(files: Mapping[str, bytes], folder: Path) -> None:
    for name, content in files.items():
        (folder / name).write_bytes(content)


def _fetched(files: Any) -> Mapping[str, bytes]:
    fetched: Mapping[str, bytes] = ray_package().get(files)
    return fetched


def _begun(attempts: Any, number: int) -> int:
    ray = ray_package()
    try:
        return int(ray.get(attempts.begin.remote(number)))
    except ray.exceptions.RayError:  # lost itself, and back in a while with nothing noted
        return 1


def _node() -> str:
    return str(ray_package().util.get_node_ip_address())
