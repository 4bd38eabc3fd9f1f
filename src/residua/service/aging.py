"""The time by which kept pictures grow old."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime

from residua.service.logs import log

# Seconds by which the clock may be ahead of the time that has passed, as after a leap or a drift.
_JUMP = 3600.0
# Seconds for which a clock that has jumped ahead is not believed: time to set it right.
_RESPITE = 86_400.0


def _wall_clock() -> datetime:
    return datetime.now(UTC)


class Aging:
    """Tells when pictures are too old; a clock that jumps ahead costs none of them at once.

    A machine that was asleep looks as one whose clock has jumped: there pictures stay a day longer.
    Only jumps that this process sees count, and what it does not believe ends with it: a day's wait
    after each start would let a service that is started every day keep its pictures for ever.

    Parameters
    ----------
    wall : callable
        Returns the time of the day, which may jump.
    steady : callable
        Returns the seconds that have passed since some moment; it never jumps.
    """

    def __init__(
        self,
        wall: Callable[[], datetime] = _wall_clock,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._wall, self._steady = wall, steady
        self._last = wall(), steady()
        self._believed_at = -float("inf")

    def now(self) -> datetime | None:
        """Return the time; None where it has jumped ahead within the last day."""
        wall, steady = self._wall(), self._steady()
        last_wall, last_steady = self._last
        self._last = wall, steady
        ahead = (wall - last_wall).total_seconds() - (steady - last_steady)
        if ahead > _JUMP:
            self._believed_at = steady + _RESPITE
            log(
                "clock_jumped",
                logging.WARNING,
                hours=round(ahead / 3600, 1),
                consequence="no picture is removed for its age within the next day",
            )
        elif ahead < -_JUMP:  # it was set right, or is behind, which costs nothing
            self._believed_at = -float("inf")
        return None if steady < self._believed_at else wall
