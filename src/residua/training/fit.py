"""Train a network on pictures held as uint8: Lightning's loop, and the guards around it."""

from __future__ import annotations

import logging
import signal
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple

import lightning as L
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping
from numpy.typing import NDArray
from rich.console import Console
from torch import Tensor

from residua.errors import (
    CannotResume,
    ConfigurationError,
    LearnedNothing,
    NoBottleneck,
    NothingLearned,
    Restarted,
    WorseThanPCA,
)
from residua.models import Autoencoder
from residua.training.checks import compare_with_simple_predictors
from residua.training.config import EpochRecord, FitChecks, TrainingConfig
from residua.training.feeding import PixelBatches, near
from residua.training.heap import freed_memory_kept
from residua.training.interrupting import first_interrupt
from residua.training.module import (
    CheckpointInPlace,
    EpochWatcher,
    KeepBest,
    TellEpochs,
    TrainingModule,
)
from residua.training.progress import ShowProgress
from residua.training.team import ALONE, Team

CHECKPOINT = "last.ckpt"


@dataclass(frozen=True)
class TrainingResult:
    """A trained network and how it came about."""

    model: Autoencoder
    """In evaluation mode, float32, with the best weights."""
    history: list[EpochRecord]
    """One record an epoch."""
    checks: FitChecks
    """Its error beside two simple predictors'."""
    seed: int
    """The seed that led to it: the one asked for, or the next after a restart."""
    interrupted: bool
    """Whether Ctrl-C ended it before its time."""
    threads: int
    """With which each process computed."""
    workers: int
    """Processes that shared it out, at the end; 1: one machine."""


class Learned(NamedTuple):
    """What one run over the epochs left."""

    model: Autoencoder
    """In evaluation mode, float32, on the CPU, with the best weights."""
    history: list[EpochRecord]
    interrupted: bool
    threads: int
    workers: int


class Feed(NamedTuple):
    """What one process of a run is fed, batches of uint8 pictures (B, H, W, C)."""

    training: Iterable[Tensor]
    validation: Iterable[Tensor]
    weights: Sequence[float] | None = None
    """See `TrainingModule`."""


def train(
    build: Callable[[], Autoencoder],
    pixels: NDArray[np.uint8],
    training: NDArray[np.int64],
    validation: NDArray[np.int64],
    config: TrainingConfig,
    *,
    checkpoint_folder: Path | None = None,
    resume: bool = False,
    tolerate_failure: bool = False,
    console: Console | None = None,
    on_epoch: EpochWatcher | None = None,
    elsewhere: Callable[[int, int], Learned] | None = None,
) -> TrainingResult:
    """Train, check against simple predictors, and once start again where nothing was learned.

    Parameters
    ----------
    build : callable
        Returns the network with fresh weights, drawn from torch's global generator.
    pixels : ndarray of shape (N, H, W, C), uint8
    training, validation : ndarray of int64
        Rows of ``pixels`` to learn from, and to choose the best epoch on.
    config : TrainingConfig
    checkpoint_folder : Path or None
        Folder for the state after each epoch.
    resume : bool
        Go on from that state where there is one.
    tolerate_failure : bool
        Whether a network no better than the mean picture is a warning instead of an error.
    console : Console or None
        Where progress is shown; None: nowhere.
    on_epoch : callable or None
        Is told of each epoch, with the network as it stands; what it raises ends training and is
        passed on.
    elsewhere : callable or None
        Runs over the epochs on other machines, given the number of the attempt and its seed;
        ``pixels`` then serve the comparison alone. None: here.

    Raises
    ------
    TrainingDiverged
        The loss became NaN or infinite.
    NothingLearned
        No better than predicting the mean picture, from two seeds.
    CannotResume
        The checkpoint cannot be read.
    """
    for attempt in (0, 1):
        seed = config.seed + attempt
        if elsewhere is not None:
            learned = elsewhere(attempt, seed)
        else:
            folder = checkpoint_folder / f"attempt-{attempt}" if checkpoint_folder else None
            learned = _learn_here(
                build, pixels, training, validation, config, seed, folder, resume, console, on_epoch
            )
        checks = compare_with_simple_predictors(learned.model, pixels, training, validation)
        if checks.network_mse < checks.mean_image_mse:
            break
        finding = (
            f"the network learned nothing: its mean squared error on validation pictures is "
            f"{checks.network_mse:.3g}, and predicting the mean picture gives "
            f"{checks.mean_image_mse:.3g}"
        )
        if tolerate_failure or learned.interrupted:
            warnings.warn(finding, LearnedNothing, stacklevel=2)
            break
        if attempt:
            raise NothingLearned(
                f"{finding}, from two seeds; try more epochs, another learning rate than "
                f"{config.learning_rate:g}, a larger code, or more pictures than {len(training)}"
            )
        warnings.warn(f"{finding}; starting again from seed {seed + 1}", Restarted, stacklevel=2)
    if checks.network_mse < checks.mean_image_mse:
        _warn_of(checks)
    return TrainingResult(
        learned.model,
        learned.history,
        checks,
        seed,
        learned.interrupted,
        learned.threads,
        learned.workers,
    )


