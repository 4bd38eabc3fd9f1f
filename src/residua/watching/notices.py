"""What the watcher says of itself: a trouble once when it begins, and once when it is over."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable

Say = Callable[[str], None]


class Notices:
    """Says each trouble once, however often it is met.

    Parameters
    ----------
    say : callable or None
        Takes a line, from any thread. None: it goes to the log ``residua.watching``.
    """

    def __init__(self, say: Say | None = None) -> None:
        self._say = say or logging.getLogger("residua.watching").warning
        self._lock = threading.Lock()
        self._troubles: set[str] = set()

    def say(self, text: str) -> None:
        """Say a line."""
        with self._lock:
            self._tell(text)

    def trouble(self, topic: str, text: str) -> None:
        """Say a trouble, unless this topic has one already: its figures may change all the time."""
        with self._lock:
            if topic not in self._troubles:
                self._troubles.add(topic)
                self._tell(text)

    def over(self, topic: str, text: str) -> None:
        """Say that a topic's trouble is over; nothing where there was none."""
        with self._lock:
            if topic in self._troubles:
                self._troubles.remove(topic)
                self._tell(text)

    def _tell(self, text: str) -> None:
        with contextlib.suppress(OSError):  # nobody reads standard error any more
            self._say(printed(text))


def printed(text: str) -> str:
    """Return text on one line, without characters that would steer a terminal."""
    return "".join(
        one if one.isprintable() else one.encode("unicode_escape").decode() for one in text
    )
