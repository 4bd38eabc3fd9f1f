"""The parts into which a source is cut: runs of pictures that one worker scores at a time."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from residua.images.preprocess import InputSpec
from residua.images.source import ImageSource
from residua.scoring.verdicts import batch_size_for

# A part takes seconds, so that handing it over is nothing beside it and a lost one soon made up.
_PIXELS_IN_PART = 1 << 24
# Driver and Ray hand out some 125 parts a second (measured with two workers that do nothing): parts
# double with twice as many workers, and so on.
_WORKERS_FOR_SUCH_PARTS = 128
# So that each worker gets several, and none waits long for the last one.
_PARTS_A_WORKER = 8
# So that a folder of parts can be listed, however many pictures there are.
_MOST_PARTS = 1_000_000
_NAMES_AT_A_TIME = 4_096


@dataclass(frozen=True)
class Part:
    """A run of a source's pictures."""

    number: int
    """Its place among the parts, from 0."""
    source: ImageSource
    """The pictures, by name: it can be sent to another machine."""
    confirmed: bool = False
    """Whether the driver cannot read its pictures either."""


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
    pixels = _PIXELS_IN_PART * max(1, workers // _WORKERS_FOR_SUCH_PARTS)
    size = min(pixels // (spec.height * spec.width), -(-pictures // (_PARTS_A_WORKER * workers)))
    return whole_batches(max(size, -(-pictures // _MOST_PARTS)), spec)


def whole_batches(size: int, spec: InputSpec) -> int:
    """Return a number of pictures rounded up to whole batches; ≥ 1."""
    batch = batch_size_for(spec)
    return max(1, -(-size // batch)) * batch


def parts_of(source: ImageSource, size: int, numbers: Iterable[int]) -> Iterator[Part]:
    """Yield the parts of these numbers, each made when it is asked for."""
    for number in numbers:
        start = number * size
        yield Part(number, source.portion(start, min(start + size, len(source))))


def fingerprint(source: ImageSource, where: str) -> str:
    """Return the SHA-256 of where a source's pictures are, of their ids and their classes.

    It takes the memory of some thousand names, however many there are.
    """
    found = hashlib.sha256(where.encode("utf-8", "surrogatepass"))
    ids, labels = source.ids, source.labels
    for start in range(0, len(source), _NAMES_AT_A_TIME):
        run = slice(start, start + _NAMES_AT_A_TIME)
        names = [*ids[run], *(() if labels is None else labels[run])]
        found.update(("\n" + "\0".join(names)).encode("utf-8", "surrogatepass"))
    return found.hexdigest()
