"""The parts into which a source is cut: runs of pictures that one worker scores at a time."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass

from residua.errors import ConfigurationError
from residua.images.file_source import FileSource
from residua.images.preprocess import InputSpec
from residua.images.source import ImageSource
from residua.scoring.verdicts import batch_size_for

# A part takes seconds, so that handing it over is nothing beside it and a lost one soon made up.
_PIXELS_IN_PART = 1 << 24
# So that each worker gets several, and none waits long for the last one.
_PARTS_A_WORKER = 8
# So that a folder of parts can be listed, however many pictures there are.
_MOST_PARTS = 100_000
_CHUNK = 4_096


@dataclass(frozen=True)
class Part:
    """A run of a source's pictures, by name: all that a worker needs to read them."""

    number: int
    """Its place among the parts, from 0."""
    start: int
    """Index in the source of its first picture."""
    files: tuple[str, ...]
    """Paths or URLs of the pictures."""
    ids: tuple[str, ...]
    """Their ids in the source."""
    labels: tuple[str, ...] | None
    """Their classes; None: there are none."""
    seen: str | None = None
    """One of the files that the driver saw to be there; None: it saw none, or they are objects."""

    def __len__(self) -> int:
        return len(self.files)


def part_size_for(pictures: int, spec: InputSpec, workers: int) -> int:
    """Return how many pictures make a part: a multiple of the batches in which they are scored.

    A multiple, so that batches are those of one machine, and so their scores.

    Parameters
    ----------
    pictures : int
        In all, ≥ 1.
    spec : InputSpec
        The model's.
    workers : int
        Among which the parts are shared out, ≥ 1.
    """
    batch = batch_size_for(spec)
    size = _PIXELS_IN_PART // (spec.height * spec.width)
    size = min(size, -(-pictures // (_PARTS_A_WORKER * workers)))
    size = max(size, -(-pictures // _MOST_PARTS), 1)
    return -(-size // batch) * batch


def parts_of(source: ImageSource, size: int, numbers: Iterator[int]) -> Iterator[Part]:
    """Yield the parts of these numbers, each made when it is asked for."""
    files = _files_of(source)
    for number in numbers:
        start = number * size
        run = range(start, min(start + size, len(source)))
        there = [files.location(i) for i in run]
        yield Part(
            number,
            start,
            tuple(there),
            tuple(source.ids[i] for i in run),
            None if source.labels is None else tuple(source.labels[i] for i in run),
            _first_seen(there),
        )


def fingerprint(source: ImageSource) -> str:
    """Return the SHA-256 of what a source's pictures are called: locations, ids and classes.

    It takes the memory of some thousand names, however many there are.
    """
    files, labels, found = _files_of(source), source.labels, hashlib.sha256()
    for start in range(0, len(source), _CHUNK):
        run = range(start, min(start + _CHUNK, len(source)))
        lines = (
            "\0".join((files.location(i), source.ids[i], "" if labels is None else labels[i]))
            for i in run
        )
        found.update("\n".join(lines).encode("utf-8", "surrogatepass") + b"\n")
    return found.hexdigest()


def require_shareable(source: ImageSource) -> None:
    """Refuse a source whose pictures other machines cannot read.

    Raises
    ------
    ConfigurationError
        They are in this program's memory, or in a data set that it keeps.
    """
    _files_of(source)


def _files_of(source: ImageSource) -> FileSource:
    if isinstance(source, FileSource):
        return source
    raise ConfigurationError(
        f"{source!r} cannot be read by other machines; wanted a folder or files that every node "
        f"sees, URLs of an object store, or Parquet files of pictures"
    )


def _first_seen(files: list[str]) -> str | None:
    tried = files[:1] + files[-1:]
    return next((file for file in tried if os.path.isfile(file)), None)  # noqa: PTH113
