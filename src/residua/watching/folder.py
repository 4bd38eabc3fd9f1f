"""Pictures that arrive as files below a folder."""

from __future__ import annotations

import math
import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path

from residua.errors import ImageTooLarge, UnreadableFile
from residua.images.decode import printable
from residua.watching.events import Events, require_watchfiles
from residua.watching.ledger import Ledger
from residua.watching.notices import Notices
from residua.watching.rounds import Rounds
from residua.watching.settling import UNKNOWN, Settling, Signature
from residua.watching.source import Candidate, Source
from residua.watching.walking import Names, walk

MAX_BYTES = 1 << 30
"""Larger files are not read."""
# Files that wait at most, and of those that a walk has found: what arrives now need not wait long
# behind what was there.
_MOST_WAITING, _MOST_WALKED = 20_000, 1_000
_ENTRIES_A_STEP, _LOOKS_A_STEP = 1_000, 1_000
_CHECK_EVERY, _LISTEN_EVERY = 0.5, 60.0


class FolderSource(Source):
    """Files of a folder and all folders in it, each when it has stood still.

    Parameters
    ----------
    root : Path
    ledger : Ledger
        Knows what was read before.
    notices : Notices
    settle, patience : float
        See `Settling`.
    poll : bool
        See `Events`.
    only_new : bool
        Skip what is there at the very first start.
    once : bool
        End with what is there.

    Raises
    ------
    MissingExtra
        watchfiles is not installed.
    UnreadableFile
        The folder is missing, is a file, or may not be listed.
    """

    def __init__(
        self,
        root: Path,
        ledger: Ledger,
        notices: Notices,
        *,
        settle: float,
        patience: float,
        poll: bool = False,
        only_new: bool = False,
        once: bool = False,
    ) -> None:
        super().__init__()
        self._root, self._ledger, self._notices = str(root.absolute()), ledger, notices
        self._settling = Settling(settle, patience)
        self._settle, self._poll, self._once = settle, poll, once
        self._names = Names()
        self._identity: tuple[int, int] | None = _found(self._root)
        self._checked = -math.inf
        self._events: Events | None = None
        self._listen_again = math.inf
        self._unlisted: set[str] = set()
        self._rounds = Rounds(self._walk, once=once)
        self._listen()
        if not ledger.begun:
            ledger.begin(self._keys_below() if only_new else ())

    def take(self, now: float, most: int) -> list[Candidate]:
        """Return files that have stood still; see `Source.take`."""
        self._check_folder(now)
        if self._identity is None:
            return []
        self._take_events(now)
        self._walk_on(now)
        ready: list[Candidate] = []
        for _ in range(_LOOKS_A_STEP):
            key = self._settling.due(now) if len(ready) < most else None
            if key is None:
                break
            signature = self._signature(key)
            if signature is None or self._ledger.knows_signature(key, signature):
                self._settling.forget(key)
            elif self._settling.looked(key, signature, now, self._age(signature)):
                ready.append(self._candidate(key, signature))
            elif self._once and self._settling.restless(key, now):
                self._settling.forget(key)
                self._notices.say(
                    f"{printable(os.fsdecode(key))} still changes; left for next time"
                )
        return ready

    def done(self, candidate: Candidate) -> None:
        """Wait for the file no more."""
        self._settling.forget(candidate.key)

    def failed(self, candidate: Candidate, now: float) -> bool:
        """Try the file again, until patience ends; see `Source.failed`."""
        self._checked = -math.inf
        self._check_folder(now)
        if self._identity is None:
            self._settling.forget(candidate.key)  # it is found when the folder is back
            return False
        return self._settling.failed(candidate.key, now)

    def look_again(self, candidate: Candidate, now: float) -> None:
        """See what became of the file; see `Source.look_again`."""
        self._settling.postpone(candidate.key, now + self._settle)

    def postpone(self, candidate: Candidate, until: float) -> None:
        """Give the file again; see `Source.postpone`."""
        self._settling.postpone(candidate.key, until)

    def read(self, candidate: Candidate) -> bytes | None:
        """Return the content of a file, if it is what it was when it stood still."""
        assert candidate.path is not None
        try:
            # Not to wait for ever, should a pipe have taken the file's place.
            flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
            descriptor = os.open(candidate.path, flags)
            with os.fdopen(descriptor, "rb") as file:
                before = Signature.of(os.fstat(descriptor))
                if before != candidate.signature:
                    return None
                if before.size > MAX_BYTES:
                    raise ImageTooLarge(
                        f"{candidate.name} has {before.size:,} bytes; the limit is {MAX_BYTES:,}; "
                        f"leave it out"
                    )
                content = file.read(before.size + 1)
                same = Signature.of(os.fstat(descriptor)) == before
                return content if same and len(content) == before.size else None
        except FileNotFoundError:
            return None
        except PermissionError as error:
            raise UnreadableFile(
                f"{candidate.name} may not be read (permission denied); give this user the right to"
            ) from error
        except OSError as error:
            raise UnreadableFile(
                f"{candidate.name} cannot be read ({error.strerror}); check the disk or the network"
            ) from error

    def next_take(self, now: float) -> float:
        """Return when something is to be looked at; see `Source.next_take`."""
        if self._identity is None:
            return now + _CHECK_EVERY
        look = min(self._settling.next_look, now + _CHECK_EVERY)
        if self._room() <= 0:
            return look
        return now if self._rounds.walking else min(look, self._rounds.next_walk)

    @property
    def exhausted(self) -> bool:
        """Whether the folder was looked through once, and nothing of it waits."""
        walked = not self._rounds.walking and self._rounds.next_walk == math.inf
        return self._once and (self._identity is None or (walked and not len(self._settling)))

    def close(self) -> None:
        """Stop listening."""
        if self._events is not None:
            self._events.close()
            self._events = None

    def _keys_below(self) -> Iterator[tuple[bytes, Signature]]:
        for found in self._walk(""):
            if found is not None:
                yield _key(found[0]), found[1]

    def _listen(self) -> None:
        """Listen to changes from now on, then look through what is there."""
        self.close()
        if not self._once:
            self._events = Events(self._root, self._names, self.wake, poll=self._poll)
            self._events.listening.wait(10)
        self._rounds.start_over()

    def _walk(self, below: str) -> Iterator[tuple[str, Signature] | None]:
        refused: set[str] = set()

        def complain(folder: str, error: OSError) -> None:
            refused.add(folder)
            self._notices.trouble(
                f"list {folder}",
                f"the folder {printable(folder)} may not be listed: {error.strerror}",
            )

        yield from walk(self._root, below, self._names, complain)
        self._unlisted |= refused
        if not below:  # it came to all folders there are
            for folder in self._unlisted - refused:
                self._notices.over(
                    f"list {folder}", f"the folder {printable(folder)} is listed again, or gone"
                )
            self._unlisted = refused

    def _check_folder(self, now: float) -> None:
        """See whether the folder is there, and the one that it was; it may be a share."""
        if now - self._checked < _CHECK_EVERY:
            return
        self._checked = now
        try:
            identity = folder_identity(self._root)
        except UnreadableFile as error:
            if self._identity is not None:
                self._identity = None
                self.close()
            self._notices.trouble("folder", f"{error}; waiting for it")
            return
        if identity != self._identity or (self._events is not None and self._events.moved):
            if self._identity is not None:
                self._notices.say(
                    f"the folder {printable(self._root)} is another one now, as after mounting or "
                    f"making it anew; going on with what is there"
                )
            self._identity = identity
            self._listen()
        self._notices.over("folder", f"the folder {printable(self._root)} is there again")

    def _take_events(self, now: float) -> None:
        if self._events is None:
            return
        self._heed_listener(self._events, now)
        files, folders, overflowed = self._events.take(_MOST_WAITING - len(self._settling))
        for file in files:
            self._settling.notice(_key(file), now)
        for folder in folders:
            self._rounds.new_folder(folder, now)
        if overflowed:
            self._rounds.missed(now)

    def _heed_listener(self, events: Events, now: float) -> None:
        """See whether the system tells of changes; try again from time to time where not."""
        if events.failed is not None:
            self._notices.trouble(
                "events",
                f"the system does not tell of changes ({events.failed}); the folder is looked "
                f"through every few seconds instead",
            )
            self._rounds.untold = True
            self._listen_again = min(self._listen_again, now + _LISTEN_EVERY)
            if now >= self._listen_again:
                self._listen_again = math.inf
                events.close()
                self._events = Events(self._root, self._names, self.wake, poll=self._poll)
        elif self._rounds.untold and events.listening.is_set():
            self._rounds.untold = False
            self._rounds.missed(now)  # what changed before it was told
            self._notices.over("events", "the system tells of changes again")

    def _age(self, signature: Signature) -> float:
        """Return for how many seconds a file is known to have stood still.

        Only a run that ends trusts the clocks, not to wait for old files; where they differ, as on
        a share, the next run takes up what comes late.
        """
        if not self._once:
            return 0.0
        return max(0.0, time.time() - max(signature.mtime, signature.ctime) / 1e9)

    def _room(self) -> int:
        """Return how many more files a walk may find now."""
        return min(_MOST_WAITING - len(self._settling), _MOST_WALKED - self._settling.untried)

    def _walk_on(self, now: float) -> None:
        """Take in a few of the files that lie there and are not recorded as they are."""
        for below, signature in self._rounds.go_on(now, min(self._room(), _ENTRIES_A_STEP)):
            key = _key(below)
            if not self._ledger.knows_signature(key, signature):
                self._settling.notice(key, now)

    def _signature(self, key: bytes) -> Signature | None:
        try:
            status = os.stat(self._path(key))  # noqa: PTH116
        except PermissionError:
            return UNKNOWN  # reading it says what is wrong
        except OSError:
            return None
        return Signature.of(status) if stat.S_ISREG(status.st_mode) else None

    def _path(self, key: bytes) -> str:
        return os.path.join(self._root, os.fsdecode(key).replace("/", os.sep))  # noqa: PTH118

    def _candidate(self, key: bytes, signature: Signature) -> Candidate:
        path = self._path(key)
        below = printable(os.fsdecode(key))
        first, slash, _ = below.partition("/")
        return Candidate(
            key, below, printable(path), first if slash else None, os.fsencode(path), signature
        )


