"""The driver while workers train: it waits for them, shows their news, and says why they ended."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any, NamedTuple

from rich.console import Console

from residua.cluster.conducting import Failed, Lost, conducted
from residua.cluster.session import AUTO
from residua.cluster.state import SharedState
from residua.cluster.training import Begun, Gathered, Job, Trained
from residua.errors import WorkersLost
from residua.training.config import EpochRecord
from residua.training.interrupting import first_interrupt
from residua.training.progress import epoch_line

RESTARTS = 3
"""How often a group of workers is brought together anew after a loss."""
WAIT_SECONDS = 300.0
"""How long the driver waits for a group of workers to begin."""

_SECONDS_BETWEEN_LOOKS = 0.5


class Place(NamedTuple):
    """Where a fit is shared out, and what it puts up with."""

    cluster: str = AUTO
    """HOST:PORT of the cluster's head, or "auto"."""
    workers: int | None = None
    """How many train, at most; each takes a processor. None: as many as there are processors, if a
    batch has two pictures for each."""
    restarts: int = RESTARTS
    """Losses of workers after which the group goes on."""
    wait: float = WAIT_SECONDS
    """Seconds, at most, until a group of workers begins."""


def train_there(job: Job, state: SharedState, place: Place, console: Console | None) -> Trained:
    """Have the workers of a cluster train, and watch over it.

    Raises
    ------
    ResiduaError
        What a worker raised on purpose.
    WorkersLost
        No worker began in time, or workers were lost more often than is allowed.
    """
    import ray

    watch = Watch(job.config.epochs, place, state, console)
    try:
        with conducted() as conductor, first_interrupt(conductor.stop.remote):
            training = conductor.run.remote(
                replace(job, conductor=conductor), state, place.workers, place.restarts
            )
            done: list[Any] = []
            while not done:
                done, _ = ray.wait([training], timeout=_SECONDS_BETWEEN_LOOKS)
                for news in ray.get(conductor.news.remote(watch.heard)):
                    watch.hear(news)
                if not done:
                    watch.require_patience()
            found = ray.get(training)
    except ray.exceptions.RayError as error:
        raise watch.ended(f"{type(error).__name__}: {error}") from error
    return watch.result(found)


class Watch:
    """What the driver makes of the news from the workers."""

    def __init__(
        self, epochs: int, place: Place, state: SharedState, console: Console | None
    ) -> None:
        self.epochs, self.place, self.state, self.console = epochs, place, state, console
        self.heard = 0
        self.done = 0
        self.losses: list[str] = []
        self._waiting_since: float | None = time.monotonic()

    def hear(self, news: Any) -> None:
        """Take in one piece of news, and show it."""
        self.heard += 1
        if isinstance(news, EpochRecord):
            self.done = news.epoch
            say(self.console, epoch_line(news, self.epochs))
        elif isinstance(news, Gathered):
            self._waiting_since = None
        elif isinstance(news, Begun):
            if self.losses or news.epoch:
                say(self.console, f"going on after epoch {news.epoch} with {news.workers} workers")
        elif isinstance(news, Lost):
            self.losses.append(news.why)
            self._waiting_since = time.monotonic()
            say(self.console, f"workers were lost: {news.why}")

    def require_patience(self) -> None:
        """Refuse to wait longer for workers than was agreed.

        Raises
        ------
        WorkersLost
            They have not begun in time.
        """
        if self._waiting_since is None or (
            time.monotonic() - self._waiting_since < self.place.wait
        ):
            return
        before = f" after a loss ({self.losses[-1]})" if self.losses else ""
        raise WorkersLost(
            f"no worker has begun within {self.place.wait:g} s{before}: the cluster's processors "
            f"are at work for others, or its machines are gone; {self._way_on()}"
        )

    def result(self, found: Trained | Failed) -> Trained:
        """Return what the workers brought home, or raise why they did not.

        Raises
        ------
        ResiduaError
            What a worker raised on purpose.
        WorkersLost
            Workers were lost more often than is allowed.
        """
        if isinstance(found, Trained):
            return found
        if found.error is not None:
            raise found.error
        raise self.ended(found.why)

    def ended(self, why: str) -> WorkersLost:
        """Return the error of training that ended before its time."""
        if len(self.losses) <= self.place.restarts:
            return WorkersLost(f"training on the cluster ended: {why}; {self._way_on()}")
        return WorkersLost(
            f"workers were lost {len(self.losses)} times, and {self.place.restarts} times are "
            f"allowed; the last: {why}; {self._way_on()}"
        )

    def _way_on(self) -> str:
        if not self.done:
            return "no epoch was done; fit again when there are workers"
        return (
            f"the state after epoch {self.done} is in {self.state.location}: go on with it by "
            f"resuming (--resume)"
        )


def say(console: Console | None, text: str) -> None:
    """Print a line where progress is shown."""
    if console is not None:
        console.print(text, highlight=False)
