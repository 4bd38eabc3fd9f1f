from __future__ import annotations

import os
import signal
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch.callbacks import Callback
from numpy.typing import NDArray
from torch import Tensor

import residua.training.fit as fit_module
from residua.errors import (
    CannotResume,
    ConfigurationError,
    NoBottleneck,
    NothingLearned,
    Restarted,
    TrainingDiverged,
    WorseThanPCA,
)
from residua.models import Autoencoder, build_model
from residua.training.config import TrainingConfig
from residua.training.fit import TrainingResult, choose_batch_size, choose_epochs, train

# So few epochs do not always beat PCA; the test of that warning asks for it by name.
pytestmark = pytest.mark.filterwarnings("ignore::residua.errors.WorseThanPCA")

SHAPE = (16, 16, 1)
TRAIN, VALIDATION = np.arange(128), np.arange(128, 160)


def config(**changes: Any) -> TrainingConfig:
    usual = {"epochs": 4, "batch_size": 16, "learning_rate": 1e-2, "schedule": "constant"}
    usual |= {"precision": "float32"}
    return TrainingConfig(**{**usual, **changes})


def fit(
    pixels: NDArray[np.uint8],
    settings: TrainingConfig | None = None,
    build: Callable[[], Autoencoder] = lambda: build_model("conv", SHAPE),
    **options: Any,
) -> TrainingResult:
    return train(build, pixels, TRAIN, VALIDATION, settings or config(), **options)


