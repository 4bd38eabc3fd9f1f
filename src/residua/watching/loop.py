"""What a watcher does over and over: take pictures, score, record and write them."""

from __future__ import annotations

import hashlib
import json
import math
import sqlite3
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from residua.errors import EngineFailed, ImageError, OutputError
from residua.images.decode import decode_image
from residua.images.parallel import map_in_order, usable_processors
from residua.watching.judging import Judge, Reading
from residua.watching.ledger import Entry, Ledger
from residua.watching.model import LiveModel
from residua.watching.notices import Notices
from residua.watching.notifying import Channel
from residua.watching.rows import Rows
from residua.watching.source import Candidate, Source

_MOST_READERS = 4
_LONGEST_WAIT, _STEP = 0.2, 0.05
_RETRY = 5.0
_MOST_FAILURES = 3
_TRY_AT_THE_END = 30.0


class Stop(Protocol):
    """What says that the watcher is to end, such as a ``threading.Event``."""

    def is_set(self) -> bool:
        """Whether it is to end."""


@dataclass
class Tally:
    """What a watcher did since it was started."""

    scored: int = 0
    flagged: int = 0
    """Of them anomalous."""
    failed: int = 0
    """Pictures that could not be read."""
    waiting: int = 0
    """Notifications that are still to be delivered."""


class Loop:
    """What is done over and over."""

    def __init__(
        self,
        source: Source,
        model: LiveModel,
        judge: Judge,
        ledger: Ledger,
        rows: Rows,
        channels: Sequence[Channel],
        notices: Notices,
        on_row: Callable[[dict[str, Any]], None] | None,
        *,
        once: bool,
    ) -> None:
        self._source, self._model, self._judge = source, model, judge
        self._ledger, self._rows, self._channels = ledger, rows, channels
        self._notices, self._on_row, self._once = notices, on_row, once
        self._tally = Tally()
        self._failures = 0
        self._rows_due = -math.inf

    def run(self, stop: Stop) -> Tally:
        """Go on until told to stop or, with ``once``, until nothing is left."""
        while not stop.is_set():
            now = time.monotonic()
            self._model.refresh(now)
            if now >= self._rows_due:
                self._write_rows(now)
            taken = self._source.take(now, self._model.batch_size)
            if taken:
                self._score(taken, now)
            elif self._source.exhausted:
                break
            else:
                self._wait(now)
        self._end(stop)
        return self._tally

    def _wait(self, now: float) -> None:
        pause = min(self._source.next_take(now) - time.monotonic(), _LONGEST_WAIT)
        if pause > 0 and self._source.wake.wait(pause):
            self._source.wake.clear()

    def _score(self, taken: list[Candidate], now: float) -> None:
        """Read, score and record some pictures: all of them or none."""
        workers = min(_MOST_READERS, len(taken), usable_processors())
        readings = list(map_in_order(self._read, taken, workers=workers, window=len(taken)))
        fresh = [one for one in readings if one.image is not None]
        known = [one for one in readings if one.known]
        failed = [one for one in readings if one.error is not None]
        for one in readings:
            if one.image is None and one.error is None and not one.known:
                self._source.look_again(one.candidate, now)
        failed = [one for one in failed if self._source.failed(one.candidate, now)]
        try:
            entries = self._judge.scored(fresh) + [self._judge.unreadable(one) for one in failed]
            self._record(entries, known, fresh + failed)
        except (EngineFailed, sqlite3.Error) as error:
            self._failures += 1
            if self._once and self._failures >= _MOST_FAILURES:
                raise  # the next run may do better
            what = "be computed" if isinstance(error, EngineFailed) else "go to the ledger"
            self._notices.trouble("scores", f"scores cannot {what} ({error}); trying again")
            for one in fresh + failed + known:
                self._source.postpone(one.candidate, now + _RETRY)
            return
        self._failures = 0
        self._notices.over("scores", "pictures are scored again")
        for one in fresh + failed + known:
            self._source.done(one.candidate)
        for entry in entries:
            self._count(entry)
        if self._rows_due == -math.inf:
            self._write_rows(now)
        if any(entry.calls for entry in entries):
            for channel in self._channels:
                channel.wake()

    def _read(self, candidate: Candidate) -> Reading:
        """Read, identify and decode a picture; called from several threads."""
        try:
            content = self._source.read(candidate)
            if content is None:
                return Reading(candidate)
            sha256 = hashlib.sha256(content).digest()
        except ImageError as error:
            known = self._ledger.knows(candidate.key, b"")
            return Reading(candidate, known=known, error=None if known else error)
        if self._ledger.knows(candidate.key, sha256):
            return Reading(candidate, sha256, known=True)
        try:
            image = decode_image(content, self._model.spec, name=candidate.name)
        except ImageError as error:
            return Reading(candidate, sha256, error=error)
        return Reading(candidate, sha256, image)

    def _record(
        self, entries: list[Entry], known: list[Reading], judged: Sequence[Reading]
    ) -> None:
        seen_again = [
            (one.candidate.key, one.sha256, one.candidate.signature)
            for one in known
            if one.candidate.signature is not None and one.sha256
        ]
        snapshots = [one.sha256.hex() for one in judged if one.candidate.signature is None]
        if entries or seen_again:
            self._ledger.record(entries, seen_again, snapshots[-1] if snapshots else None)

    def _count(self, entry: Entry) -> None:
        self._tally.scored += entry.score is not None
        self._tally.failed += entry.score is None
        row = json.loads(entry.record)
        self._tally.flagged += bool(row["anomalous"])
        if self._on_row is not None:
            self._on_row(row)

    def _write_rows(self, now: float) -> None:
        """Write what waits in the ledger; where that fails, again a little later."""
        try:
            self._rows.write()
        except (OutputError, sqlite3.Error) as error:
            self._rows_due = now + _RETRY
            self._notices.trouble("rows", f"{error}; the ledger keeps the rows until it works")
        else:
            self._rows_due = -math.inf
            self._notices.over("rows", "the rows are written again")

    def _end(self, stop: Stop) -> None:
        if self._once:
            self._rows.write()
            self._deliver(stop)
        elif self._rows_due > -math.inf:
            self._write_rows(time.monotonic())
        for channel in self._channels:
            channel.close()
        self._tally.waiting = sum(channel.waiting for channel in self._channels)

    def _deliver(self, stop: Stop) -> None:
        """Wait until all notifications were tried, or for as long as that may take."""
        until = time.monotonic() + _TRY_AT_THE_END
        for channel in self._channels:
            channel.wake()
        while not all(channel.idle for channel in self._channels):
            if stop.is_set() or time.monotonic() >= until:
                return
            time.sleep(_STEP)
