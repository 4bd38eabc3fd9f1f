"""What one worker says of its parts, and what the driver makes of it; without a cluster."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from residua import __version__
from residua.bundle import open_bundle, revision_of
from residua.cluster import scoring, worker
from residua.cluster.parts import Part
from residua.cluster.results import ResultFolder, RunRecord
from residua.cluster.worker import Answer, Attempts, Job, PartScorer
from residua.errors import ClusterError, StorageUnreachable
from residua.images.source import FileSource

SILENCE = "s3://bucket does not answer"


class Silent(FileSource):
    """Files of a store that does not answer."""

    def batches(self, *_: Any, **__: Any) -> Iterator[Any]:
        raise StorageUnreachable(SILENCE)


def run_of(source: FileSource, folder: Path, part_size: int = 64) -> scoring._Run:
    record = RunRecord(
        revision="a" * 12, pictures=len(source), inputs="b" * 64, part_size=part_size
    )
    job = Job(None, None, record.revision, __version__, "", "")
    return scoring._Run(source, ResultFolder(folder), record, job, 1, lambda progress: None)


def test_a_part_that_was_ended_counts_from_one_again() -> None:
    attempts = Attempts()
    assert [attempts.begin(3), attempts.begin(3), attempts.begin(4)] == [1, 2, 1]
    attempts.end(3)
    attempts.end(7)
    assert [attempts.begin(3), attempts.begin(4)] == [1, 2]


def test_a_worker_gives_a_part_back_whose_store_is_silent(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended: list[int] = []
    attempts = SimpleNamespace(end=SimpleNamespace(remote=ended.append))
    for name, instead in (
        ("_node", lambda: "here"),
        ("_begun", lambda *_: 1),
        ("_fetched", lambda files: files),
    ):
        monkeypatch.setattr(worker, name, instead)
    model = open_bundle(bundle)
    run_of(FileSource(["0.png"]), tmp_path / "s")._folder.begin(
        RunRecord(revision="a" * 12, pictures=1, inputs="b" * 64, part_size=64)
    )
    given = Job(model.files(), attempts, revision_of(bundle), __version__, ".", str(tmp_path / "s"))
    part = pickle.dumps(Part(5, Silent(["0.png"])))
    answer = PartScorer(given)({"part": [part], "name": ["part-000005.parquet"]})
    assert (answer["trouble"], answer["passing"]) == ([SILENCE], [True])
    assert ended == [5]  # nobody was lost, and no picture need be looked for that ends its reader


def test_a_store_that_is_silent_for_a_while_ends_no_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paused: list[float] = []
    monkeypatch.setattr(scoring, "time", SimpleNamespace(sleep=paused.append))
    run = run_of(FileSource([f"{number}.png" for number in range(3)]), tmp_path, part_size=1)
    asked: list[list[int]] = []
    # How often each part meets silence.
    silences = {0: 0, 1: 2, 2: 1}

    def wave(parts: list[Part]) -> Iterator[Answer]:
        asked.append([part.number for part in parts])
        for part in parts:
            silent = silences[part.number] > 0
            silences[part.number] -= 1
            yield Answer(part.number, trouble=SILENCE if silent else "", passing=silent)

    monkeypatch.setattr(run, "_wave", wave)
    assert [answer.number for answer in run._answers([0, 1, 2])] == [0, 2, 1]
    assert asked == [[0, 1, 2], [1, 2], [1]]
    assert paused == sorted(paused)
    assert len(paused) == 2
    silences[1] = 1_000
    with pytest.raises(ClusterError, match=f"cannot do part 1: {SILENCE}"):
        list(run._answers([1]))
    assert len(paused) == 2 + worker.ATTEMPTS - 1


def test_pictures_that_one_node_does_not_see_are_known_by_any_that_opens_here(
    tmp_path: Path,
) -> None:
    files = [tmp_path / f"{number}.png" for number in range(4)]
    run = run_of(FileSource(files), tmp_path / "s")
    unseen = Answer(0, "there", unseen=True)
    run._require_unseen_here(unseen)  # nobody sees them
    files[2].write_bytes(b"")  # opened, and found to be no picture
    with pytest.raises(ClusterError, match=r"2\.png can be opened; let every node see"):
        run._require_unseen_here(unseen)
