"""How much the service takes in at a time: back-pressure before memory is short."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager

from residua.errors import RequestTooLarge, TooBusy
from residua.service.settings import Limits

# Weight of the latest second in the running rate.
_LATEST = 0.3


class Admission:
    """Counts pictures and bytes that were taken in and not answered yet; of one event loop.

    Parameters
    ----------
    limits : Limits
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.pictures = 0
        """Pictures taken in and not answered yet."""
        self.bytes = 0
        """Bytes of bodies held."""
        self._per_second = 0.0
        self._answered, self._since = 0, time.monotonic()

    def check_room(self) -> None:
        """Refuse a request before its body is read, where the queue is full.

        Raises
        ------
        TooBusy
            As many pictures as may wait are waiting.
        """
        if self.pictures >= self._limits.queue:
            raise self._too_busy(f"{self.pictures:,} pictures are waiting, as many as may")

    def hold_bytes(self, count: int) -> None:
        """Count bytes that have come.

        Raises
        ------
        TooBusy
            All requests together hold too many.
        """
        if self.bytes + count > self._limits.bytes_in_flight:
            raise self._too_busy(
                f"the bodies of all requests hold {self.bytes:,} bytes, and "
                f"{self._limits.bytes_in_flight:,} is the limit"
            )
        self.bytes += count

    def release_bytes(self, count: int) -> None:
        """Forget bytes that are not held any more."""
        self.bytes -= count

    @contextmanager
    def hold_pictures(self, count: int) -> Iterator[None]:
        """Count pictures for the length of a ``with``.

        Raises
        ------
        RequestTooLarge
            More than may ever wait.
        TooBusy
            More than there is room for now.
        """
        if count > self._limits.queue:
            raise RequestTooLarge(
                f"the request has {count:,} pictures and {self._limits.queue:,} may wait; send "
                f"fewer at a time"
            )
        if self.pictures + count > self._limits.queue:
            raise self._too_busy(
                f"{self.pictures:,} pictures are waiting, {count:,} more are over the limit of "
                f"{self._limits.queue:,}"
            )
        self.pictures += count
        try:
            yield
        finally:
            self.pictures -= count
            self._count_answered(count)

    def _count_answered(self, count: int) -> None:
        self._answered += count
        elapsed = time.monotonic() - self._since
        if elapsed >= 1.0:
            latest = self._answered / elapsed
            self._per_second += (
                _LATEST * (latest - self._per_second) if self._per_second else latest
            )
            self._answered, self._since = 0, time.monotonic()

    def _too_busy(self, why: str) -> TooBusy:
        seconds = math.ceil(self.pictures / self._per_second) if self._per_second else 1
        seconds = min(max(seconds, 1), 60)
        return TooBusy(f"{why}; send it again in {seconds} s", retry_after=seconds)
