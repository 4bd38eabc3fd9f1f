"""When a folder is looked through, and how far a walk has come."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from residua.watching.settling import Signature

Found = tuple[str, Signature]
Walk = Callable[[str], Iterator[Found | None]]

# A folder is looked through at such times even where the system tells of changes, since it may
# lose some; and never for more than a twentieth of the time.
_EVERY, _EVERY_UNTOLD, _PAUSE_PER_WALK = 60.0, 5.0, 20.0
# A new folder is looked through once more after so long: what was written to it before the system
# listened there is found then.
_AGAIN = 2.0


class Rounds:
    """The walks through a folder, one at a time, a few steps at once.

    Parameters
    ----------
    walk : callable
        Begins a walk below a path; see `residua.watching.walking.walk`.
    once : bool
        One walk through everything, and no other.

    Attributes
    ----------
    untold : bool
        Whether changes are found by walks alone, which then come more often.
    """

    def __init__(self, walk: Walk, *, once: bool = False) -> None:
        self._walk, self._once = walk, once
        self.untold = False
        self.start_over()

    def start_over(self) -> None:
        """Look through everything now."""
        self._due: dict[str, float] = {"": -math.inf}
        self._again: dict[str, None] = {}
        self._steps: Iterator[Found | None] | None = None
        self._below, self._begun = "", 0.0

    def new_folder(self, below: str, now: float) -> None:
        """Look through a new folder, now and once more."""
        self._due[below] = now
        self._again[below] = None

    def missed(self, now: float) -> None:
        """Look through everything soon: changes were lost."""
        self._due[""] = min(self._due.get("", math.inf), now + _AGAIN)

    @property
    def walking(self) -> bool:
        """Whether a walk is under way."""
        return self._steps is not None

    @property
    def next_walk(self) -> float:
        """When the next walk begins; infinite: none does."""
        return min(self._due.values(), default=math.inf)

    def go_on(self, now: float, most: int) -> Iterator[Found]:
        """Yield what so many steps find; begin a walk where it is time for one."""
        if self._steps is None:
            if self.next_walk > now:
                return
            self._below = min(self._due, key=lambda below: self._due[below])
            del self._due[self._below]
            self._steps, self._begun = self._walk(self._below), now
        for _ in range(most):
            try:
                found = next(self._steps)
            except StopIteration:
                self._ended(now)
                return
            if found is not None:
                yield found

    def _ended(self, now: float) -> None:
        self._steps = None
        if self._once:
            return
        if self._below in self._again:
            del self._again[self._below]
            self._due.setdefault(self._below, now + _AGAIN)
        every = _EVERY_UNTOLD if self.untold else _EVERY
        if not self._below:
            self._due.setdefault("", now + max(every, _PAUSE_PER_WALK * (now - self._begun)))
