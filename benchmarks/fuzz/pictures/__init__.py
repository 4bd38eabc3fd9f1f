"""The corpus of bad pictures: made in memory, the same each time, each with a name."""

from __future__ import annotations

from collections.abc import Iterator

from fuzz.pictures.bombs import bombs
from fuzz.pictures.damage import damaged
from fuzz.pictures.sound import Picture, sound

__all__ = ["Picture", "bombs", "corpus", "damaged", "sound"]


def corpus() -> Iterator[Picture]:
    """Yield all: sound pictures of every kind, each of them damaged in many ways, and bombs."""
    for picture in sound():
        yield picture
        yield from damaged(picture)
    yield from bombs()
