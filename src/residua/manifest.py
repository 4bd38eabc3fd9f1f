"""What a saved model says of itself: the content of ``residua.json``."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from residua.features.record import BackboneRecord
from residua.images.preprocess import InputSpec
from residua.scoring.thresholds import Threshold
from residua.settings import FitSettings
from residua.training.config import EpochRecord, FitChecks, TrainingConfig

SCHEMA_VERSION = 2


class ModelRecord(BaseModel):
    """The network of a bundle."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    """Name in the registry of networks."""
    package: str | None = None
    """The package that offers it, with its version. None: it is built in."""
    latent_dim: int
    """Numbers in the code."""
    loss: str
    """Training loss."""
    parameters: int
    """Number of trained weights."""
    backbone: BackboneRecord | None = None
    """The frozen network whose features it rebuilds. None: it rebuilds pixels."""

    @property
    def rebuilds_pixels(self) -> bool:
        """Whether pictures come back as pixels; else only a view of the code does."""
        return self.backbone is None


class DataRecord(BaseModel):
    """The pictures on which a bundle was fitted."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    training: int
    """Pictures that the weights were fitted on."""
    validation: int
    """Pictures that the best epoch was chosen on."""
    calibration: int
    """Pictures that the threshold was fitted on."""
    skipped: int
    """Pictures that could not be read."""
    fingerprint: str
    """SHA-256 of all decoded pixels; of a fit on a cluster, of the SHA-256 of each picture."""


class RecalibrationRecord(BaseModel):
    """How the threshold was fitted anew, after the fit."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    created: datetime
    source: str
    """What the new normal pictures were called."""
    pictures: int
    """Number of them: threshold and calibration scores rest on these alone."""
    anomalous: int | None
    """Number of labelled anomalies that the rule saw; None: it saw none."""
    skipped: int
    """Pictures, of both kinds, that could not be read."""
    fingerprint: str
    """SHA-256 of the decoded pixels of the normal ones."""
    previous_threshold: Threshold
    """The limits that these replaced."""


class Manifest(BaseModel):
    """Everything about a saved model but its numbers: the content of ``residua.json``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["residua"] = "residua"
    schema_version: int = SCHEMA_VERSION
    created: datetime
    versions: dict[str, str]
    """Packages that took part, with their versions."""
    input: InputSpec
    """The shape and range to which pictures are brought."""
    model: ModelRecord
    """The network."""
    settings: FitSettings
    """What the fit was told."""
    training: TrainingConfig
    """What the training run made of it."""
    seed: int
    """The seed that led to these weights."""
    interrupted: bool
    """Whether training was ended by Ctrl-C."""
    workers: int = 1
    """Processes that shared training out, at its end; 1: one machine."""
    threads: int | None = None
    """With which each computed, at the end. As many of both give the same weights again, unless the
    fit was resumed, or a worker lost, with others. None: not noted."""
    threshold: Threshold
    """The limits of the verdict."""
    calibration_quantiles: dict[str, float]
    """Quantiles of the calibration scores."""
    map_ceiling: float
    """99.9 % of the pixels of held-out normal error maps lie below: full scale of heat maps."""
    data: DataRecord
    """The pictures it was fitted on."""
    n_features: int | None
    """Columns of the table it was fitted on; None: pictures."""
    history: list[EpochRecord]
    """One record an epoch."""
    checks: FitChecks
    """The network's error beside those of simple predictors."""
    recalibrated: RecalibrationRecord | None = None
    """How the threshold was fitted anew; None: it is that of the fit."""


def quantiles_of(calibration_scores: NDArray[np.float64]) -> dict[str, float]:
    """Return the quantiles of the calibration scores (n,) that a manifest holds, by their level."""
    levels = (0.0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1.0)
    quantiles = np.quantile(calibration_scores, levels).tolist()
    return {f"{level:g}": value for level, value in zip(levels, quantiles, strict=True)}
