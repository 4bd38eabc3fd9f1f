"""Pictures of many requests computed together: a bounded wait, one queue a model, some threads."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from residua.errors import WaitedTooLong
from residua.scoring.verdicts import ScoredBatch


class Computes(Protocol):
    """A model that scores batches."""

    @property
    def batch_size(self) -> int:
        """Pictures that are best computed together."""

    def compute(self, images: NDArray[np.uint8], *, at_once: int) -> ScoredBatch:
        """Score pictures (B, H, W, C); ``at_once`` calls are made at the same time."""


@dataclass(eq=False)
class _Waiting:
    image: NDArray[np.uint8]
    since: float
    result: Future[ScoredBatch] = field(default_factory=Future)


class Batcher:
    """Computes pictures as they come, several together where several wait.

    Where one thread would be the only one at work, its batch is computed by all processors;
    where many wait, each thread computes batches of its own, which is faster on the whole.

    Parameters
    ----------
    threads : int
        Threads that compute, ≥ 1.
    at_once : int or None, default=None
        Among how many calls the processors are shared out where many compute. None: ``threads``.
    wait : float
        Seconds that a picture waits for others to fill its batch.
    patience : float
        Seconds after which a picture whose turn has not come is given up.
    observe : callable
        Called with (pictures, seconds waited by the first, seconds computed) of each batch, from
        the thread that computed it.
    """

    def __init__(
        self,
        threads: int,
        *,
        at_once: int | None = None,
        wait: float = 0.002,
        patience: float = 20.0,
        observe: Callable[[int, float, float], None] | None = None,
    ) -> None:
        self._wait, self._patience = wait, patience
        self._at_once = at_once or threads
        self._observe = observe or (lambda *_: None)
        self._queues: dict[Computes, deque[_Waiting]] = {}
        self._changed = threading.Condition()
        self._busy = 0
        self._closing = False
        self._threads = [
            threading.Thread(target=self._work, name=f"residua-compute-{n}", daemon=True)
            for n in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def waiting(self) -> int:
        """Pictures whose turn has not come."""
        with self._changed:
            return sum(map(len, self._queues.values()))

    def submit(self, model: Computes, image: NDArray[np.uint8]) -> Future[ScoredBatch]:
        """Queue a picture (H, W, C); the future gives a batch of one.

        A future that is cancelled before its turn costs nothing.

        Raises
        ------
        RuntimeError
            The batcher is closed.
        """
        one = _Waiting(image, time.monotonic())
        with self._changed:
            if self._closing:
                raise RuntimeError("the batcher is closed")
            self._queues.setdefault(model, deque()).append(one)
            self._changed.notify()
        # Not told of the picture itself: it would hold itself, and stay until a collection.
        one.result.add_done_callback(partial(self._drop, model))
        return one.result

    def close(self) -> None:
        """Compute what is queued, then end the threads."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _drop(self, model: Computes, result: Future[ScoredBatch]) -> None:
        """Forget a picture that was cancelled, which would hold its memory until its turn."""
        if not result.cancelled():
            return
        with self._changed:
            queue = self._queues.get(model)
            if queue is None:
                return
            left = [one for one in queue if one.result is not result]
            queue.clear()
            queue.extend(left)
            if not queue:
                del self._queues[model]

    def _work(self) -> None:
        while True:
            taken = self._next()
            if taken is None:
                return
            model, batch, at_once = taken
            try:
                self._compute(model, batch, at_once)
            finally:
                with self._changed:
                    self._busy -= 1

    def _next(self) -> tuple[Computes, list[_Waiting], int] | None:
        """Wait for the batch whose first picture came first; None: there will be no more."""
        with self._changed:
            while True:
                model = min(self._queues, key=lambda one: self._queues[one][0].since, default=None)
                if model is None:
                    if self._closing:
                        return None
                    self._changed.wait()
                    continue
                queue = self._queues[model]
                left = self._wait - (time.monotonic() - queue[0].since)
                if len(queue) < model.batch_size and left > 0 and not self._closing:
                    self._changed.wait(left)
                    continue
                batch = [queue.popleft() for _ in range(min(model.batch_size, len(queue)))]
                if not queue:
                    del self._queues[model]
                alone = not self._busy and not self._queues
                self._busy += 1
                return model, batch, 1 if alone else self._at_once

    def _compute(self, model: Computes, batch: list[_Waiting], at_once: int) -> None:
        start = time.monotonic()
        batch = [one for one in batch if one.result.set_running_or_notify_cancel()]
        in_time = [one for one in batch if start - one.since <= self._patience]
        for one in set(batch) - set(in_time):
            one.result.set_exception(
                WaitedTooLong(
                    f"the picture waited {start - one.since:.0f} s for its turn, longer than "
                    f"{self._patience:g} s; send it again when there is less to do",
                    retry_after=max(1, round(self._patience)),
                )
            )
        if not in_time:
            return
        try:
            scored = model.compute(np.stack([one.image for one in in_time]), at_once=at_once)
            self._observe(len(in_time), start - in_time[0].since, time.monotonic() - start)
            for row, one in enumerate(in_time):
                # Copies, so that one picture does not hold its whole batch in memory.
                one.result.set_result(_row(scored, row))
        except Exception as error:  # this thread must not end, and nobody wait for ever
            for one in in_time:
                if not one.result.done():
                    one.result.set_exception(error)


def _row(scored: ScoredBatch, row: int) -> ScoredBatch:
    parts: list[Any] = [part[row : row + 1].copy() for part in scored]
    return ScoredBatch(*parts)
