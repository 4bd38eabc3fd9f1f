"""The bytes that contents take, and how room is made for new ones."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from sqlalchemy import Connection, delete, exists, insert, select, update

from residua.service.store.tables import CONTENTS, PICTURES, USAGE

_AT_A_TIME = 100


class Room:
    """The contents, as one writer sees them within its transaction.

    Who makes one has the others wait until the transaction ends.

    Parameters
    ----------
    connection : sqlalchemy.Connection
        Of a writing transaction.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        row = connection.execute(select(USAGE.c.size, USAGE.c.held).with_for_update()).one()
        self.size: int = row.size
        """Bytes of all contents."""
        self.held: int = row.held
        """Bytes of the contents of which a picture is reviewed: they are not removed."""

    def size_of(self, digest: str) -> int | None:
        """Return the bytes of a content; None where it is not stored."""
        found: int | None = self._connection.scalar(
            select(CONTENTS.c.size).where(CONTENTS.c.digest == digest)
        )
        return found

    def is_held(self, digest: str) -> bool:
        """Tell whether a picture with this content is reviewed."""
        wanted = (PICTURES.c.content == digest) & PICTURES.c.correct.is_not(None)
        return bool(self._connection.scalar(select(exists().where(wanted))))

    def add(self, digest: str, data: bytes) -> None:
        """Store a content that is not stored yet."""
        self._connection.execute(insert(CONTENTS).values(digest=digest, size=len(data), data=data))
        self.size += len(data)

    @contextmanager
    def reviewing(self, digest: str) -> Iterator[None]:
        """Count anew, after the block, whether a content is held: in it a review changes."""
        before = self.is_held(digest)
        yield
        after = self.is_held(digest)
        if before != after:
            size = self.size_of(digest) or 0
            self.held += size if after else -size

    def drop(self, id: int, digest: str) -> None:
        """Delete a picture that is not reviewed, and its content where no other has it."""
        self._connection.execute(delete(PICTURES).where(PICTURES.c.id == id))
        unused = ~exists().where(PICTURES.c.content == digest)
        freed = self._connection.scalar(
            delete(CONTENTS).where(CONTENTS.c.digest == digest, unused).returning(CONTENTS.c.size)
        )
        self.size -= freed or 0

    def shrink(self, size: int, *, newest: int, at_most: int | None = None) -> int:
        """Remove the oldest pictures that are not reviewed.

        Parameters
        ----------
        size : int
            Bytes of all contents at which it ends.
        newest : int
            The last picture that may go.
        at_most : int or None, default=None
            Pictures to remove, at most. None: as many as it takes.

        Returns
        -------
        removed : int
        """
        removed = 0
        oldest = (
            select(PICTURES.c.id, PICTURES.c.content)
            .where(PICTURES.c.correct.is_(None), PICTURES.c.id <= newest)
            .order_by(PICTURES.c.created, PICTURES.c.id)
            .limit(_AT_A_TIME)
        )
        while self.size > size:
            rows = self._connection.execute(oldest).all()
            for id, digest in rows:
                if self.size <= size or removed == at_most:
                    return removed
                self.drop(id, digest)
                removed += 1
            if not rows:
                break
        return removed

    def expire(self, before: datetime, *, at_most: int) -> int:
        """Remove pictures that are not reviewed and were kept before a moment; return how many."""
        expired = self._connection.execute(
            select(PICTURES.c.id, PICTURES.c.content)
            .where(PICTURES.c.correct.is_(None), PICTURES.c.created < before)
            .order_by(PICTURES.c.created, PICTURES.c.id)
            .limit(at_most)
        ).all()
        for id, digest in expired:
            self.drop(id, digest)
        return len(expired)

    def save(self) -> None:
        """Write the sums; to be called before the transaction ends."""
        self._connection.execute(update(USAGE).values(size=self.size, held=self.held))
