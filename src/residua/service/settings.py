"""What a service is told when it starts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Keep = Literal["off", "flagged", "all"]

MIB = 1 << 20


class Limits(BaseModel):
    """What one caller, and all together, may ask of the service."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_bytes: Annotated[int, Field(ge=1)] = 64 * MIB
    """Bytes of a request's body."""
    max_pixels: Annotated[int, Field(ge=1)] = 1 << 26
    """Pixels of a picture, before anything is decoded."""
    max_pictures: Annotated[int, Field(ge=1)] = 64
    """Pictures of a request."""
    queue: Annotated[int, Field(ge=1)] = 256
    """Pictures taken in and not answered yet, of all requests."""
    bytes_in_flight: Annotated[int, Field(ge=1)] = 256 * MIB
    """Bytes of bodies held, of all requests."""
    upload_seconds: Annotated[float, Field(gt=0)] = 30.0
    """Time in which a body has to come."""
    queue_seconds: Annotated[float, Field(gt=0)] = 20.0
    """Time after which a picture whose turn has not come is given up."""
    batch_milliseconds: Annotated[float, Field(ge=0)] = 2.0
    """Time that a picture waits for others to be computed with."""
    drain_seconds: Annotated[int, Field(ge=0)] = 30
    """Time in which requests end that were taken when the service is told to stop."""


class Retention(BaseModel):
    """What is kept of scored pictures, and for how long."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    keep: Keep = "flagged"
    """off: nothing; flagged: pictures called anomalous; all."""
    days: Annotated[float, Field(gt=0, le=36_500)] | None = 30.0
    """Days after which a picture that nobody reviewed is removed. None: never."""
    max_bytes: Annotated[int, Field(ge=1)] | None = 10 * 1024 * MIB
    """Bytes of all pictures, beyond which the oldest that nobody reviewed are removed."""


class ServiceSettings(BaseModel):
    """Everything that a service is told."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    bundles: dict[str, Path | str]
    """The saved models, by path or URL, by the names under which they are served."""
    data: Path | None = None
    """Folder of the review store, where no other database is named. None: the user's own."""
    database: str | None = None
    """URL of the review store. None: SQLite in `data`."""
    station: str = "station"
    """Name of this service among those that share a database."""
    tokens: Path | None = None
    """File of bearer tokens. None: whoever reaches the service may do everything."""
    hosts: tuple[str, ...] | None = None
    """Host names under which it is reached. None: any."""
    threads: Annotated[int, Field(ge=1)] | None = None
    """Processor threads. None: all."""
    engine: str = "auto"
    """What computes; see `residua.runtime.BundleScorer`."""
    precision: Literal["float32", "bf16"] = "float32"
    """The lowest arithmetic that may be used."""
    reload_seconds: Annotated[float, Field(gt=0)] = 1.0
    """How often the bundles on disk are looked at."""
    limits: Limits = Limits()
    retention: Retention = Retention()
