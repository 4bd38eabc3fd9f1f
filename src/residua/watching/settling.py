"""When is a file ready to be read? When it has stood still; and if it does not decode, later again.

Nothing here touches a disk or a clock: the caller brings what it saw, and the time of a clock that
is never set back.
"""

from __future__ import annotations

import heapq
import math
import os
from dataclasses import dataclass
from typing import NamedTuple

# Files are looked at again after as many seconds where settle is shorter.
_SHORTEST_PAUSE = 0.25
_MOST_DOUBLINGS = 20


class Signature(NamedTuple):
    """What changes when a file is written to; compared for equality only."""

    size: int
    """Bytes."""
    mtime: int
    """Time of the last change of its content, in nanoseconds."""
    ctime: int
    """Time of the last change of content, name or rights, in nanoseconds."""

    @classmethod
    def of(cls, status: os.stat_result) -> Signature:
        """Take it from what ``os.stat`` says."""
        return cls(status.st_size, status.st_mtime_ns, status.st_ctime_ns)


UNKNOWN = Signature(-1, 0, 0)
"""That of a file of which not even this may be known."""


@dataclass(slots=True)
class _Waiting:
    first: float
    """When it was noticed."""
    look_at: float
    """When to look at it next; infinite: a look is under way."""
    signature: Signature | None = None
    still_since: float = 0.0
    changed: float = 0.0
    """When it last changed, as far as that is known."""
    tries: int = 0
    """Times that it stood still and could not be read."""


class Settling:
    """The files that wait until they stand still.

    Every key that `due` gives is answered by one of `looked`, `failed`, `postpone` and `forget`.

    Parameters
    ----------
    settle : float, ≥ 0
        Seconds for which size and times must not change.
    patience : float, ≥ 0
        Seconds since its last change for which a file that cannot be read is tried again.
    """

    def __init__(self, settle: float, patience: float) -> None:
        self._settle, self._patience = settle, patience
        self._waiting: dict[bytes, _Waiting] = {}
        self._looks: list[tuple[float, bytes]] = []
        self._tried = 0

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def untried(self) -> int:
        """Files that no reading has failed of."""
        return len(self._waiting) - self._tried

    def notice(self, key: bytes, now: float) -> None:
        """Take in a file that came or changed; one that waits already is looked at sooner."""
        one = self._waiting.get(key)
        if one is None:
            self._waiting[key] = _Waiting(now, now)
            heapq.heappush(self._looks, (now, key))
        elif one.look_at < math.inf:
            self._look(key, one, min(one.look_at, now + self._settle))

    def due(self, now: float) -> bytes | None:
        """Return a file that is to be looked at now; None: there is none."""
        while self._looks and self._looks[0][0] <= now:
            look_at, key = heapq.heappop(self._looks)
            one = self._waiting.get(key)
            if one is not None and one.look_at == look_at:
                one.look_at = math.inf
                return key
        return None

    def looked(self, key: bytes, signature: Signature, now: float, age: float = 0.0) -> bool:
        """Take in what a file looks like; True: it has stood still and is to be read.

        A new signature may have an ``age`` in seconds, of which patience is shorter.
        """
        one = self._waiting[key]
        if signature != one.signature:
            one.signature, one.still_since, one.changed = signature, now, now - age
            self._tried -= one.tries > 0
            one.tries = 0
        elif now - one.still_since >= self._settle:
            return True
        self._look(key, one, one.still_since + self._settle)
        return False

    def failed(self, key: bytes, now: float) -> bool:
        """Take in that a file could not be read; True: it has been waited for long enough."""
        one = self._waiting[key]
        if now - one.changed >= self._patience:
            return True
        self._tried += one.tries == 0
        pause = max(self._settle, _SHORTEST_PAUSE) * 2 ** min(one.tries, _MOST_DOUBLINGS)
        one.tries += 1
        self._look(key, one, min(now + pause, one.changed + self._patience))
        return False

    def postpone(self, key: bytes, until: float) -> None:
        """Look at a file again at a later time, for no fault of its own."""
        self._look(key, self._waiting[key], until)

    def forget(self, key: bytes) -> None:
        """Wait for a file no more."""
        one = self._waiting.pop(key)
        self._tried -= one.tries > 0

    def restless(self, key: bytes, now: float) -> bool:
        """Say whether a file was waited for as long as patience lasts and still changes."""
        one = self._waiting[key]
        return one.tries == 0 and now - one.first > self._settle + self._patience

    @property
    def next_look(self) -> float:
        """When a file is to be looked at next, or earlier; infinite: none waits."""
        return self._looks[0][0] if self._looks else math.inf

    def _look(self, key: bytes, one: _Waiting, at: float) -> None:
        if one.look_at != at:
            one.look_at = at
            heapq.heappush(self._looks, (at, key))
