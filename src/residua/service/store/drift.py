"""The state of a drift test, as one JSON record for each model, revision and station."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, delete, insert, select

from residua.service.store.tables import DRIFT
from residua.service.store.texts import storable


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
    """Write a record in place of the one before; the caller has others wait."""
    digest = _digest(model, revision, station)
    connection.execute(delete(DRIFT).where(DRIFT.c.digest == digest))
    connection.execute(
        insert(DRIFT).values(
            digest=digest,
            model=storable(model),
            revision=storable(revision),
            station=storable(station),
            state=json.dumps(state),
            saved=datetime.now(UTC),
        )
    )


def _digest(*texts: str) -> str:
    return hashlib.sha256(json.dumps(texts).encode()).hexdigest()
