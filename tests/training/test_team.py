"""A team of two, whose sums are made here: what is joined, and what waits until the epoch's end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from lightning import Trainer
from lightning.fabric.plugins.environments import LightningEnvironment
from numpy.typing import NDArray
from torch import Tensor

from residua.errors import TrainingDiverged
from residua.models import MODELS, build_model
from residua.training.config import TrainingConfig
from residua.training.feeding import PixelBatches
from residua.training.fit import Feed, run_epochs
from residua.training.module import CheckpointInPlace, KeepBest, TrainingModule
from residua.training.sharding import NoPictures
from residua.training.team import Team

SHAPE = (16, 16, 1)


class WithTwin(Team):
    """One of two processes that do the very same."""

    size = 2

    def total(self, values: Tensor) -> Tensor:
        return 2 * values


class Validation:
    """A batch of pictures and one of none."""

    def __init__(self, pixels: NDArray[np.uint8]) -> None:
        self.pixels = pixels

    def __len__(self) -> int:
        return 2

    def __iter__(self) -> Iterator[Tensor]:
        yield torch.from_numpy(self.pixels[64:80])
        yield from NoPictures(SHAPE)


def config(epochs: int = 2) -> TrainingConfig:
    return TrainingConfig(epochs=epochs, batch_size=16, precision="float32", device="cpu")


def learn(pixels: NDArray[np.uint8], team: Team, weights: list[float] | None = None) -> KeepBest:
    kept = KeepBest(None)
    batches = PixelBatches(pixels, np.arange(64), 16)
    run_epochs(
        lambda: build_model("conv", SHAPE),
        lambda _: Feed(batches, Validation(pixels), weights),
        config(),
        0,
        kept,
        team=team,
    )
    return kept


@pytest.fixture(scope="module")
def pixels(blobs: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return blobs[..., None]


def test_a_twin_changes_no_loss_and_no_weight(pixels: NDArray[np.uint8]) -> None:
    alone, together = learn(pixels, Team()), learn(pixels, WithTwin())
    assert [r.val_loss for r in together.history] == [r.val_loss for r in alone.history]
    assert [r.train_loss for r in together.history] == [r.train_loss for r in alone.history]
    for name, value in alone.best_weights.items():
        assert torch.equal(value, together.best_weights[name]), name


def test_a_team_may_bring_a_plugin_of_its_own(pixels: NDArray[np.uint8]) -> None:
    environment = LightningEnvironment()
    used: list[object] = []

    class WithPlugin(Team):
        def trainer_options(self) -> dict[str, Any]:
            return {**super().trainer_options(), "plugins": [environment]}

    def feed(trainer: Trainer) -> Feed:
        used.extend(
            [trainer._accelerator_connector.cluster_environment, trainer.strategy.checkpoint_io]
        )
        return Feed(PixelBatches(pixels, np.arange(64), 16), Validation(pixels))

    run_epochs(
        lambda: build_model("conv", SHAPE), feed, config(1), 0, KeepBest(None), team=WithPlugin()
    )
    assert used[0] is environment
    assert isinstance(used[1], CheckpointInPlace)


def test_the_weight_of_a_step_counts(pixels: NDArray[np.uint8]) -> None:
    usual, heavier = (learn(pixels, WithTwin(), [weight] * 4) for weight in (1.0, 3.0))
    assert usual.history[-1].val_loss != heavier.history[-1].val_loss


def test_losses_and_batch_statistics_are_joined(pixels: NDArray[np.uint8]) -> None:
    class WithAnother(Team):
        """One of two, the other of which has added 1 to each number of this one."""

        size = 2

        def total(self, values: Tensor) -> Tensor:
            return 2 * values + 1

    module = TrainingModule(build_model("conv", SHAPE), config(), seed=0, team=WithAnother())
    before = [buffer.clone() for buffer in module.model.buffers() if buffer.is_floating_point()]
    module.train_loss.add(torch.tensor(3.0), 4)
    module.on_validation_epoch_start()
    assert module.train_loss.count == 9
    assert float(module.train_loss.total) == 25.0
    after = [buffer for buffer in module.model.buffers() if buffer.is_floating_point()]
    assert before
    assert all(torch.equal(b, a + 0.5) for a, b in zip(before, after, strict=True))


def test_a_team_diverges_together_at_the_end_of_the_epoch(pixels: NDArray[np.uint8]) -> None:
    class OtherIsSick(WithTwin):
        def total(self, values: Tensor) -> Tensor:
            if values.shape != (2,):
                return 2 * values
            return torch.stack([values[0] * float("nan"), 2 * values[1]])  # of losses, their sum

    with pytest.raises(TrainingDiverged, match="the loss became nan at step 4"):
        learn(pixels, OtherIsSick())


@pytest.mark.parametrize("name", MODELS)
def test_a_step_takes_in_all_weights_of_a_network(name: str) -> None:
    # Else the workers of a cluster would wait for gradients that never come.
    shape = {"seed-mnist": (28, 28, 1), "seed-caltech": (64, 64, 3)}.get(name, (32, 32, 3))
    model = build_model(name, shape).train()
    model.training_losses(torch.rand(4, shape[2], *shape[:2]))["loss"].backward()
    assert [name for name, weight in model.named_parameters() if weight.grad is None] == []
