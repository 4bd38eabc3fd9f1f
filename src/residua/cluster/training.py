"""What one worker of a fit does: read its share, train with the others, report."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import lightning as L
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback
from numpy.typing import NDArray
from torch import Tensor

from residua.cluster.shares import Prints, Share, Unreadable, prints_of, read_share
from residua.cluster.state import SharedState, fetched, put
from residua.errors import (
    CannotResume,
    ConfigurationError,
    NoReadableImage,
    OtherRun,
    ResiduaError,
    TrainingDiverged,
)
from residua.images.preprocess import InputSpec
from residua.images.source import ImageSource
from residua.material import material_of
from residua.models import MODELS
from residua.settings import FitSettings
from residua.training.config import EpochRecord, TrainingConfig
from residua.training.feeding import PixelBatches, near
from residua.training.fit import CHECKPOINT, Feed, run_epochs, validation_batch
from residua.training.module import KeepBest
from residua.training.sharding import NoPictures, ShardBatches, share_of
from residua.training.team import Team
from residua.workspace import workspace

# Steps between two looks at whether the fit is to end before its time.
_STEPS_BETWEEN_LOOKS = 50


@dataclass(frozen=True)
class Job:
    """What the workers of one attempt at a fit are told."""

    pictures: Any
    """Ray's reference to the `Pictures`."""
    spec: InputSpec
    settings: FitSettings
    config: TrainingConfig
    seed: int
    state: SharedState
    checkpoint: str
    """Where the state after each epoch lies."""
    conductor: Any
    """Whom to tell what happens."""


class Pictures(NamedTuple):
    """What all workers together learn from."""

    source: ImageSource
    training: NDArray[np.int64]
    """Indices into the source."""
    validation: NDArray[np.int64]


class Gathered(NamedTuple):
    """A group of workers has come together, and reads its pictures."""

    workers: int


class Begun(NamedTuple):
    """A group of workers trains."""

    workers: int
    epoch: int
    """Epochs that are done already."""


class Trained(NamedTuple):
    """What the workers bring home, by the one of rank 0."""

    weights: dict[str, NDArray[Any]]
    """By name; Ray Train does not return tensors."""
    history: list[EpochRecord]
    interrupted: bool
    threads: int
    """With which each worker computed."""
    workers: int
    """At the end; a lost one need not have been replaced."""
    training: int
    """Readable pictures that were learned from, of all workers together."""
    validation: int
    """Readable pictures that chose the epoch."""
    failures: list[Unreadable]
    prints: list[Prints]


class RayTeam(Team):
    """The workers that Ray Train has brought together.

    Parameters
    ----------
    all_weights : bool
        Whether each step of the network takes in all its weights, so that nobody need look for
        those without a gradient.
    """

    def __init__(self, *, all_weights: bool) -> None:
        self.all_weights = all_weights
        self.rank = torch.distributed.get_rank()
        self.size = torch.distributed.get_world_size()

    def total(self, values: Tensor) -> Tensor:
        """Sum over all workers; see `Team.total`."""
        import ray.train.torch

        summed = values.to(ray.train.torch.get_device(), copy=True)
        torch.distributed.all_reduce(summed)
        return summed.to(values.device)

    def gathered(self, value: Any) -> list[Any]:
        """Return the values of all workers, by rank."""
        found: list[Any] = [None] * self.size
        torch.distributed.all_gather_object(found, value)
        return found

    def gathered_by_first(self, value: Any) -> list[Any] | None:
        """Return the values of all workers, by rank, to that of rank 0; None to others."""
        found: list[Any] | None = [None] * self.size if self.rank == 0 else None
        torch.distributed.gather_object(value, found, dst=0)
        return found

    def trainer_options(self) -> dict[str, Any]:
        """Return Lightning's strategy and environment for Ray."""
        import ray.train.lightning

        api: Any = ray.train.lightning
        # Batch statistics are joined once an epoch (see TrainingModule), not at each step.
        strategy = api.RayDDPStrategy(
            broadcast_buffers=False, find_unused_parameters=not self.all_weights
        )
        return {
            "devices": "auto",
            "strategy": strategy,
            "plugins": [api.RayLightningEnvironment()],
            "use_distributed_sampler": False,
        }


def train_share(given: dict[str, Job]) -> Trained | ResiduaError | None:
    """Train as one worker of the group; returns an error that all workers have met alike.

    The worker of rank 0 returns what was learned, and others nothing.

    What one worker meets alone is raised: Ray then ends the others, and starts them again.
    """
    import ray

    job = given["job"]
    team = RayTeam(all_weights=job.settings.model in MODELS)
    if team.rank == 0:
        job.conductor.tell.remote(Gathered(team.size))
    source, *parts = ray.get(job.pictures)
    learned_from, judged_on = (
        read_share(source, share_of(part, team.rank, team.size), job.spec) for part in parts
    )
    counts = [len(share.pixels) for share in (learned_from, judged_on)]
    all_counts = team.gathered((socket.gethostname(), *counts, learned_from.failures[:1]))
    try:
        _require_pictures(all_counts)
        return _trained(job, team, learned_from, judged_on, [count for _, count, *_ in all_counts])
    except (CannotResume, ConfigurationError, NoReadableImage, OtherRun, TrainingDiverged) as error:
        return error


def _require_pictures(counts: list[tuple[str, int, int, list[Unreadable]]]) -> None:
    for node, training, _, failures in counts:
        if not training:
            why = f" ({failures[0].what})" if failures else ""
            raise NoReadableImage(
                f"the worker on {node} can read none of its pictures{why}; each machine must see "
                f"them under the same path: put them in a folder that all share, or in an object "
                f"store"
            )
    if not sum(validation for _, _, validation, _ in counts):
        raise NoReadableImage("none of the pictures that were to choose the epoch can be read")


