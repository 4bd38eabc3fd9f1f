from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from residua.cluster.parts import fingerprint, part_size_for, parts_of, whole_batches
from residua.images.preprocess import InputSpec
from residua.images.source import ArraySource, FileSource
from residua.scoring.verdicts import batch_size_for


def spec(side: int) -> InputSpec:
    return InputSpec(height=side, width=side, channels=3)


@given(
    pictures=st.integers(1, 10**10),
    side=st.sampled_from([8, 28, 64, 256, 1024]),
    workers=st.integers(1, 10_000),
)
def test_parts_are_whole_batches_and_at_most_a_million(pictures, side, workers) -> None:
    size = part_size_for(pictures, spec(side), workers)
    assert size >= 1
    assert size % batch_size_for(spec(side)) == 0
    assert -(-pictures // size) <= 1_000_000


def test_each_worker_gets_several_parts() -> None:
    assert -(-10_000 // part_size_for(10_000, spec(256), 2)) >= 16
    assert part_size_for(10_000_000, spec(256), 2) == 256


def test_parts_are_larger_where_many_workers_ask_for_them() -> None:
    assert part_size_for(10**9, spec(256), 128) == 1_000  # by the most parts that there may be
    assert [part_size_for(10**8, spec(256), n) for n in (128, 255, 256)] == [256, 256, 512]
    assert part_size_for(10**8, spec(256), 1_600) == 12 * 256
    # Yet each worker has several.
    assert part_size_for(10**7, spec(256), 1_600) <= 10**7 / 1_600 / 8 + batch_size_for(spec(256))


@given(size=st.integers(1, 10_000), side=st.sampled_from([8, 28, 256]))
def test_a_wanted_size_is_rounded_up_to_whole_batches(size: int, side: int) -> None:
    found = whole_batches(size, spec(side))
    assert size <= found < size + batch_size_for(spec(side))
    assert found % batch_size_for(spec(side)) == 0


def test_the_parts_hold_every_name_once() -> None:
    names = [f"/pictures/{number}.png" for number in range(23)]
    source = FileSource(names, labels=["a"] * 11 + ["b"] * 12)
    parts = list(parts_of(source, 5, range(5)))
    assert [name for part in parts for name in part.source.ids] == names
    assert [label for part in parts for label in part.source.labels or ()] == source.labels
    assert [len(part.source) for part in parts] == [5, 5, 5, 5, 3]


@pytest.mark.parametrize(
    "other",
    [
        FileSource(["a", "b", "d"]),
        FileSource(["a", "c", "b"]),
        FileSource(["a", "b"]),
        FileSource(["a", "b", "c"], labels=["x", "y", "z"]),
    ],
)
def test_the_fingerprint_tells_sources_apart(other: FileSource) -> None:
    source = FileSource(["a", "b", "c"])
    assert fingerprint(source, "/here") == fingerprint(FileSource(["a", "b", "c"]), "/here")
    assert fingerprint(source, "/here") != fingerprint(other, "/here")
    assert fingerprint(source, "/here") != fingerprint(source, "/there")


def test_a_name_on_the_border_of_a_chunk_counts(monkeypatch) -> None:
    whole = fingerprint(FileSource(["a", "b", "c", "d"]), "")
    monkeypatch.setattr("residua.cluster.parts._NAMES_AT_A_TIME", 2)
    cut = {
        fingerprint(FileSource(names), "") for names in (list("abcd"), list("abcx"), list("abxd"))
    }
    assert len(cut) == 3
    assert whole not in cut  # which is why the number of names at a time is a constant


def test_pictures_in_memory_have_no_portion(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="other machines"):
        next(parts_of(ArraySource(np.zeros((3, 8, 8), np.uint8)), 2, range(2)))
