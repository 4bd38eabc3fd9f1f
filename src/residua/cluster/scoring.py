"""Scoring on a cluster: parts to workers, their verdicts to a folder of Parquet files.

Ray Data hands the parts out to a pool of actors, each of which reads, decodes, scores and writes
(docs/decisions/0020). The driver holds the names of the pictures once, and no verdict.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from residua import __version__
from residua.bundle import open_bundle, revision_of
from residua.cluster.parts import Part, fingerprint, part_size_for, parts_of, whole_batches
from residua.cluster.results import Counts, ResultFolder, RunRecord
from residua.cluster.session import AUTO, Session, connected, ray_package
from residua.cluster.worker import ATTEMPTS, Answer, Attempts, Job, PartScorer
from residua.errors import (
    ClusterError,
    ClusterUnavailable,
    ConfigurationError,
    ImageError,
    ResiduaError,
    UnreadableFile,
    WorkersLost,
)
from residua.images.resolve import resolve_source
from residua.images.source import ImageSource
from residua.storage import as_local

IN_FLIGHT = 2
"""Parts that a worker has at a time: while it scores one, the next is on its way."""
# Parts that are handed to Ray at a time: so many for each worker, and so many in all at least. The
# workers are begun anew for each such wave, some seconds in minutes of work.
_PARTS_A_WORKER, _FEWEST_AT_A_TIME = 32, 256
_SECONDS_FOR_A_PROCESSOR = 60.0
# After which a store that did not answer is asked again, and longer each time.
_SECONDS_OF_SILENCE = 5.0
_READERS = 32


@dataclass(frozen=True)
class Progress:
    """How far a run is."""

    pictures: int
    """How many there are."""
    before: int
    """Of these, the ones that an earlier run had done."""
    counts: Counts
    """What came of the pictures that are done, those before among them."""
    seconds: float
    """Since the workers were asked for."""
    workers: int
    answers: tuple[Answer, ...] = ()
    """Of the part that was done last, if one was."""

    @property
    def done(self) -> int:
        """Pictures that are done."""
        return self.counts.scored + self.counts.failed

    @property
    def rate(self) -> float:
        """Pictures a second, of this run alone."""
        return (self.done - self.before) / self.seconds if self.seconds else 0.0


def score_on_cluster(
    bundle: str | os.PathLike[str],
    data: Any,
    out: str | os.PathLike[str],
    *,
    address: str = AUTO,
    workers: int | None = None,
    part_size: int | None = None,
    watch: Callable[[Progress], None] | None = None,
) -> Progress:
    """Score pictures with the workers of a Ray cluster, into a folder of Parquet files.

    There is one row for each picture; the files by their names, and the rows in each, are in the
    source's order. A run that ended early is gone on with by calling this again: what is whole is
    kept. See `residua.cluster.results` for the folder, and `residua.results.COLUMNS` for the rows.

    Parameters
    ----------
    bundle : path-like or URL
        The saved model.
    data : path-like, URL, list of them, or ImageSource
        Pictures in files, in an object store or in Parquet files; every node must be able to read
        them.
    out : path-like or URL
        The folder, which every node must be able to write.
    address : str, default="auto"
        The cluster's; see `residua.cluster.session.connected`.
    workers : int or None, default=None
        Actors, each of one processor and one thread. None: as many as the cluster has processors.
    part_size : int or None, default=None
        Pictures that a worker does at a time, rounded up to whole batches. None: some seconds'
        work. A run that is gone on with has the size that it was begun with.
    watch : callable or None, default=None
        Told how far the run is, at its start and after each part.

    Returns
    -------
    Progress
        That of the end.

    Raises
    ------
    ConfigurationError
        The pictures are not where others can read them, there are fewer processors than workers,
        or ``out`` names no folder.
    OtherRun
        The folder belongs to other pictures or to another model.
    BundleError, InputError, StorageError, OutputError
        The model or the pictures cannot be read, or the folder cannot be written.
    ClusterUnavailable
        See `residua.cluster.session.connected`; or all its processors are taken.
    WorkersLost
        Workers cannot start.
    ClusterError
        A worker cannot do its part; the text says why. One reason is that as many workers as
        `residua.cluster.worker.ATTEMPTS` were lost over it.
    """
    if workers is not None and workers < 1:
        raise ConfigurationError(f"workers is {workers}; wanted at least 1")
    if part_size is not None and part_size < 1:
        raise ConfigurationError(f"the part size is {part_size}; wanted at least 1")
    folder = ResultFolder(out)
    model = open_bundle(bundle)
    spec, files = model.manifest.input, model.files()
    revision = revision_of(model.path)
    source = resolve_source(data, prefer="test")
    source.portion(0, 1)  # refused before anything is begun, where nobody else can read them
    wanted = RunRecord(
        revision=revision,
        pictures=len(source),
        inputs=fingerprint(source, _place_of(data)),
        part_size=whole_batches(part_size or 1, spec),
    )
    kept = folder.record()
    if kept is not None:
        folder.require_same(kept, wanted)
        lacking, counts = _lacking(folder, kept)
        if not lacking:  # no cluster is needed
            folder.finish(counts)
            return Progress(len(source), len(source), counts, 0.0, 0)
    with connected(address, processors=workers) as session:
        count = _workers(session, workers)
        if part_size is None:
            wanted = wanted.model_copy(
                update={"part_size": part_size_for(len(source), spec, count)}
            )
        record = folder.begin(wanted)
        if kept is None:
            lacking, counts = _lacking(folder, record)
        _await_processor()
        job = Job(*_shared(files), revision, __version__, os.getcwd(), folder.location)  # noqa: PTH109
        run = _Run(source, folder, record, job, count, watch or (lambda progress: None))
        return run.finished(lacking, counts)


class _Run:
    """The parts of one run, from the first that lacks to the last."""

    def __init__(
        self,
        source: ImageSource,
        folder: ResultFolder,
        record: RunRecord,
        job: Job,
        workers: int,
        watch: Callable[[Progress], None],
    ) -> None:
        self._source, self._folder, self._record, self._job = source, folder, record, job
        self._workers, self._watch = workers, watch

    def finished(self, lacking: Sequence[int], counts: Counts) -> Progress:
        """Do the parts of these numbers and write down the end."""
        before = counts.scored + counts.failed
        progress = Progress(self._record.pictures, before, counts, 0.0, self._workers)
        self._watch(progress)
        start = time.perf_counter()
        done: set[int] = set()
        for answer in self._answers(lacking):
            if answer.number in done:  # a part that was done twice, as a lost worker's may be
                continue
            done.add(answer.number)
            progress = replace(
                progress,
                counts=progress.counts.plus(answer.counts),
                seconds=time.perf_counter() - start,
                answers=(answer,),
            )
            self._watch(progress)
        self._folder.finish(progress.counts)
        return progress

    def _answers(self, lacking: Sequence[int]) -> Iterator[Answer]:
        """Yield the answer to each part; what no worker could open is checked, and asked again."""
        size = self._record.part_size
        parts = parts_of(self._source, size, lacking)
        at_a_time = max(_FEWEST_AT_A_TIME, _PARTS_A_WORKER * self._workers)
        unseen: list[int] = []
        while wave := list(islice(parts, at_a_time)):
            for answer in self._reached(wave):
                if answer.unseen:
                    self._require_unseen_here(answer)
                    unseen.append(answer.number)
                else:
                    yield answer
        again = (replace(part, confirmed=True) for part in parts_of(self._source, size, unseen))
        while wave := list(islice(again, at_a_time)):
            yield from self._reached(wave)

    def _reached(self, parts: list[Part]) -> Iterator[Answer]:
        """Yield the answer to each part; where a store was silent, it is asked again in a while."""
        for attempt in range(1, ATTEMPTS + 1):
            silent: dict[int, Answer] = {}
            for answer in self._wave(parts):
                if answer.passing:
                    silent[answer.number] = answer
                else:
                    yield answer
            if not silent:
                return
            if attempt < ATTEMPTS:
                time.sleep(attempt * _SECONDS_OF_SILENCE)
            parts = [part for part in parts if part.number in silent]
        raise _undone(silent[parts[0].number])

    def _wave(self, parts: list[Part]) -> Iterator[Answer]:
        import ray.data

        rows = [
            {"name": self._record.name_of(part.number), "part": pickle.dumps(part)}
            for part in parts
        ]
        with _quiet_data():
            answers = ray.data.from_items(rows, override_num_blocks=len(rows)).map_batches(
                PartScorer,
                fn_constructor_args=(self._job,),
                batch_size=1,
                compute=ray.data.ActorPoolStrategy(
                    size=min(self._workers, len(rows)), max_tasks_in_flight_per_actor=IN_FLIGHT
                ),
                num_cpus=1,
            )
            try:
                for row in answers.iter_rows():
                    answer = Answer(**row)
                    if answer.trouble and not answer.passing:
                        raise _undone(answer)
                    yield answer
            except ResiduaError:
                raise
            except Exception as error:
                said = " ".join(str(error).split())[-500:] or type(error).__name__
                raise WorkersLost(
                    f"the workers did not come to the end of parts {parts[0].number} to "
                    f"{parts[-1].number} ({said}); all nodes need residua[ray] {__version__}. What "
                    f"is done stays in {self._folder.location}, and the same command goes on"
                ) from error

    def _require_unseen_here(self, answer: Answer) -> None:
        """Raise where the driver can open a picture of a part of which the worker could open none.

        Else they cannot be read anywhere, and are rows with an error like others.
        """
        first = answer.number * self._record.part_size
        for index in range(first, first + self._record.rows_of(answer.number)):
            try:
                self._source.sample(index, values=False)
            except UnreadableFile:
                continue
            except ImageError:  # which only an opened file can be found to have
                pass
            raise ClusterError(
                f"the worker on {answer.node} can open none of the pictures of part "
                f"{answer.number}, and here {self._source.ids[index]} can be opened; let every "
                f"node see the pictures under the same path, or put them into an object store that "
                f"all may read"
            )


def _undone(answer: Answer) -> ClusterError:
    return ClusterError(
        f"the worker on {answer.node} cannot do part {answer.number}: {answer.trouble}"
    )


def _lacking(folder: ResultFolder, record: RunRecord) -> tuple[list[int], Counts]:
    """Return the parts of which there is no whole file, and what the others say together."""
    names = folder.names()
    there = [number for number in range(record.parts) if record.name_of(number) in names]

    def counted(number: int) -> Counts | None:
        return folder.counts_of(record.name_of(number), record.rows_of(number))

    done: set[int] = set()
    counts = Counts()
    with ThreadPoolExecutor(_READERS, thread_name_prefix="residua-read") as pool:
        for number, found in zip(there, pool.map(counted, there), strict=True):
            if found is not None:
                done.add(number)
                counts = counts.plus(found)
    return [number for number in range(record.parts) if number not in done], counts


def _workers(session: Session, wanted: int | None) -> int:
    there = session.processors
    if there < 1:
        raise ClusterUnavailable(f"the cluster at {session.address} has no processor")
    if wanted is not None and wanted > there:
        raise ConfigurationError(
            f"workers is {wanted}, and the cluster at {session.address} has {there} processors; "
            f"wanted at most as many"
        )
    return wanted or there


def _await_processor() -> None:
    """Wait a while for a processor that no other work has."""
    free = ray_package().available_resources
    until = time.monotonic() + _SECONDS_FOR_A_PROCESSOR
    while free().get("CPU", 0) < 1:
        if time.monotonic() > until:
            raise ClusterUnavailable(
                f"for {_SECONDS_FOR_A_PROCESSOR:g} s other work has had all processors of the "
                f"cluster; wait for it to end, or add nodes"
            )
        time.sleep(0.5)


def _shared(files: dict[str, bytes]) -> tuple[Any, Any]:
    """Return references to the bundle's files and to the count of attempts, on this node."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    ray = ray_package()
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=True)
    attempts = ray.remote(num_cpus=0, max_restarts=-1, scheduling_strategy=here)(Attempts)
    return ray.put(files), attempts.remote()


def _place_of(data: Any) -> str:
    """Return where the pictures are, in so far as their ids do not say it."""
    if isinstance(data, str | os.PathLike):
        local = as_local(data)
        return os.fspath(data) if local is None else str(Path(local).absolute())
    return "" if isinstance(data, ImageSource) else os.getcwd()  # noqa: PTH109


@contextlib.contextmanager
def _quiet_data() -> Iterator[None]:
    """Keep Ray Data's own bars and plans off the terminal."""
    import logging

    from ray.data import DataContext

    context: Any = DataContext.get_current()
    logger = logging.getLogger("ray.data")
    level = logger.level
    names = ("enable_progress_bars", "print_on_execution_start")
    before = {name: getattr(context, name) for name in names if hasattr(context, name)}
    try:
        logger.setLevel(logging.CRITICAL)
        for name in before:
            setattr(context, name, False)
        yield
    finally:
        logger.setLevel(level)
        for name, value in before.items():
            setattr(context, name, value)