def _trained(
    job: Job, team: RayTeam, learned_from: Share, judged_on: Share, counts: list[int]
) -> Trained | None:
    material = material_of(job.settings)
    material.meet(job.spec)

    def feed(trainer: L.Trainer) -> Feed:
        device = trainer.strategy.root_device
        return _feed(
            job,
            team,
            near(learned_from.pixels, device),
            near(judged_on.pixels, device),
            counts,
            lambda: trainer.current_epoch,
        )

    kept = KeepShared(job.checkpoint, job.state, team)
    with workspace("residua-state") as folder:
        checkpoint = fetched(job.checkpoint, folder)
        stopping = StopTogether(job.conductor, team)
        try:
            learned = run_epochs(
                material.build,
                feed,
                job.config,
                job.seed,
                kept,
                watchers=[TellConductor(kept, job.conductor, team), stopping],
                checkpoint=checkpoint,
                team=team,
            )
        except CannotResume as error:  # it names a copy, which is gone by now
            raise CannotResume(
                f"the checkpoint {job.checkpoint} cannot be read ({error.__cause__}); delete it, "
                f"or fit without resuming, to start afresh"
            ) from error
    found = team.gathered_by_first(
        (
            len(learned_from.pixels),
            len(judged_on.pixels),
            learned_from.failures + judged_on.failures,
            [prints_of(learned_from), prints_of(judged_on)],
        )
    )
    if found is None:
        return None
    return Trained(
        weights={name: value.numpy() for name, value in learned.model.state_dict().items()},
        history=learned.history,
        interrupted=stopping.stopped,
        threads=learned.threads,
        workers=learned.workers,
        training=sum(training for training, *_ in found),
        validation=sum(validation for _, validation, *_ in found),
        failures=[failure for *_, failures, _ in found for failure in failures],
        prints=[part for *_, prints in found for part in prints],
    )


def _feed(
    job: Job,
    team: RayTeam,
    training: NDArray[np.uint8] | Tensor,
    validation: NDArray[np.uint8] | Tensor,
    counts: list[int],
    epoch: Callable[[], int],
) -> Feed:
    size = job.config.batch_size
    judged = PixelBatches(validation, np.arange(len(validation)), validation_batch(job.config))
    shown = judged if len(judged) else NoPictures(job.spec.shape)
    if team.size == 1:
        rows = np.arange(len(training))
        return Feed(PixelBatches(training, rows, size, lambda: (job.seed, epoch())), shown)
    batches = ShardBatches(
        training, counts, team.rank, size, lambda: (job.seed, epoch(), team.rank)
    )
    return Feed(batches, shown, batches.weights)


class KeepShared(KeepBest):
    """Keeps the best weights, and the state of the group where all its machines see it.

    Parameters
    ----------
    location : str
        Where the state lies, a path or URL.
    state : SharedState
        The place, which must be this fit's own.
    team : Team
    """

    def __init__(self, location: str, state: SharedState, team: Team) -> None:
        super().__init__(None)
        self.location, self.state, self.team = location, state, team

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Write the state: all workers gather it, and that of rank 0 puts it in its place."""
        if trainer.interrupted or trainer.should_stop:
            return
        self._require_own_place()
        with workspace("residua-state") as folder:
            made = folder / CHECKPOINT
            trainer.save_checkpoint(made)
            if trainer.is_global_zero:
                put(made, self.location)

    def _require_own_place(self) -> None:
        """Have all workers refuse together, so that they are not brought together anew."""
        lost: OtherRun | None = None
        if self.team.rank == 0:
            try:
                self.state.require_own()
            except OtherRun as error:
                lost = error
        if float(self.team.total(torch.tensor(float(lost is not None)))) > 0:
            raise lost or OtherRun(f"{self.state.location} was taken by another fit")


class TellConductor(Callback):
    """Has the driver know of the group and of each epoch; the worker of rank 0 speaks."""

    def __init__(self, kept: KeepBest, conductor: Any, team: Team) -> None:
        self.kept, self.conductor, self.team = kept, conductor, team

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Tell from where the group goes on."""
        self._tell(Begun(self.team.size, trainer.current_epoch))

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Pass on the record that `KeepBest`, which comes before, has just made."""
        self._tell(self.kept.history[-1])

    def _tell(self, news: Begun | EpochRecord) -> None:
        if self.team.rank == 0:
            self.conductor.tell.remote(news)


class StopTogether(Callback):
    """Ends the fit before its time where that is wanted, all workers after the same step."""

    def __init__(self, conductor: Any, team: Team) -> None:
        self.conductor, self.team = conductor, team
        self.stopped = False
        self._asked: Any = None

    def on_train_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Agree, once in a while and at the end of each epoch."""
        last = batch_idx + 1 == int(trainer.num_training_batches)
        if not last and (batch_idx + 1) % _STEPS_BETWEEN_LOOKS:
            return
        if float(self.team.total(torch.tensor(float(self._wanted())))) > 0:
            self.stopped = trainer.should_stop = True

    def _wanted(self) -> bool:
        import ray

        if self.team.rank != 0:
            return False
        if self._asked is None:
            self._asked = self.conductor.stopping.remote()
        answered, _ = ray.wait([self._asked], timeout=0)
        if not answered:
            return False
        wanted, self._asked = bool(ray.get(self._asked)), None
        return wanted
