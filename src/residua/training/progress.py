"""What a person sees while training runs."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from residua.training.config import EpochRecord
from residua.training.module import KeepBest, TrainingModule

_SECONDS_BETWEEN_UPDATES = 0.25


class ShowProgress(Callback):
    """A bar on a terminal (epoch, losses, images a second, time left), else a line an epoch."""

    def __init__(self, kept: KeepBest, console: Console) -> None:
        self.kept = kept
        self.console = console
        self._stack = ExitStack()
        self._progress: Progress | None = None
        self._task: Any = None
        self._started = self._updated = 0.0

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Open the bar over all steps of all epochs."""
        if not self.console.is_terminal:
            return
        self._progress = self._stack.enter_context(
            Progress(
                TextColumn("epoch {task.fields[epoch]}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[figures]}"),
                TimeRemainingColumn(),
                console=self.console,
            )
        )
        assert trainer.max_epochs is not None
        steps = int(trainer.num_training_batches)
        self._task = self._progress.add_task(
            "fit",
            total=steps * trainer.max_epochs,
            completed=steps * trainer.current_epoch,
            epoch=self._epoch(trainer),
            figures="",
        )

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Start the epoch's clock."""
        self._started = time.perf_counter()

    def on_train_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Move the bar, a few times a second at most."""
        now = time.perf_counter()
        if self._progress is None or now - self._updated < _SECONDS_BETWEEN_UPDATES:
            return
        assert isinstance(pl_module, TrainingModule)
        self._updated = now
        rate = pl_module.train_loss.count / (now - self._started)
        last = f"  validation {self.kept.history[-1].val_loss:.5f}" if self.kept.history else ""
        self._progress.update(
            self._task,
            completed=trainer.current_epoch * int(trainer.num_training_batches) + batch_idx + 1,
            epoch=self._epoch(trainer),
            figures=f"loss {pl_module.train_loss.value():.5f}{last}  {rate:,.0f} images/s",
        )

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Bring the bar up to the epoch's end; without a terminal, print the epoch's line."""
        if self._progress is not None:
            steps = (trainer.current_epoch + 1) * int(trainer.num_training_batches)
            self._progress.update(self._task, completed=steps)
        if self._progress is not None or not self.kept.history:
            return
        assert trainer.max_epochs is not None
        self.console.print(epoch_line(self.kept.history[-1], trainer.max_epochs), highlight=False)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Close the bar."""
        self._stack.close()

    def on_exception(
        self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException
    ) -> None:
        """Close the bar, so that the error is not drawn over."""
        self._stack.close()

    def _epoch(self, trainer: L.Trainer) -> str:
        return f"{trainer.current_epoch + 1}/{trainer.max_epochs}"


def epoch_line(record: EpochRecord, epochs: int) -> str:
    """Return what one epoch of ``epochs`` gave, as a line of text."""
    return (
        f"epoch {record.epoch}/{epochs}  loss {record.train_loss:.5f}  "
        f"validation {record.val_loss:.5f}{' (best)' if record.best else ''}  "
        f"{record.images_per_second:,.0f} images/s"
    )
