"""The Lightning side of training: the step, and what is kept of each epoch."""

from __future__ import annotations

import io
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.plugins.io import TorchCheckpointIO
from torch import Tensor

from residua.errors import OutputError, TrainingDiverged
from residua.models import Autoencoder, to_network
from residua.training.config import EpochRecord, TrainingConfig
from residua.training.team import ALONE, Team
from residua.writing import whole_file

EpochWatcher = Callable[[EpochRecord, Autoencoder], None]
"""Is told of each epoch, with the network as it stands then, in evaluation mode."""

# On a card, looking at a loss waits for the card; so it is looked at only so often there.
_STEPS_BETWEEN_LOOKS = 50
# Share of the steps in which the learning rate rises.
_RISE = 0.1
# Fewer steps cannot rise and fall.
_SHORTEST_CYCLE = 4


class TrainingModule(L.LightningModule):
    """One step of an `Autoencoder` on batches of uint8 pictures (B, H, W, C).

    Parameters
    ----------
    model : Autoencoder
    config : TrainingConfig
    seed : int
        Seed of the order of the pictures and of what the network draws.
    team : Team
        The processes that train it.
    weights : sequence of float or None
        Of each step of an epoch: by what its loss is multiplied before the gradients of all
        processes are averaged. None: 1.
    """

    def __init__(
        self,
        model: Autoencoder,
        config: TrainingConfig,
        *,
        seed: int,
        team: Team = ALONE,
        weights: Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        # Lightning's own stepping calls some twenty hooks a step, which costs small networks 3 %
        # of their time; nothing here uses them.
        self.automatic_optimization = False
        self.model = model
        self.config = config
        self.seed = seed
        self.team = team
        self.weights = weights
        self.train_loss = _Mean()
        self.val_loss = _Mean()

    def configure_optimizers(self) -> Any:
        """Adam (Kingma and Ba, 2015), fused where the device has it, with its schedule."""
        rate, fused = self.config.learning_rate, self.device.type in ("cpu", "cuda")
        optimiser = torch.optim.Adam(self.parameters(), lr=rate, fused=fused)
        steps = int(self.trainer.estimated_stepping_batches)
        if self.config.schedule == "constant" or steps < _SHORTEST_CYCLE:
            return optimiser
        cycle = torch.optim.lr_scheduler.OneCycleLR(
            optimiser,
            max_lr=rate,
            total_steps=steps,
            pct_start=max(_RISE, 2 / steps),
            cycle_momentum=False,
        )
        return [optimiser], [cycle]

    def on_train_epoch_start(self) -> None:
        """Start the epoch's randomness from its number: a resumed run meets the same."""
        torch.manual_seed(epoch_seed(self.seed, self.current_epoch, self.team.rank))
        self.train_loss.reset()

    def on_train_start(self) -> None:
        """Take the optimiser and its schedule, states of a resumed run included."""
        self._optimiser: Any = self.optimizers(use_pl_optimizer=False)
        self._schedule: Any = self.lr_schedulers()
        self._steps_an_epoch = int(self.trainer.num_training_batches)

    def training_step(self, batch: Tensor, batch_idx: int) -> None:
        """Take one step; stops at a loss that is not finite."""
        loss = self.model.training_losses(to_network(batch))["loss"]
        look = loss.device.type == "cpu" or batch_idx % _STEPS_BETWEEN_LOOKS == 0
        # In a team all stop together, at the end of the epoch: none may wait for one that is gone.
        if self.team.size == 1 and look and not torch.isfinite(loss):
            self._stop(loss.detach(), batch_idx)
        self.train_loss.add(loss.detach(), len(batch))
        # The precision of the forward pass is on record; autocast is not for the backward pass.
        with torch.autocast(loss.device.type, enabled=False):
            self._optimiser.zero_grad()
            if self.team.size == 1:
                loss.backward()  # type: ignore[no-untyped-call]
            else:  # by way of Lightning, which has the gradients averaged
                self.manual_backward(loss * (self.weights[batch_idx] if self.weights else 1))
            self._optimiser.step()
        if self._schedule is not None:
            self._schedule.step()

    def on_train_epoch_end(self) -> None:
        """Catch what no look has caught."""
        if not math.isfinite(self.train_loss.value()):
            self._stop(self.train_loss.total, self._steps_an_epoch - 1)

    def on_validation_epoch_start(self) -> None:
        """Join what the team has learned apart, and start the mean afresh."""
        self.train_loss.join(self.team)
        self._join_buffers()
        self.val_loss.reset()

    def validation_step(self, batch: Tensor, batch_idx: int) -> None:
        """Add one batch to the validation loss; an empty one has nothing to add."""
        if len(batch):
            self.val_loss.add(self.model.training_losses(to_network(batch))["loss"], len(batch))

    def on_validation_epoch_end(self) -> None:
        """Give the epoch's validation loss to the callbacks that watch it."""
        self.val_loss.join(self.team)
        if not math.isfinite(self.val_loss.value()):
            self._stop(self.val_loss.total, self._steps_an_epoch - 1)
        self.log("val_loss", self.val_loss.value(), logger=False)

    def _join_buffers(self) -> None:
        """Take the mean of what each process holds of batch statistics: a network has one."""
        if self.team.size == 1:
            return
        for buffer in self.model.buffers():
            if buffer.is_floating_point():
                buffer.copy_(self.team.total(buffer.double()) / self.team.size)

    def _stop(self, loss: Tensor, batch_idx: int) -> None:
        step = self.current_epoch * self._steps_an_epoch + batch_idx + 1
        raise TrainingDiverged(
            f"the loss became {float(loss)} at step {step} (epoch "
            f"{self.current_epoch + 1}); try a learning rate below "
            f"{self.config.learning_rate:g}, or precision 'float32'"
        )


class KeepBest(Callback):
    """Keeps the record of each epoch and the weights of the one with the least validation loss.

    Parameters
    ----------
    checkpoint : Path or None
        Where the state after each epoch goes, from which a killed run resumes.
    """

    def __init__(self, checkpoint: Path | None) -> None:
        self.checkpoint = checkpoint
        self.history: list[EpochRecord] = []
        self.best_loss = math.inf
        self.best_weights: dict[str, Tensor] = {}
        self._train_seconds = 0.0
        self._mark = 0.0

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Start the epoch's clock."""
        self._train_seconds, self._mark = 0.0, time.perf_counter()

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Stop the clock: validation is not training."""
        self._train_seconds += time.perf_counter() - self._mark

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Record the epoch and keep the weights where they are the best so far."""
        assert isinstance(pl_module, TrainingModule)
        val_loss = pl_module.val_loss.value()
        best = val_loss < self.best_loss
        if best:
            self.best_loss = val_loss
            state = pl_module.model.state_dict()
            self.best_weights = {name: value.detach().clone() for name, value in state.items()}
        self.history.append(
            EpochRecord(
                epoch=trainer.current_epoch + 1,
                train_loss=pl_module.train_loss.value(),
                val_loss=val_loss,
                images_per_second=pl_module.train_loss.count / max(self._train_seconds, 1e-9),
                best=best,
            )
        )
        self._mark = time.perf_counter()

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Write the checkpoint beside the last one, then put it in its place."""
        if self.checkpoint is None or trainer.interrupted or trainer.should_stop:
            return
        try:
            with whole_file(self.checkpoint) as beside:
                trainer.save_checkpoint(beside)
        except OSError as error:
            raise OutputError(
                f"the checkpoint {self.checkpoint} cannot be written: {error.strerror or error}; "
                f"what was written after the epoch before is kept"
            ) from error

    def state_dict(self) -> dict[str, Any]:
        """Plain values and tensors only: the checkpoint is read without running code."""
        return {
            "history": [record.model_dump() for record in self.history],
            "best_loss": self.best_loss,
            "best_weights": self.best_weights,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up where the checkpoint was written."""
        self.history = [EpochRecord(**record) for record in state_dict["history"]]
        self.best_loss = state_dict["best_loss"]
        self.best_weights = state_dict["best_weights"]


class CheckpointInPlace(TorchCheckpointIO):
    """Writes a checkpoint to the file that is named, and nowhere else.

    Lightning's own way goes by a file among the system's temporary ones, which a killed process
    leaves there, as large as the checkpoint.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None
    ) -> None:
        """Write it; `KeepBest` sees to it that what has the final name is whole."""
        content = io.BytesIO()  # torch does not say of a file that the disk is full
        torch.save(checkpoint, content)
        Path(path).write_bytes(content.getbuffer())


class TellEpochs(Callback):
    """Tells a watcher of each epoch; what the watcher raises ends training."""

    def __init__(self, kept: KeepBest, watcher: EpochWatcher) -> None:
        self.kept = kept
        self.watcher = watcher

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Pass on the record that `KeepBest`, which comes before, has just made."""
        assert isinstance(pl_module, TrainingModule)
        with torch.inference_mode():
            self.watcher(self.kept.history[-1], pl_module.model)


class _Mean:
    """Running mean of batch losses, kept on the device until it is asked for."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.total: Tensor = torch.zeros((), dtype=torch.float64)
        self.count = 0

    def add(self, loss: Tensor, count: int) -> None:
        # A card without float64 (MPS) sums in float32.
        wide = loss.float() if loss.device.type == "mps" else loss.double()
        self.total = self.total.to(wide.device, wide.dtype) + wide * count
        self.count += count

    def join(self, team: Team) -> None:
        """Take in what the others of a team have added."""
        if team.size > 1:
            both = team.total(torch.tensor([float(self.total), self.count], dtype=torch.float64))
            self.total, self.count = both[0], int(both[1])

    def value(self) -> float:
        return float(self.total) / max(self.count, 1)


def epoch_seed(seed: int, epoch: int, rank: int = 0) -> int:
    """Seed of one epoch's randomness, the same on every machine; each of a team has its own."""
    drawn_from = [seed, epoch, rank] if rank else [seed, epoch]
    return int(np.random.SeedSequence(drawn_from).generate_state(1, np.uint64)[0] >> 1)
