"""The watcher: pictures are taken as they arrive, scored, recorded, written and told of."""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from residua.engines.base import Precision
from residua.errors import ConfigurationError, EngineFailed, ImageError, OutputError
from residua.images.decode import decode_image, printable
from residua.images.parallel import map_in_order, usable_processors
from residua.watching.camera import CameraSource
from residua.watching.command import Command
from residua.watching.folder import FolderSource
from residua.watching.judging import Judge, Reading
from residua.watching.ledger import Entry, Ledger
from residua.watching.model import LiveModel
from residua.watching.notices import Notices, Say
from residua.watching.notifying import CHANNELS, Channel, Sender, Webhook, drop_unwanted
from residua.watching.origin import checked_url, without_password
from residua.watching.outbox import Outbox
from residua.watching.rows import RowFile, Rows, RowStream
from residua.watching.source import Candidate, Source

_MOST_READERS = 4
_LONGEST_WAIT = 0.2
_RETRY = 5.0
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


def watch(
    bundle: str | os.PathLike[str],
    source: str | os.PathLike[str],
    *,
    out: str | os.PathLike[str] | None = None,
    ledger: str | os.PathLike[str] | None = None,
    only_new: bool = False,
    once: bool = False,
    poll: bool = False,
    settle: float = 1.0,
    patience: float = 30.0,
    every: float = 2.0,
    timeout: float = 5.0,
    login: tuple[str, str] | None = None,
    webhook: str | None = None,
    webhook_secret: str | None = None,
    command: str | None = None,
    command_timeout: float = 60.0,
    on_error: bool = False,
    give_up: float = 24.0,
    heatmaps: str | os.PathLike[str] | None = None,
    threads: int | None = None,
    engine: str = "auto",
    precision: Precision = "float32",
    send: Callable[[bytes], None] | None = None,
    as_json: bool = False,
    on_row: Callable[[dict[str, Any]], None] | None = None,
    say: Say | None = None,
    stop: Stop | None = None,
) -> Tally:
    """Score pictures as they arrive, each once, until told to stop.

    Parameters
    ----------
    bundle : path-like
        The saved model; one that takes its place is used from then on.
    source : path-like or str
        A folder, with all folders in it; or the address of a camera's snapshot, http or https.
    out : path-like or None
        Where rows are appended, ``.csv`` or ``.jsonl``. None: they go to ``send``.
    ledger : path-like or None
        The record of what was scored. None: a file in the user's state folder, see
        `default_ledger`.
    only_new : bool
        Skip the files that are there at the very first start with this ledger.
    once : bool
        End when what is there is scored.
    poll : bool
        Look through the folder every second, as network shares need it.
    settle : float, ≥ 0
        Seconds for which a file must not change before it is read.
    patience : float, ≥ 0
        Seconds since its last change for which a file that cannot be read is tried again.
    every, timeout : float, > 0
        Seconds between two snapshots, and until a request for one has failed.
    login : (str, str) or None
        User and password for the camera.
    webhook, webhook_secret : str or None
        See `residua.watching.notifying.Webhook`.
    command : str or None
        See `residua.watching.command.Command`.
    command_timeout : float, > 0
        Seconds after which the command is killed.
    on_error : bool
        Tell also of pictures that cannot be read.
    give_up : float, > 0
        Hours for which a notification is tried.
    heatmaps : path-like or None
        Folder for heat maps of anomalous pictures, as PNG.
    threads, engine, precision
        See `residua.runtime.BundleScorer`.
    send : callable or None
        Takes rows as bytes where there is no ``out``. None: rows go to ``on_row`` alone.
    as_json : bool
        Whether ``send`` gets JSON lines rather than CSV.
    on_row : callable or None
        Called with each row once it is recorded, for a person to see.
    say : callable or None
        Takes what happens to the watcher, a line each. None: it goes to the log.
    stop : object with ``is_set()`` or None
        Asked several times a second. None: it ends with ``once`` only.

    Returns
    -------
    tally : Tally

    Raises
    ------
    ConfigurationError
        An option is out of range, or two contradict each other.
    BundleError, LedgerError, OutputError, ImageError
        What is given cannot be used at the start; or, with ``once``, at the end.
    """
    for name, value in (("settle", settle), ("patience", patience)):
        if not 0 <= value < math.inf:
            raise ConfigurationError(f"{name} is {value:g}; wanted seconds, at least 0")
    for name, value in (("give-up", give_up), ("command-timeout", command_timeout)):
        if not 0 < value < math.inf:
            raise ConfigurationError(f"{name} is {value:g}; wanted more than 0")
    notices, place = Notices(say), os.fspath(source)
    is_camera = "://" in place
    identity = _source_name(place)
    if heatmaps is not None and not is_camera:
        _refuse_inside(Path(heatmaps), Path(place))
    senders: list[Sender] = []
    if webhook is not None:
        senders.append(Webhook(webhook, secret=webhook_secret))
    if command is not None:
        senders.append(Command(command, notices, timeout=command_timeout, has_files=not is_camera))
    with ExitStack() as stack:
        model = LiveModel(
            Path(bundle), notices, threads=threads, engine=engine, precision=precision
        )
        where = default_ledger(bundle, place) if ledger is None else Path(ledger)
        record = Ledger(where, identity)
        stack.callback(record.close)
        stack.enter_context(_failures_named(record))
        rows: Rows = (
            RowStream(record, ".jsonl" if as_json else ".csv", send or _to_nobody)
            if out is None
            else RowFile(record, Path(out))
        )
        stack.callback(rows.close)
        pictures: Source = (
            CameraSource(
                place, record, notices, every=every, timeout=timeout, login=login, once=once
            )
            if is_camera
            else FolderSource(
                Path(place),
                record,
                notices,
                settle=settle,
                patience=patience,
                poll=poll,
                only_new=only_new,
                once=once,
            )
        )
        stack.callback(pictures.close)
        given = [sender.channel for sender in senders]
        for unwanted in set(CHANNELS) - set(given):
            drop_unwanted(Outbox(record, unwanted), unwanted, notices)
        channels = [
            Channel(sender, Outbox(record, sender.channel), notices, 3600 * give_up)
            for sender in senders
        ]
        for channel in channels:
            stack.callback(channel.close)
        judge = Judge(
            model,
            notices,
            channels=given,
            on_error=on_error,
            heatmaps=None if heatmaps is None else Path(heatmaps),
        )
        loop = _Loop(pictures, model, judge, record, rows, channels, notices, on_row)
        return loop.run(stop, once=once)


