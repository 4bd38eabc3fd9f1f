"""A scored picture: as it comes to the store, and as it is read from there."""

from __future__ import annotations

import hashlib
import math
import secrets
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, or_, select

from residua.errors import ConfigurationError
from residua.service.schemas import KeptPicture, Truth
from residua.service.store.tables import CONTENTS, PICTURES
from residua.service.store.texts import storable


@dataclass(frozen=True, kw_only=True)
class NewPicture:
    """A scored picture that is to be kept.

    Raises
    ------
    ConfigurationError
        A number is not finite; only the margin may be infinite.
    """

    model: str
    """The model's name."""
    revision: str
    """Of the bundle that computed the score."""
    name: str
    """The name that was sent: any text."""
    content: bytes = field(repr=False)
    """The picture as it was sent."""
    media_type: str
    """Of the content, by what it holds."""
    width: int
    """Columns, in pixels, upright."""
    height: int
    """Rows, in pixels, upright."""
    score: float
    """Anomaly score; the higher, the more anomalous."""
    threshold: float
    """Scores above were anomalous."""
    lower: float | None = None
    """Scores below were anomalous too. None: there was no such limit."""
    anomalous: bool
    """The verdict."""
    p_value: float
    """Share of held-out normal pictures that score as high, in (0, 1]."""
    margin: float
    """Distance of the score from the nearest limit, in standard deviations of the calibration
    scores, at least 0: the smaller, the more uncertain the verdict."""
    fitted_upper: float | None = None
    """The upper limit that the bundle was fitted with, where `threshold` is another one."""

    def __post_init__(self) -> None:
        for one in fields(self):
            value = getattr(self, one.name)
            if one.name == "margin":
                wrong = math.isnan(value) or value < 0
            else:
                wrong = isinstance(value, float) and not math.isfinite(value)
            if wrong:
                raise ConfigurationError(
                    f"{one.name} of the picture {storable(self.name)!r} is {value}; "
                    "wanted a finite number" + (", 0 or more" if one.name == "margin" else "")
                )

    @property
    def digest(self) -> str:
        """SHA-256 of the content, hexadecimal."""
        return hashlib.sha256(self.content).hexdigest()

    def row(self, digest: str, created: datetime) -> dict[str, Any]:
        """Return the picture's row, with a place of its own in the random order."""
        return {
            "content": digest,
            "created": created,
            # Not of a seeded generator: nobody is to foresee which pictures come up.
            "draw": secrets.SystemRandom().random(),
            "model": storable(self.model),
            "revision": storable(self.revision),
            "name": storable(self.name),
            "media_type": storable(self.media_type),
            # Plain numbers, where NumPy's came: not every driver takes those.
            "width": int(self.width),
            "height": int(self.height),
            "anomalous": bool(self.anomalous),
            "score": float(self.score),
            "threshold": float(self.threshold),
            "lower": None if self.lower is None else float(self.lower),
            "fitted_upper": None if self.fitted_upper is None else float(self.fitted_upper),
            "p_value": float(self.p_value),
            "margin": float(self.margin),
        }


def kept_pictures() -> Select[Any]:
    """Return the query from whose rows `kept_of` reads pictures."""
    return select(PICTURES, CONTENTS.c.size).join_from(PICTURES, CONTENTS)


def kept_of(row: Row[Any]) -> KeptPicture:
    """Read a picture from its row."""
    return KeptPicture(
        id=row.id,
        model=row.model,
        revision=row.revision,
        name=row.name,
        created=row.created,
        score=row.score,
        threshold=row.threshold,
        lower=row.lower,
        verdict=_word(row.anomalous),
        p_value=row.p_value,
        width=row.width,
        height=row.height,
        media_type=row.media_type,
        size=row.size,
        truth=None if row.correct is None else _word(row.anomalous == row.correct),
        correct=row.correct,
        reviewed_by=row.reviewer,
        reviewed=row.reviewed,
    )


def is_truly(truth: Truth) -> ColumnElement[bool]:
    """Return the condition that a person said a picture is normal, or anomalous."""
    correct, anomalous = PICTURES.c.correct, PICTURES.c.anomalous
    right, wrong = (anomalous, ~anomalous) if truth == "anomalous" else (~anomalous, anomalous)
    return or_(correct & right, ~correct & wrong)


def _word(anomalous: bool) -> Truth:
    return "anomalous" if anomalous else "normal"
