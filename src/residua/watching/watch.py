"""The watcher: pictures are taken as they arrive, scored, recorded, written and told of."""

from __future__ import annotations

import hashlib
import math
import os
import re
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from residua.engines.base import Precision
from residua.errors import ConfigurationError
from residua.images.decode import printable
from residua.storage import SCHEMES, as_local, is_url, local_path, name_of, scheme_of
from residua.watching.camera import CameraSource
from residua.watching.command import Command
from residua.watching.folder import FolderSource, check_folder
from residua.watching.judging import Judge
from residua.watching.ledger import Ledger
from residua.watching.loop import Loop, Stop, Tally
from residua.watching.model import LiveModel
from residua.watching.notices import Notices, Say
from residua.watching.notifying import CHANNELS, Channel, Sender, Webhook, drop_unwanted
from residua.watching.origin import checked_url, without_password
from residua.watching.outbox import Outbox
from residua.watching.rows import RowFile, Rows, RowStream
from residua.watching.source import Source


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
    bundle : path-like or URL
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
    notices, place = Notices(say), _watched(source)
    if heatmaps is not None:
        heatmaps = local_path(heatmaps, "the folder of heat maps")
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
            as_local(bundle) or bundle, notices, threads=threads, engine=engine, precision=precision
        )
        if not is_camera:
            check_folder(Path(place), once=once)
        where = (
            default_ledger(bundle, place) if ledger is None else local_path(ledger, "the ledger")
        )
        record = Ledger(where, identity)
        stack.callback(record.close)
        stack.enter_context(_failures_named(record))
        rows: Rows = (
            RowStream(record, ".jsonl" if as_json else ".csv", send or _to_nobody)
            if out is None
            else RowFile(record, local_path(out, "a file to which rows are appended"))
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
        loop = Loop(pictures, model, judge, record, rows, channels, notices, on_row, once=once)
        return loop.run(stop or threading.Event())


def default_ledger(bundle: str | os.PathLike[str], source: str | os.PathLike[str]) -> Path:
    """Return the ledger of a bundle and a source in the user's state folder.

    A bundle is known by its own path: where that is a link, it may come to lead to another one.
    """
    from platformdirs import user_state_path

    place = _watched(source)
    local = as_local(bundle)
    model = os.fspath(bundle) if local is None else str(Path(local).absolute())
    both = f"{printable(model)}\n{_source_name(place)}"
    name = Path(place).name if "://" not in place else checked_url(place, "it").hostname
    named = f"{Path(name_of(bundle)).stem}-{name}"
    words = re.sub(r"[^\w-]+", "-", named, flags=re.ASCII).strip("-")[:80]
    digest = hashlib.sha256(both.encode()).hexdigest()[:16]
    folder = user_state_path("residua", appauthor=False) / "watch"
    return folder / f"{words}-{digest}.sqlite"


@contextmanager
def _failures_named(ledger: Ledger) -> Iterator[None]:
    """Give a failure of the ledger that no later attempt can mend its name."""
    try:
        yield
    except sqlite3.Error as error:
        raise ledger.unusable(error) from error


def _source_name(place: str) -> str:
    """Return by what a ledger knows its source; what follows a camera's host may be a secret."""
    if "://" in place:
        parts = checked_url(place, "the camera")
        digest = hashlib.sha256(without_password(parts).encode()).hexdigest()[:16]
        return f"{parts.scheme}://{parts.hostname} (address {digest})"
    return printable(str(Path(place).resolve()))


def _watched(source: str | os.PathLike[str]) -> str:
    """Return the folder or the camera's address; an object store is neither."""
    text = os.fspath(source)
    if is_url(text) and scheme_of(text) in SCHEMES:
        return str(local_path(text, "a folder that is watched"))
    return text


def _refuse_inside(heatmaps: Path, folder: Path) -> None:
    if heatmaps.resolve().is_relative_to(folder.resolve()):
        raise ConfigurationError(
            f"the heat maps would go to {heatmaps}, which lies in the folder that is watched, and "
            f"be scored themselves; name a folder outside of it"
        )


def _to_nobody(rows: bytes) -> None:
    """Let rows go that nobody asked for."""
