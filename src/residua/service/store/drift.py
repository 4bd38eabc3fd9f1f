"""The state of a drift test, as one JSON record for each model, revision and station."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, delete, insert, select

from residua.service.store.tables import DRIFT
from residua.service.store.texts import storable

# A bundle that was put back goes on with its watch; after so long it is another time.
_OTHERS_KEPT = timedelta(days=90)


def read_state(
    connection: Connection, model: str, revision: str, station: str
) -> dict[str, Any] | None:
    """Return what was written last; None: nothing yet."""
    digest = _digest(model, revision, station)
    state = connection.scalar(select(DRIFT.c.state).where(DRIFT.c.digest == digest))
    return None if state is None else json.loads(state)


def write_state(
    connection: Connection, model: str, revision: str, station: str, state: dict[str, Any]
) -> None:
    """Write a record in place of the one before; the caller has others wait.

    Records of other revisions that were written 90 days ago or earlier are removed.
    """
    digest, now = _digest(model, revision, station), datetime.now(UTC)
    connection.execute(
        delete(DRIFT).where(
            DRIFT.c.model == storable(model),
            DRIFT.c.station == storable(station),
            DRIFT.c.saved <= now - _OTHERS_KEPT,
        )
    )
    connection.execute(delete(DRIFT).where(DRIFT.c.digest == digest))
    connection.execute(
        insert(DRIFT).values(
            digest=digest,
            model=storable(model),
            revision=storable(revision),
            station=storable(station),
            state=json.dumps(state),
            saved=now,
        )
    )


def _digest(*texts: str) -> str:
    return hashlib.sha256(json.dumps(texts).encode()).hexdigest()