@pytest.fixture(scope="module")
def pixels(blobs: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return blobs[..., None]


def weights_of(result: TrainingResult) -> dict[str, Tensor]:
    return result.model.state_dict()


def assert_equal_weights(a: TrainingResult, b: TrainingResult) -> None:
    for name, value in weights_of(a).items():
        assert torch.equal(value, weights_of(b)[name]), name


def losses_of(result: TrainingResult) -> list[tuple[float, float]]:
    return [(record.train_loss, record.val_loss) for record in result.history]


def test_two_runs_of_one_seed_are_equal(pixels: NDArray[np.uint8]) -> None:
    first, second = fit(pixels), fit(pixels)
    assert losses_of(first) == losses_of(second)
    assert_equal_weights(first, second)


def test_another_seed_gives_other_weights(pixels: NDArray[np.uint8]) -> None:
    first, second = fit(pixels), fit(pixels, config(seed=1))
    assert losses_of(first) != losses_of(second)


def test_training_leaves_the_callers_random_state_alone(pixels: NDArray[np.uint8]) -> None:
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    fit(pixels, config(epochs=1))
    assert torch.equal(torch.rand(1), expected)


def test_the_best_epochs_weights_are_kept(pixels: NDArray[np.uint8]) -> None:
    # From the sixth epoch on the loss is climbed, so that the last weights are bad ones.
    climbing = sick_model(lambda loss, step: loss if step < 5 * 8 else -loss)
    result = fit(pixels, config(epochs=8), build=climbing)
    x = torch.from_numpy(pixels[VALIDATION]).permute(0, 3, 1, 2).float() / 255
    with torch.inference_mode():
        loss = float(result.model.training_losses(x)["loss"])
    assert loss == pytest.approx(min(val for _, val in losses_of(result)), rel=1e-4)
    assert result.history[-1].val_loss > 1.5 * loss


def test_history_is_a_record_for_each_epoch(pixels: NDArray[np.uint8]) -> None:
    history = fit(pixels).history
    assert [record.epoch for record in history] == [1, 2, 3, 4]
    assert history[0].best
    assert all(record.images_per_second > 0 for record in history)


@pytest.mark.filterwarnings("ignore::residua.errors.LearnedNothing")
@pytest.mark.parametrize("steps", [1, 2, 3, 4, 5, 9, 10, 11, 20])
def test_a_cycle_fits_any_number_of_steps(pixels: NDArray[np.uint8], steps: int) -> None:
    settings = config(epochs=steps, batch_size=128, schedule="one-cycle")
    assert len(fit(pixels, settings, tolerate_failure=True).history) == steps


def test_training_stops_early_without_progress(pixels: NDArray[np.uint8]) -> None:
    result = fit(pixels, config(epochs=60, learning_rate=0.05, patience=2))
    assert len(result.history) < 60
    assert not any(record.best for record in result.history[-2:])


class _Killed(Exception):
    pass


class Counting(Callback):
    """Counts the steps that have begun, from 0."""

    def __init__(self, step: int = -1) -> None:
        self.step = step
        self.begun = -1

    def on_train_batch_start(self, *_: Any) -> None:
        self.begun += 1


class KillAt(Counting):
    """Ends the process's training in the middle of an epoch, as a kill would."""

    def on_train_batch_start(self, *_: Any) -> None:
        super().on_train_batch_start()
        if self.begun == self.step:
            raise _Killed


def with_callback(monkeypatch: pytest.MonkeyPatch, callback: Callback) -> None:
    original = fit_module.L.Trainer

    def trainer(*, callbacks: list[Callback], **options: Any) -> Any:
        return original(callbacks=[*callbacks, callback], **options)

    monkeypatch.setattr(fit_module.L, "Trainer", trainer)


@pytest.mark.parametrize("killed_at", [11, 16, 29])
def test_a_killed_run_resumes_to_the_result_of_an_uninterrupted_one(
    pixels: NDArray[np.uint8], tmp_path: Path, killed_at: int
) -> None:
    whole = fit(pixels)
    with pytest.MonkeyPatch.context() as patch:
        with_callback(patch, KillAt(killed_at))
        with pytest.raises(_Killed):
            fit(pixels, checkpoint_folder=tmp_path)
    resumed = fit(pixels, checkpoint_folder=tmp_path, resume=True)
    assert losses_of(resumed) == losses_of(whole)
    assert_equal_weights(resumed, whole)


def test_resuming_a_finished_run_gives_its_result(
    pixels: NDArray[np.uint8], tmp_path: Path
) -> None:
    whole = fit(pixels, checkpoint_folder=tmp_path)
    again = fit(pixels, checkpoint_folder=tmp_path, resume=True)
    assert losses_of(again) == losses_of(whole)
    assert_equal_weights(again, whole)


def test_a_checkpoint_cut_short_is_refused_by_name(
    pixels: NDArray[np.uint8], tmp_path: Path
) -> None:
    fit(pixels, config(epochs=1), checkpoint_folder=tmp_path)
    checkpoint = next(tmp_path.rglob("*.ckpt"))
    checkpoint.write_bytes(checkpoint.read_bytes()[:1000])
    with pytest.raises(CannotResume, match="cannot be read"):
        fit(pixels, checkpoint_folder=tmp_path, resume=True)


class PressCtrlC(Counting):
    def on_train_batch_end(self, *_: Any) -> None:
        if self.begun == self.step:
            os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.filterwarnings("ignore::residua.errors.LearnedNothing")
@pytest.mark.parametrize("pressed_at", [3, 12])
def test_ctrl_c_keeps_the_best_weights_so_far(
    pixels: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch, pressed_at: int
) -> None:
    with_callback(monkeypatch, PressCtrlC(pressed_at))
    before = signal.getsignal(signal.SIGINT)
    result = fit(pixels, config(epochs=50))
    assert result.interrupted
    assert 1 <= len(result.history) <= 2
    assert result.history[0].best
    assert signal.getsignal(signal.SIGINT) is before


def test_a_second_ctrl_c_ends_at_once(
    pixels: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    class PressTwice(Counting):
        def on_train_batch_end(self, *_: Any) -> None:
            if self.begun == 2:
                os.kill(os.getpid(), signal.SIGINT)
                os.kill(os.getpid(), signal.SIGINT)

    with_callback(monkeypatch, PressTwice())
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        fit(pixels, config(epochs=50))
    assert signal.getsignal(signal.SIGINT) is before


def sick_model(loss: Callable[[Tensor, int], Tensor]) -> Callable[[], Autoencoder]:
    steps = iter(range(10**6))

    def build() -> Autoencoder:
        model = build_model("conv", SHAPE)
        healthy = model.training_losses

        def losses(x: Tensor) -> dict[str, Tensor]:
            value = healthy(x)["loss"]
            return {"loss": loss(value, next(steps)) if model.training else value}

        model.training_losses = losses  # type: ignore[method-assign]
        return model

    return build


def test_a_loss_that_becomes_nan_stops_with_its_step_and_what_to_try(
    pixels: NDArray[np.uint8],
) -> None:
    build = sick_model(lambda loss, step: loss * float("nan") if step == 9 else loss)
    with pytest.raises(TrainingDiverged, match=r"nan at step 10 \(epoch 2\).*learning rate below"):
        fit(pixels, build=build)


def test_a_validation_loss_that_becomes_nan_stops_too(pixels: NDArray[np.uint8]) -> None:
    def build() -> Autoencoder:
        model = build_model("conv", SHAPE)
        healthy = model.training_losses

        def losses(x: Tensor) -> dict[str, Tensor]:
            sick = float("nan") if not model.training else 1.0
            return {"loss": healthy(x)["loss"] * sick}

        model.training_losses = losses  # type: ignore[method-assign]
        return model

    with pytest.raises(TrainingDiverged, match="nan"):
        fit(pixels, build=build)


def test_a_network_that_learns_nothing_restarts_and_is_then_an_error(
    pixels: NDArray[np.uint8],
) -> None:
    frozen = sick_model(lambda loss, _: loss * 0)
    with pytest.warns(Restarted, match="seed 1"), pytest.raises(NothingLearned, match="two seeds"):
        fit(pixels, build=frozen)


def test_a_restart_that_learns_is_taken_with_its_own_seed(pixels: NDArray[np.uint8]) -> None:
    first_run = 4 * 8
    build = sick_model(lambda loss, step: loss * 0 if step < first_run else loss)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = fit(pixels, build=build)
    assert result.seed == 1
    assert result.checks.network_mse < result.checks.mean_image_mse
    assert any(issubclass(w.category, Restarted) for w in caught)


def test_worse_than_pca_is_a_warning_with_both_figures(pixels: NDArray[np.uint8]) -> None:
    with pytest.warns(WorseThanPCA, match="PCA with 16 components"):
        result = fit(pixels, config(epochs=3))
    assert result.checks.pca_mse is not None
    assert result.checks.network_mse > result.checks.pca_mse


def test_a_code_as_large_as_the_picture_is_a_warning(pixels: NDArray[np.uint8]) -> None:
    with pytest.warns(NoBottleneck, match="1,024 numbers and the picture 256"):
        result = fit(
            pixels,
            config(learning_rate=3e-3, epochs=6),
            build=lambda: build_model("seed-mnist", SHAPE),
        )
    assert result.checks.pca_mse is None


def test_a_device_that_is_not_there_is_refused(pixels: NDArray[np.uint8]) -> None:
    if torch.cuda.is_available():
        pytest.skip("a card is there")
    with pytest.raises(ConfigurationError, match="finds none"):
        fit(pixels, config(device="cuda"))


def test_bf16_trains_where_the_processor_has_it(pixels: NDArray[np.uint8]) -> None:
    result = fit(pixels, config(precision="bf16"))
    assert all(value.dtype != torch.bfloat16 for value in weights_of(result).values())


@pytest.mark.parametrize(
    ("n", "expected"), [(1, 8), (127, 8), (256, 16), (2048, 128), (10**6, 128)]
)
def test_the_batch_size_grows_with_the_pictures(n: int, expected: int) -> None:
    assert choose_batch_size(n) == expected


def test_epochs_make_about_four_thousand_steps() -> None:
    assert choose_epochs(2_048, 128) == 200
    assert choose_epochs(128 * 100, 128) == 40
    assert choose_epochs(54_000, 128) == 15