def default_ledger(bundle: str | os.PathLike[str], source: str | os.PathLike[str]) -> Path:
    """Return the ledger of a bundle and a source in the user's state folder."""
    from platformdirs import user_state_path

    place = os.fspath(source)
    both = f"{printable(str(Path(bundle).resolve()))}\n{_source_name(place)}"
    name = Path(place).name if "://" not in place else checked_url(place, "it").hostname
    words = re.sub(r"[^\w-]+", "-", f"{Path(bundle).stem}-{name}", flags=re.ASCII).strip("-")[:80]
    digest = hashlib.sha256(both.encode()).hexdigest()[:16]
    folder = user_state_path("residua", appauthor=False) / "watch"
    return folder / f"{words}-{digest}.sqlite"


class _Loop:
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
    ) -> None:
        self._source, self._model, self._judge = source, model, judge
        self._ledger, self._rows, self._channels = ledger, rows, channels
        self._notices, self._on_row = notices, on_row
        self._tally = Tally()
        self._rows_due = -math.inf

    def run(self, stop: Stop | None, *, once: bool) -> Tally:
        """Go on until told to stop or, with ``once``, until nothing is left."""
        while not (stop is not None and stop.is_set()):
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
        self._end(once=once)
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
            what = "be computed" if isinstance(error, EngineFailed) else "go to the ledger"
            self._notices.trouble("scores", f"scores cannot {what} ({error}); trying again")
            for one in fresh + failed + known:
                self._source.postpone(one.candidate, now + _RETRY)
            return
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
            if one.candidate.signature is not None
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

    def _end(self, *, once: bool) -> None:
        if once:
            self._rows.write()
            self._tally.waiting = sum(channel.finish(_TRY_AT_THE_END) for channel in self._channels)
        elif self._rows_due > -math.inf:
            self._write_rows(time.monotonic())


@contextmanager
def _failures_named(ledger: Ledger) -> Iterator[None]:
    """Give a failure of the ledger that no later attempt can mend its name."""
    try:
        yield
    except sqlite3.Error as error:
        raise ledger.unusable(error) from error


def _source_name(place: str) -> str:
    if "://" in place:
        return without_password(checked_url(place, "the camera"))
    return printable(str(Path(place).resolve()))


def _refuse_inside(heatmaps: Path, folder: Path) -> None:
    if heatmaps.resolve().is_relative_to(folder.resolve()):
        raise ConfigurationError(
            f"the heat maps would go to {heatmaps}, which lies in the folder that is watched, and "
            f"be scored themselves; name a folder outside of it"
        )


def _to_nobody(rows: bytes) -> None:
    """Let rows go that nobody asked for."""
