"""The review store: pictures that were kept, and what persons said of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

from sqlalchemy import ColumnElement, Connection, Row, false, func, insert, select, update

from residua.errors import NoSuchPicture
from residua.service.schemas import (
    KeptPicture,
    Order,
    ReviewQueue,
    ReviewSummary,
    Sample,
    Truth,
)
from residua.service.store.addresses import address_of
from residua.service.store.database import Database
from residua.service.store.drift import read_state, write_state
from residua.service.store.migration import migrate
from residua.service.store.pictures import NewPicture, kept_of, kept_pictures
from residua.service.store.reviewed import Reviewed
from residua.service.store.room import Room
from residua.service.store.summing import summary_of
from residua.service.store.tables import CONTENTS, PICTURES, REVIEWS
from residua.service.store.texts import storable

_ORDERS = {
    "uncertain": (PICTURES.c.margin, PICTURES.c.id),
    "random": (PICTURES.c.draw, PICTURES.c.id),
    "latest": (PICTURES.c.id.desc(),),
}
# What one call of `retain` removes, so that nobody waits for it long.
_REMOVED_AT_A_TIME = 500
_LARGEST_ID = 2**63 - 1


@dataclass(frozen=True)
class Review:
    """What a person once said of a picture."""

    reviewed: datetime
    reviewer: str | None
    correct: bool | None
    """Whether the verdict was right. None: what was said before was withdrawn."""
    order: Order | None
    """In which order the picture came up. None: it was withdrawn."""


class ReviewStore:
    """Kept pictures and their reviews in a database, for many threads and processes.

    What a method wrote is on disk when it returns. Each method raises `StoreUnavailable` while
    the database cannot be reached, and works again once it can.

    Parameters
    ----------
    database : Database
        Its tables must be those of this version, as `open` sees to.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def __repr__(self) -> str:
        return f"ReviewStore({self._database!r})"

    @classmethod
    def open(cls, url: str | None = None, *, folder: Path | None = None, make: bool = True) -> Self:
        """Open a store, and make or migrate its tables.

        Parameters
        ----------
        url : str or None, default=None
            ``sqlite:////folder/file`` or ``postgresql://user:password@host/database``. None:
            reviews.sqlite in the folder.
        folder : Path or None, default=None
            Where the default lies; it must exist.
        make : bool, default=True
            Whether a store is made where there is none.

        Raises
        ------
        ConfigurationError
            The URL cannot be used, neither is given, or it is of something else.
        StoreUnavailable
            The database cannot be reached.
        StoreTooNew
            Its tables are those of a later version.
        StoreFull
            It is read-only, or its disk is full.
        """
        database = Database(address_of(url, folder))
        if make:
            database.make_private()
        try:
            migrate(database, make=make)
        except BaseException:
            database.close()
            raise
        return cls(database)

    def close(self) -> None:
        """Close all connections."""
        self._database.close()

    def keep(self, pictures: Sequence[NewPicture], *, max_bytes: int | None) -> list[int | None]:
        """Keep pictures, all or, where an error is raised, none of them.

        Where the contents would exceed ``max_bytes``, the oldest pictures that are not reviewed
        are removed first, though none of this call.

        Parameters
        ----------
        pictures : sequence of NewPicture
        max_bytes : int or None
            Bytes of all contents, at most; equal contents count once. None: no limit.

        Returns
        -------
        ids : list of int or None
            The number of each. None: it was not kept, since reviewed pictures, or those of this
            call before it, fill the room.

        Raises
        ------
        StoreFull
            The disk is full, or the database is read-only.
        """
        # Before the transaction, in which others wait.
        digests = [picture.digest for picture in pictures]
        created = datetime.now(UTC)
        rows = [
            picture.row(digest, created) for picture, digest in zip(pictures, digests, strict=True)
        ]
        if not rows:
            return []
        ids: list[int | None] = []
        with self._database.writing() as connection:
            room = Room(connection)
            newest = connection.scalar(select(func.max(PICTURES.c.id))) or 0
            # What cannot be removed for the next: reviewed pictures and those of this call.
            fixed, ours = room.held, set[str]()
            for picture, row in zip(pictures, rows, strict=True):
                digest, size = row["content"], len(picture.content)
                stored = room.size_of(digest) is not None
                if not (digest in ours or (stored and room.is_held(digest))):
                    if not stored and max_bytes is not None:
                        if fixed + size > max_bytes:
                            ids.append(None)
                            continue
                        room.shrink(max_bytes - size, newest=newest)
                    fixed += size
                    ours.add(digest)
                if not stored:
                    room.add(digest, picture.content)
                ids.append(connection.scalar(insert(PICTURES).values(row).returning(PICTURES.c.id)))
            if max_bytes is not None:  # it may have been lowered since
                room.shrink(max_bytes, newest=newest)
            room.save()
        return ids

    def queue(
        self, *, model: str | None = None, order: Order = "uncertain", limit: int = 50
    ) -> ReviewQueue:
        """Return the first pictures that nobody reviewed.

        Parameters
        ----------
        model : str or None, default=None
            None: of all models.
        order : {"uncertain", "random", "latest"}, default="uncertain"
            The smallest margin first; as drawn when it was kept; the newest first.
        limit : int, default=50
            Pictures, at most.
        """
        waiting = [PICTURES.c.correct.is_(None), *_of_model(model)]
        with self._database.reading() as connection:
            count = connection.scalar(select(func.count()).select_from(PICTURES).where(*waiting))
            rows = connection.execute(
                kept_pictures().where(*waiting).order_by(*_ORDERS[order]).limit(max(limit, 0))
            ).all()
        return ReviewQueue(waiting=count or 0, items=[kept_of(row) for row in rows])

    def get(self, id: int) -> KeptPicture:
        """Return what is known of a picture.

        Raises
        ------
        NoSuchPicture
            There is none of this number.
        """
        with self._database.reading() as connection:
            return kept_of(_row(connection, id))

    def content(self, id: int) -> tuple[str, bytes]:
        """Return a picture's media type and its content, as it was sent.

        Raises
        ------
        NoSuchPicture
            There is none of this number.
        """
        query = select(PICTURES.c.media_type, CONTENTS.c.data).join_from(PICTURES, CONTENTS)
        with self._database.reading() as connection:
            row = connection.execute(query.where(_is(id))).one_or_none()
        if row is None:
            raise _no_such(id)
        return row.media_type, row.data

    def judge(self, id: int, *, correct: bool, reviewer: str | None, order: Order) -> KeptPicture:
        """Write down what a person says of a picture; the latest counts.

        Parameters
        ----------
        id : int
        correct : bool
            Whether the verdict is right.
        reviewer : str or None
            Who says it.
        order : {"uncertain", "random", "latest"}
            The order in which the picture came up.

        Raises
        ------
        NoSuchPicture
            There is none of this number.
        """
        return self._review(id, correct, reviewer, order)

    def withdraw(self, id: int, *, reviewer: str | None = None) -> KeptPicture:
        """Have a picture wait for review again; one that waits already stays as it is.

        Raises
        ------
        NoSuchPicture
            There is none of this number.
        """
        return self._review(id, None, reviewer, None)

    def history(self, id: int) -> list[Review]:
        """Return all that was ever said of a picture, the oldest first.

        Raises
        ------
        NoSuchPicture
            There is none of this number.
        """
        with self._database.reading() as connection:
            _row(connection, id)
            rows = connection.execute(
                select(REVIEWS).where(REVIEWS.c.picture == id).order_by(REVIEWS.c.id)
            ).all()
        return [Review(row.reviewed, row.reviewer, row.correct, row.came_up) for row in rows]

    def remove(self, id: int) -> None:
        """Delete a picture, also a reviewed one, with all that was said of it.

        Raises
        ------
        NoSuchPicture
            There is none of this number.
        """
        with self._database.writing() as connection:
            room = Room(connection)
            row = _row(connection, id)
            with room.reviewing(row.content):
                connection.execute(update(PICTURES).where(_is(id)).values(correct=None))
            room.drop(id, row.content)
            room.save()
        self._database.give_space_back()

    def retain(self, *, now: datetime, max_age: timedelta | None, max_bytes: int | None) -> int:
        """Remove pictures that are not reviewed and too old or too many, the oldest first.

        At most 500 are removed by one call; until it returns 0 there may be more. The space goes
        back to the disk (SQLite), or is used again (PostgreSQL).

        Parameters
        ----------
        now : datetime
            With its zone.
        max_age : timedelta or None
            None: of any age.
        max_bytes : int or None
            Bytes of all contents, at most, as far as reviewed ones allow. None: no limit.

        Returns
        -------
        removed : int
        """
        removed = 0
        with self._database.writing() as connection:
            room = Room(connection)
            if max_age is not None:
                removed = room.expire(now - max_age, at_most=_REMOVED_AT_A_TIME)
            if max_bytes is not None:
                left = _REMOVED_AT_A_TIME - removed
                removed += room.shrink(max_bytes, newest=_LARGEST_ID, at_most=left)
            room.save()
        self._database.give_space_back()
        return removed

    def summary(self, model: str | None = None, *, max_bytes: int | None = None) -> ReviewSummary:
        """Count the pictures and reviews, and say how right the verdicts are.

        Parameters
        ----------
        model : str or None, default=None
            None: all models.
        max_bytes : int or None, default=None
            The limit of `keep`, by which ``full`` is told.
        """
        with self._database.reading() as connection:
            return summary_of(
                connection, None if model is None else storable(model), max_bytes=max_bytes
            )

    def reviewed(
        self,
        model: str | None = None,
        *,
        truth: Truth | None = None,
        sample: Sample = "all",
        revision: str | None = None,
    ) -> Reviewed:
        """Return the reviewed pictures, to be read one at a time; see `Reviewed`."""
        return Reviewed(self._database, model, truth=truth, sample=sample, revision=revision)

    def drift_state(self, model: str, revision: str, station: str) -> dict[str, Any] | None:
        """Return what `save_drift_state` was given last; None: nothing yet."""
        with self._database.reading() as connection:
            return read_state(connection, model, revision, station)

    def save_drift_state(
        self, model: str, revision: str, station: str, state: dict[str, Any]
    ) -> None:
        """Keep a record, of what JSON can say, in place of the one before.

        Those of other revisions of the model at this station go after 90 days.
        """
        with self._database.writing() as connection:
            Room(connection)  # so that two that save at once take turns
            write_state(connection, model, revision, station, state)

    def _review(
        self, id: int, correct: bool | None, reviewer: str | None, order: Order | None
    ) -> KeptPicture:
        said: dict[str, Any] = {
            "correct": correct,
            "came_up": order,
            "reviewer": None if reviewer is None else storable(reviewer),
            "reviewed": datetime.now(UTC),
        }
        with self._database.writing() as connection:
            room = Room(connection)
            row = _row(connection, id)
            if correct is None and row.correct is None:
                return kept_of(row)
            connection.execute(insert(REVIEWS).values(picture=id, **said))
            counts = said if correct is not None else dict.fromkeys(said)
            with room.reviewing(row.content):
                connection.execute(update(PICTURES).where(_is(id)).values(counts))
            room.save()
            return kept_of(_row(connection, id))


def _row(connection: Connection, id: int) -> Row[Any]:
    row = connection.execute(kept_pictures().where(_is(id))).one_or_none()
    if row is None:
        raise _no_such(id)
    return row


def _no_such(id: int) -> NoSuchPicture:
    return NoSuchPicture(
        f"no picture is kept under number {id}; it may have been removed to make room"
    )


def _is(id: int) -> ColumnElement[bool]:
    # What is larger no database takes, not even to say that it is not there.
    return PICTURES.c.id == id if abs(id) <= _LARGEST_ID else false()


def _of_model(model: str | None) -> list[ColumnElement[bool]]:
    return [] if model is None else [PICTURES.c.model == storable(model)]
