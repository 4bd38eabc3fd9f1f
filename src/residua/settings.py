"""All settings of a fit, validated together and saved with the model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from residua.errors import ConfigurationError
from residua.images.preprocess import MAX_SIDE, MIN_SIDE, Resize
from residua.scoring.thresholds import Rule
from residua.training.config import Precision, Schedule

_Side = Annotated[int, Field(ge=MIN_SIDE, le=MAX_SIDE)]
_Fraction = Annotated[float, Field(gt=0, lt=1)]
_Level = Annotated[int, Field(ge=0, le=255)]


FEATURES = "features"
"""The model that rebuilds features of a backbone instead of pixels."""


class FitSettings(BaseModel):
    """What `AutoencoderDetector` was told; its docstring says what each means."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    model: str
    latent_dim: Annotated[int, Field(ge=1)] | None
    loss: str | None
    model_options: dict[str, Any] | None
    error_map: str
    reduction: str
    score: str = "error"  # what every model had before there was a choice
    threshold: str
    epochs: Annotated[int, Field(ge=1)] | None
    batch_size: Annotated[int, Field(ge=1)] | None
    learning_rate: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    schedule: Schedule
    patience: Annotated[int, Field(ge=1)] | None
    validation_fraction: _Fraction
    calibration_fraction: _Fraction
    image_size: _Side | tuple[_Side, _Side] | None
    channels: Annotated[int, Field(ge=1, le=64)] | None
    resize: Resize
    value_range: tuple[float, float] | Literal["data"] | None
    background: tuple[_Level, _Level, _Level]
    precision: Precision
    device: Literal["auto", "cpu", "cuda", "mps"]
    on_failed_fit: Literal["raise", "warn"]
    seed: Annotated[int, Field(ge=0, lt=2**63 - 1)]

    @field_validator("threshold", mode="before")
    @classmethod
    def _rule_as_text(cls, rule: object) -> object:
        return str(rule) if isinstance(rule, Rule) else rule

    @model_validator(mode="after")
    def _something_left_to_learn_from(self) -> Self:
        held_out = self.validation_fraction + self.calibration_fraction
        if held_out >= 1:
            raise ValueError(
                f"validation_fraction and calibration_fraction add up to {held_out:g}; together "
                f"they must stay below 1"
            )
        return self

    @classmethod
    def checked(cls, values: Mapping[str, Any]) -> Self:
        """Validate ``values``.

        Raises
        ------
        ConfigurationError
            Names the first wrong setting, its value and what it may be.
        """
        try:
            return cls.model_validate(dict(values))
        except ValidationError as error:
            first = error.errors()[0]
            if not first["loc"]:
                raise ConfigurationError(first["msg"].removeprefix("Value error, ")) from error
            name = str(first["loc"][0])
            raise ConfigurationError(f"{name} is {values[name]!r}: {first['msg']}") from error
