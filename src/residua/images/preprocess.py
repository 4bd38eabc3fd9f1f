"""What a model takes in: the InputSpec that is decided at fit and saved with the model."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Resize = Literal["stretch", "pad", "crop"]

MIN_SIDE = 8
MAX_SIDE = 1024


class InputSpec(BaseModel):
    """Size, channels and value range to which every picture is brought.

    The same record is used by fit, by scoring in Python, on the command line and without torch,
    so that one picture has one score wherever it is scored.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    height: Annotated[int, Field(ge=MIN_SIDE, le=MAX_SIDE)]
    """Rows, in pixels."""
    width: Annotated[int, Field(ge=MIN_SIDE, le=MAX_SIDE)]
    """Columns, in pixels."""
    channels: Annotated[int, Field(ge=1, le=64)]
    """1 for grey, 3 for RGB; other numbers for arrays only."""
    resize: Resize = "stretch"
    """How another size is brought to this one: stretched; padded with the background to keep the
    aspect ratio; or cropped at the centre to keep it."""
    value_range: tuple[float, float] | None = None
    """The values that become black and white, for pictures deeper than 8 bits and for float
    arrays. None: the type's own full range (0 to 65535, 0 to 1)."""
    background: tuple[int, int, int] = (255, 255, 255)
    """RGB colour (0 to 255) on which transparent pictures are laid and with which `pad` fills."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Rows, columns and channels."""
        return self.height, self.width, self.channels
