"""Where pictures come from: what a folder and a camera have in common."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from typing import NamedTuple

from residua.watching.settling import Signature


class Candidate(NamedTuple):
    """A picture that is to be read now."""

    key: bytes
    """Under which the ledger knows it."""
    id: str
    """As rows name it."""
    name: str
    """As errors name it."""
    label: str | None
    """The first folder below the one that is watched."""
    path: bytes | None
    """The file, absolute; None: a camera's picture."""
    signature: Signature | None
    """What the file looked like; None: it is not remembered, since it cannot come again."""


class Source(ABC):
    """Gives pictures as they arrive. Only `read` is called from other threads."""

    def __init__(self) -> None:
        self.wake = threading.Event()
        """Set when something may have arrived."""

    @abstractmethod
    def take(self, now: float, most: int) -> list[Candidate]:
        """Return pictures that are to be read now; each is answered by one of the next four."""

    @abstractmethod
    def done(self, candidate: Candidate) -> None:
        """Take in that a picture is recorded."""

    @abstractmethod
    def failed(self, candidate: Candidate, now: float) -> bool:
        """Take in that a picture could not be read; True: it is to be recorded so."""

    @abstractmethod
    def look_again(self, candidate: Candidate, now: float) -> None:
        """Take in that a picture changed or vanished while it was read."""

    @abstractmethod
    def postpone(self, candidate: Candidate, until: float) -> None:
        """Give a picture again at a later time."""

    @abstractmethod
    def read(self, candidate: Candidate) -> bytes | None:
        """Return a picture's content; None: it changed or vanished.

        Raises
        ------
        ImageError
            It cannot be read.
        """

    @abstractmethod
    def next_take(self, now: float) -> float:
        """Return when `take` may give something, if nothing wakes before."""

    @property
    @abstractmethod
    def exhausted(self) -> bool:
        """Whether all that was there has been given and answered, where nothing is waited for."""

    @abstractmethod
    def close(self) -> None:
        """Stop waiting for pictures."""
