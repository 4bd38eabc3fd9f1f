"""Work on many items in threads, in order, with a bounded number of them in flight."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def usable_processors() -> int:
    """Return the number of processors that this program may run on."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS and Windows
        return os.cpu_count() or 1


def map_in_order(
    function: Callable[[T], R], items: Iterable[T], *, workers: int, window: int
) -> Generator[R, None, None]:
    """Yield ``function(item)`` for each item, in the order of the items.

    Parameters
    ----------
    function : callable
        Called from ``workers`` threads; from this one where that is 1.
    items : iterable
        Taken one by one, as there is room.
    workers : int
        Threads, ≥ 1. They end with the generator, also where it is left early.
    window : int
        Items begun but not yet asked for, at most; ≥ 1.
    """
    if workers == 1:
        yield from map(function, items)
        return
    pending: deque[Future[R]] = deque()
    pool = ThreadPoolExecutor(workers, thread_name_prefix="residua-decode")
    try:
        for item in items:
            pending.append(pool.submit(function, item))
            if len(pending) >= window:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