def choose_batch_size(n_train: int) -> int:
    """Return the power of two from 8 to 128 that gives about 16 steps an epoch or more."""
    return int(np.clip(1 << max(0, int(np.log2(max(n_train / 16, 1)))), 8, 128))


def choose_epochs(n_train: int, batch_size: int) -> int:
    """Return the epochs that make about 4,000 steps, from 15 to 200."""
    return int(np.clip(round(4_000 * batch_size / max(n_train, 1)), 15, 200))


def run_epochs(
    build: Callable[[], Autoencoder],
    feed: Callable[[L.Trainer], Feed],
    config: TrainingConfig,
    seed: int,
    kept: KeepBest,
    *,
    watchers: Sequence[Callback] = (),
    checkpoint: Path | None = None,
    team: Team = ALONE,
) -> Learned:
    """Run over the epochs, as one process of a team.

    Parameters
    ----------
    build : callable
        Returns the network with fresh weights, drawn from torch's global generator.
    feed : callable
        Returns the pictures, for a trainer that knows its device and its epoch.
    config : TrainingConfig
    seed : int
    kept : KeepBest
        Keeps the best weights.
    watchers : sequence of Callback
        Come after it.
    checkpoint : Path or None
        The state to go on from.
    team : Team

    Raises
    ------
    TrainingDiverged
        The loss became NaN or infinite.
    CannotResume
        The checkpoint cannot be read.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = build().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        with _quiet_lightning():
            trainer = _trainer(config, [kept, *watchers], team)
            fed = feed(trainer)
            module = TrainingModule(model, config, seed=seed, team=team, weights=fed.weights)
            stop = partial(setattr, trainer, "should_stop", True)
            with freed_memory_kept(), first_interrupt(stop) as interruption:
                _fit(trainer, module, fed, checkpoint)
    if kept.best_weights:
        model.load_state_dict(kept.best_weights)
    return Learned(
        model.to("cpu").eval(),
        kept.history,
        bool(interruption),
        torch.get_num_threads(),
        team.size,
    )


def _learn_here(
    build: Callable[[], Autoencoder],
    pixels: NDArray[np.uint8],
    training: NDArray[np.int64],
    validation: NDArray[np.int64],
    config: TrainingConfig,
    seed: int,
    folder: Path | None,
    resume: bool,
    console: Console | None,
    on_epoch: EpochWatcher | None,
) -> Learned:
    checkpoint = None
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        checkpoint = folder / CHECKPOINT
    kept = KeepBest(checkpoint)

    def feed(trainer: L.Trainer) -> Feed:
        fed = near(pixels, trainer.strategy.root_device)
        return Feed(
            PixelBatches(fed, training, config.batch_size, lambda: (seed, trainer.current_epoch)),
            PixelBatches(fed, validation, validation_batch(config)),
        )

    watchers: list[Callback] = []
    if on_epoch is not None:
        watchers.append(TellEpochs(kept, on_epoch))
    if console is not None:
        watchers.append(ShowProgress(kept, console))
    there = resume and checkpoint is not None and checkpoint.exists()
    return run_epochs(
        build,
        feed,
        config,
        seed,
        kept,
        watchers=watchers,
        checkpoint=checkpoint if there else None,
    )


def validation_batch(config: TrainingConfig) -> int:
    """Return how many pictures are validated at a time: no gradient takes memory there."""
    return max(config.batch_size, 128)


def _trainer(config: TrainingConfig, callbacks: list[Callback], team: Team) -> L.Trainer:
    if config.patience is not None:
        callbacks.append(EarlyStopping("val_loss", patience=config.patience))
    accelerator = accelerator_of(config.device)
    options = team.trainer_options()
    return L.Trainer(
        accelerator=accelerator,
        precision=_lightning_precision(config.precision, accelerator),
        max_epochs=config.epochs,
        callbacks=callbacks,
        plugins=[CheckpointInPlace(), *options.pop("plugins", ())],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        **options,
    )


def _fit(
    trainer: L.Trainer,
    module: TrainingModule,
    fed: Feed,
    checkpoint: Path | None,
) -> None:
    if checkpoint is not None:
        try:
            torch.load(checkpoint, weights_only=True)
        except Exception as error:  # a file cut short fails in many ways
            raise CannotResume(
                f"the checkpoint {checkpoint} cannot be read ({error}); delete "
                f"{checkpoint.parent.parent} to start afresh"
            ) from error
    try:
        # weights_only: a checkpoint is data, and reading it runs no code.
        trainer.fit(module, fed.training, fed.validation, ckpt_path=checkpoint, weights_only=True)
    except SystemExit as error:
        if error.code == 128 + signal.SIGTERM:  # whoever told us to end meant the whole process
            raise
        # Lightning ends the process on KeyboardInterrupt; the caller of a library decides that.
        raise KeyboardInterrupt from error


def _warn_of(checks: FitChecks) -> None:
    if checks.code_size >= checks.picture_size:
        warnings.warn(
            f"the code has {checks.code_size:,} numbers and the picture {checks.picture_size:,}: "
            f"such a network can copy what it has never seen; its score may follow the "
            f"picture's brightness instead of its strangeness",
            NoBottleneck,
            stacklevel=3,
        )
    elif checks.pca_mse is not None and checks.network_mse > checks.pca_mse:
        warnings.warn(
            f"PCA with {checks.pca_components} components rebuilds validation pictures better "
            f"than the network (mean squared error {checks.pca_mse:.3g} against "
            f"{checks.network_mse:.3g}); train for more epochs, or on more pictures",
            WorseThanPCA,
            stacklevel=3,
        )


def accelerator_of(device: str) -> str:
    """Return the device that a setting means here: "cpu", "cuda" or "mps".

    Raises
    ------
    ConfigurationError
        One was asked for that torch does not find.
    """
    found = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if device == "auto":
        return next((name for name, there in found.items() if there), "cpu")
    if device == "cpu" or found.get(device):
        return device
    if device in found:
        raise ConfigurationError(f"device {device!r} was asked for, and torch finds none here")
    raise ConfigurationError(f"device is {device!r}; it must be 'auto', 'cpu', 'cuda' or 'mps'")


def _lightning_precision(precision: str, accelerator: str) -> Literal["32-true", "bf16-mixed"]:
    if precision == "float32" or (precision == "auto" and not computes_in_bf16(accelerator)):
        return "32-true"
    return "bf16-mixed"


def computes_in_bf16(accelerator: str) -> bool:
    """Say whether the processor ("cpu") or card ("cuda") has instructions for bf16."""
    if accelerator == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if accelerator == "cpu":
        # Without these instructions bf16 is emulated and slower than float32.
        names = ("_is_amx_tile_supported", "_is_avx512_bf16_supported")
        return any(getattr(torch.cpu, name, lambda: False)() for name in names)
    return False


@contextmanager
def _quiet_lightning() -> Iterator[None]:
    """Keep Lightning's notes on hardware and its tips out of the user's terminal."""
    logger = logging.getLogger("lightning.pytorch")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"lightning\.")
            warnings.filterwarnings("ignore", category=FutureWarning, module=r"copyreg")
            yield
    finally:
        logger.setLevel(level)
