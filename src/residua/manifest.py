"""What a saved model says of itself: the content of ``residua.json``."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

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
    """Processes that shared training out; 1: one machine. As many give the same weights again."""
    threads: int | None = None
    """With which each computed, likewise. None: not noted, as before it was."""
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
