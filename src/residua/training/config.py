"""The settings of a training run and the record of what it did."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Precision = Literal["auto", "float32", "bf16"]
Schedule = Literal["one-cycle", "constant"]


class TrainingConfig(BaseModel):
    """Settings of one training run, saved with the model."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    epochs: Annotated[int, Field(ge=1)]
    """Passes over the training pictures, at most."""
    batch_size: Annotated[int, Field(ge=1)]
    """Pictures in one step."""
    learning_rate: Annotated[float, Field(gt=0)] = 5e-3
    """Step size of Adam: the greatest of the cycle, or the constant one."""
    schedule: Schedule = "one-cycle"
    """one-cycle: a short rise, then a long fall to almost nothing (Smith and Topin, 2019)."""
    patience: Annotated[int, Field(ge=1)] | None = None
    """Epochs without a better validation loss after which training stops. None: never."""
    precision: Precision = "auto"
    """Arithmetic of the layers in training. auto: bf16 where the processor or card computes in
    it, else float32. Scores are always computed in float32."""
    device: str = "auto"
    """auto, cpu, cuda or mps. auto: a card when there is one."""
    seed: int = 0
    """Seed of the weights and of the order of the pictures."""


class EpochRecord(BaseModel):
    """What one epoch gave."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    epoch: int
    """Counted from 1."""
    train_loss: float
    """Mean over the epoch's pictures, while the weights were changing."""
    val_loss: float
    """On the validation pictures, after the epoch."""
    images_per_second: float
    """Training pictures a second, validation not included."""
    best: bool
    """Whether no epoch before had a lower validation loss."""


class FitChecks(BaseModel):
    """Mean squared error on validation pictures: the network's beside two simple predictors'."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    network_mse: float
    """Of the trained network."""
    mean_image_mse: float
    """Of predicting the mean training picture for each."""
    pca_mse: float | None
    """Of PCA with a code of the same size. None: the code is not smaller than the picture, or not
    pictures but features are rebuilt, of which the code is a part only."""
    pca_components: int | None
    """Components of that PCA: the code's size, or fewer where there are too few pictures."""
    code_size: int
    """Numbers in the network's code."""
    picture_size: int
    """Numbers in a picture."""