def folder_identity(root: str) -> tuple[int, int]:
    """Return what tells this folder from another one of its name.

    Raises
    ------
    UnreadableFile
        It is missing, is no folder, or may not be listed.
    """
    try:
        with os.scandir(root):
            status = os.stat(root)  # noqa: PTH116
    except FileNotFoundError as error:
        raise UnreadableFile(f"the folder {printable(root)} does not exist") from error
    except NotADirectoryError as error:
        raise UnreadableFile(f"{printable(root)} is a file, wanted a folder") from error
    except OSError as error:
        raise UnreadableFile(
            f"the folder {printable(root)} may not be listed ({error.strerror})"
        ) from error
    return status.st_dev, status.st_ino


def check_folder(root: Path, *, once: bool) -> None:
    """Refuse, before anything is made, a folder that cannot be watched.

    Raises
    ------
    UnreadableFile, MissingExtra
        It cannot be looked at; what listens is not installed.
    """
    _found(str(root.absolute()))
    if not once:
        require_watchfiles()


def _found(root: str) -> tuple[int, int]:
    try:
        return folder_identity(root)
    except UnreadableFile as error:
        raise UnreadableFile(f"{error}; check the path") from error


def _key(below: str) -> bytes:
    return os.fsencode(below.replace(os.sep, "/"))
