"""Which backbone a model was fitted on: what its bundle says of it."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from residua.images.preprocess import MAX_SIDE

_Side = Annotated[int, Field(ge=1, le=MAX_SIDE)]


class BackboneRecord(BaseModel):
    """Which backbone a model was fitted on, and what it takes of it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    """Name of the file, or of the network."""
    sha256: str
    """Of the ONNX file."""
    maps: tuple[str, ...]
    """Its outputs that are taken as feature maps, finest first."""
    descriptor: str | None
    """Its output that is taken as the description of the whole picture. None: the mean of the
    coarsest map."""
    channels: tuple[int, ...]
    """Channels of each map."""
    grid: tuple[_Side, _Side]
    """Rows and columns to which all maps are brought: those of the map of stride 16, or the
    nearest."""
    width: int
    """Numbers in the descriptor."""

    @property
    def outputs(self) -> tuple[str, ...]:
        """The outputs that are taken, maps first."""
        return self.maps if self.descriptor is None else (*self.maps, self.descriptor)
