"""Work on many items in threads, in order, with a bounded number of them in flight."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from threading import Event
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
    function: Callable[[T], R], items: Iterable[T], *, workers: int, window: int, run: int = 1
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
        Items begun but not yet asked for, at most, a run more or less; ≥ 1.
    run : int
        Items that a thread takes at once, ≥ 1: handing one over takes some 0.05 ms.
    """
    if workers == 1:
        yield from map(function, items)
        return
    left = Event()

    def work(batch: list[T]) -> list[R]:
        return [function(item) for item in batch if not left.is_set()]

    pending: deque[Future[list[R]]] = deque()
    rest = iter(items)
    pool = ThreadPoolExecutor(workers, thread_name_prefix="residua")
    try:
        while batch := list(islice(rest, run)):
            pending.append(pool.submit(work, batch))
            if len(pending) * run >= window:
                yield from pending.popleft().result()
        while pending:
            yield from pending.popleft().result()
    finally:
        left.set()
        pool.shutdown(wait=True, cancel_futures=True)
