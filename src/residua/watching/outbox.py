"""What is to be told of anomalous pictures and was not delivered yet, kept in the ledger."""

from __future__ import annotations

from typing import NamedTuple

from residua.watching.ledger import Ledger


class Delivery(NamedTuple):
    """One notification that waits."""

    number: int
    key: str
    """The same in every attempt."""
    body: str
    """JSON."""
    path: bytes | None
    """The file; None: a camera's picture."""
    attempts: int
    """How often it was tried."""


class Outbox:
    """The notifications of one channel. Its methods may be called from any thread.

    Parameters
    ----------
    ledger : Ledger
    channel : str
        webhook or command.
    """

    def __init__(self, ledger: Ledger, channel: str) -> None:
        self._ledger, self._channel = ledger, channel

    def begin(self) -> None:
        """Let all that waits be tried at once: after a restart, what failed before may work."""
        with self._ledger.changing() as base:
            base.execute(
                "UPDATE outbox SET due = 0 WHERE channel = ? AND failed IS NULL", (self._channel,)
            )

    def next(self) -> Delivery | None:
        """Return what is due and was tried least often, the oldest first; None: nothing is due."""
        with self._ledger.reading() as base:
            found = base.execute(
                "SELECT number, key, body, path, attempts FROM outbox "
                "WHERE channel = ? AND failed IS NULL AND due <= ? "
                "ORDER BY attempts, number LIMIT 1",
                (self._channel, self._ledger.running),
            ).fetchone()
        return None if found is None else Delivery(*found)

    def pause(self) -> float | None:
        """Return the seconds until something is due; None: nothing waits."""
        with self._ledger.reading() as base:
            (due,) = base.execute(
                "SELECT MIN(due) FROM outbox WHERE channel = ? AND failed IS NULL",
                (self._channel,),
            ).fetchone()
        return None if due is None else max(0.0, due - self._ledger.running)

    def waiting(self) -> int:
        """Return how many wait."""
        with self._ledger.reading() as base:
            (count,) = base.execute(
                "SELECT COUNT(*) FROM outbox WHERE channel = ? AND failed IS NULL",
                (self._channel,),
            ).fetchone()
        return int(count)

    @property
    def has_failed(self) -> bool:
        """Whether one waits for another attempt."""
        with self._ledger.reading() as base:
            (found,) = base.execute(
                "SELECT EXISTS (SELECT 1 FROM outbox WHERE channel = ? AND failed IS NULL "
                "AND attempts > 0)",
                (self._channel,),
            ).fetchone()
        return bool(found)

    def delivered(self, delivery: Delivery) -> None:
        """Take one out."""
        with self._ledger.changing() as base:
            base.execute("DELETE FROM outbox WHERE number = ?", (delivery.number,))

    def failed(self, delivery: Delivery, pause: float) -> None:
        """Count an attempt that failed; the next one is due after a pause in seconds."""
        with self._ledger.changing() as base:
            base.execute(
                "UPDATE outbox SET attempts = attempts + 1, due = ? WHERE number = ?",
                (self._ledger.running + pause, delivery.number),
            )

    def give_up(self, seconds: float, why: str) -> int:
        """Record those as failed that have waited so long while the watcher ran; return how many.

        Parameters
        ----------
        seconds : float
            0: all of them.
        why : str
            What is recorded.
        """
        late = (self._channel, self._ledger.running - seconds)
        waits = "channel = ? AND failed IS NULL AND born <= ?"
        with self._ledger.reading() as base:
            (count,) = base.execute(f"SELECT COUNT(*) FROM outbox WHERE {waits}", late).fetchone()
        if count:  # else there is nothing to be flushed to disk
            with self._ledger.changing() as base:
                base.execute(f"UPDATE outbox SET failed = ? WHERE {waits}", (why, *late))
        return int(count)
