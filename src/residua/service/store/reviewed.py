"""Pictures of which a person said what they are, read one at a time."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Row, select

from residua.service.schemas import KeptPicture, Sample, Truth
from residua.service.store.database import Database
from residua.service.store.pictures import is_truly, kept_of, kept_pictures
from residua.service.store.tables import CONTENTS, PICTURES
from residua.service.store.texts import storable

_AT_A_TIME = 200


@dataclass(frozen=True)
class ReviewedPicture:
    """A reviewed picture with what it shows."""

    record: KeptPicture
    """What is known of it; its truth is never None."""
    fitted_upper: float | None
    """See `NewPicture.fitted_upper`."""
    content: bytes = field(repr=False)
    """The picture as it was sent."""


class Reviewed:
    """The pictures that were reviewed when this was made, by rising number.

    Iterating reads one content at a time, and may be done again. A picture that was removed since,
    or whose review was withdrawn or reversed, is left out.

    Parameters
    ----------
    database : Database
    model : str or None
        None: of all models.
    truth : {"normal", "anomalous"} or None
        What persons said they are. None: both.
    sample : {"all", "random"}
        random: those that came up in random order alone.
    revision : str or None
        None: of all revisions.
    """

    def __init__(
        self,
        database: Database,
        model: str | None,
        *,
        truth: Truth | None,
        sample: Sample,
        revision: str | None,
    ) -> None:
        self._database = database
        self._wanted: list[ColumnElement[bool]] = [PICTURES.c.correct.is_not(None)]
        if model is not None:
            self._wanted.append(PICTURES.c.model == storable(model))
        if revision is not None:
            self._wanted.append(PICTURES.c.revision == storable(revision))
        if sample == "random":
            self._wanted.append(PICTURES.c.came_up == "random")
        if truth is not None:
            self._wanted.append(is_truly(truth))
        with database.reading() as connection:
            query = select(PICTURES.c.id).where(*self._wanted).order_by(PICTURES.c.id)
            self.ids = array("q", connection.scalars(query))
            """Their numbers."""

    def __len__(self) -> int:
        return len(self.ids)

    def records(self) -> Iterator[KeptPicture]:
        """Yield what is known of each, without what it shows."""
        for start in range(0, len(self.ids), _AT_A_TIME):
            some = self.ids[start : start + _AT_A_TIME]
            query = kept_pictures().where(PICTURES.c.id.in_(some), *self._wanted)
            with self._database.reading() as connection:
                rows = connection.execute(query.order_by(PICTURES.c.id)).all()
            yield from map(kept_of, rows)

    def __iter__(self) -> Iterator[ReviewedPicture]:
        # No transaction stays open while the caller works: it would keep the log from being
        # cleaned, and the caller may take hours.
        for id in self.ids:
            row = self._row(id)
            if row is not None:
                yield ReviewedPicture(kept_of(row), row.fitted_upper, row.data)

    def _row(self, id: int) -> Row[Any] | None:
        query = kept_pictures().add_columns(CONTENTS.c.data)
        with self._database.reading() as connection:
            return connection.execute(query.where(PICTURES.c.id == id, *self._wanted)).one_or_none()
