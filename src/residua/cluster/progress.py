"""What a person sees while a cluster scores."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

if TYPE_CHECKING:
    from rich.console import Console

    from residua.cluster.scoring import Progress

_SECONDS_BETWEEN_LINES = 30.0


class ShowProgress:
    """A bar on a terminal: pictures, failed, rate, time left; else a line now and then.

    Parameters
    ----------
    console : rich.console.Console
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._stack = ExitStack()
        self._bar: Bar | None = None
        self._task: Any = None
        self._said = time.monotonic()

    def __enter__(self) -> ShowProgress:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def __call__(self, progress: Progress) -> None:
        """Show how far a run is."""
        if not self._console.is_terminal:
            self._say_now_and_then(progress)
            return
        if self._bar is None:
            self._bar = self._stack.enter_context(
                Bar(
                    TextColumn("score"),
                    BarColumn(),
                    MofNCompleteColumn(),
                    TextColumn("{task.fields[figures]}"),
                    TimeRemainingColumn(),
                    console=self._console,
                )
            )
            self._task = self._bar.add_task("score", total=progress.pictures, figures="")
        self._bar.update(self._task, completed=progress.done, figures=figures(progress))

    def _say_now_and_then(self, progress: Progress) -> None:
        now = time.monotonic()
        if now - self._said < _SECONDS_BETWEEN_LINES:
            return
        self._said = now
        self._console.print(
            f"{progress.done:,} of {progress.pictures:,}  {figures(progress)}", highlight=False
        )


def figures(progress: Progress) -> str:
    """Return what is told beside how many are done."""
    failed = f"{progress.counts.failed:,} failed  " if progress.counts.failed else ""
    if not progress.rate:
        return f"{failed}{progress.workers} workers start"
    return f"{failed}{progress.rate:,.0f} images/s by {progress.workers}"
