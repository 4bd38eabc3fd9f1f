"""What the service says and is told: the records of its JSON."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Truth = Literal["normal", "anomalous"]
Word = Literal["normal", "anomalous"]
Order = Literal["uncertain", "random", "latest"]
Sample = Literal["random", "all"]
View = Literal["heatmap", "reconstruction", "input"]
Role = Literal["reader", "reviewer", "admin"]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Problem(_Record):
    """Why a request, or one picture of it, came to nothing: RFC 9457."""

    model_config = ConfigDict(frozen=True, extra="allow")

    type: str
    """URI of the kind of problem, such as /problems/not-an-image."""
    title: str
    """The kind in words."""
    status: int
    """HTTP status."""
    detail: str
    """What went wrong this time, and the way out."""
    instance: str | None = None
    """Id of the request, under which the log has it."""


class PictureResult(_Record):
    """What is said of one picture."""

    index: int
    """Position in the request."""
    name: str
    """The name that was sent, as text that can be printed; else the position."""
    score: float | None = None
    """Anomaly score; the higher, the more anomalous. None: see `error`."""
    verdict: Word | None = None
    """anomalous: beyond the limits. None: see `error`."""
    threshold: float
    """Scores above are anomalous."""
    lower: float | None = None
    """Scores below are anomalous too. None: there is no such limit."""
    p_value: float | None = None
    """Share of held-out normal pictures that score as high, in (0, 1]."""
    width: int | None = None
    """Columns of the picture that was sent, in pixels, upright."""
    height: int | None = None
    """Rows of the picture that was sent, in pixels, upright."""
    heatmap: str | None = None
    """Where it is suspect: a PNG as data URL, of the model's input size; as asked for."""
    reconstruction: str | None = None
    """What the model rebuilt, as `heatmap`. None also where features are rebuilt."""
    input: str | None = None
    """What the model saw of the picture, as `heatmap`."""
    kept: int | None = None
    """Number under which it was kept for review. None: it was not."""
    keeping_failed: str | None = None
    """Why it could not be kept, though it should have been."""
    error: Problem | None = None
    """Why there is no score."""


class ScoreResponse(_Record):
    """The verdicts of one request, in its order."""

    model: str
    """The model's name."""
    revision: str
    """The bundle that computed: the first 12 hexadecimal digits of its checksums' SHA-256."""
    results: list[PictureResult]
    """One a picture."""


class InputSize(_Record):
    """To what pictures are brought before they are scored."""

    height: int
    width: int
    channels: int
    resize: Literal["stretch", "pad", "crop"]


class Limits(_Record):
    """The limits of the verdict."""

    upper: float
    """Scores above are anomalous."""
    lower: float | None
    """Scores below are anomalous too. None: there is no such limit."""
    rule: str
    """The rule that set them."""
    n_normal: int
    """Held-out normal pictures that it saw."""
    promised_rate: float | None
    """Share of normal pictures that the rule means to flag. None: it names none."""


class Calibration(_Record):
    """Scores of held-out normal pictures, against which a score is read."""

    n: int
    """Number of pictures."""
    edges: list[float]
    """Edges of the histogram's bins, rising: one more than there are bins."""
    counts: list[int]
    """Pictures in each bin."""
    quantiles: list[float]
    """101 quantiles of the scores, from the lowest to the highest, at equal steps."""


class Drift(_Record):
    """The scores that come in against those of calibration."""

    watched: int
    """Scores seen since this revision was first served, or since the last reset."""
    window: int
    """Latest scores that the test compares."""
    looks: int
    """Times the test was made."""
    distance: float | None
    """Greatest difference of the two distributions, 0 to 1 (Kolmogorov and Smirnov). None: too
    few scores yet."""
    p_value: float | None
    """How often as great a distance comes by chance. None: too few scores yet."""
    level: float | None
    """The p-value below which this look would have raised the alarm."""
    alarm: bool
    """Whether one of the looks raised it; it stays until the bundle is replaced or it is reset."""
    since: datetime | None
    """When it was raised."""
    direction: Literal["higher", "lower"] | None
    """Whether the latest scores are mostly higher or lower than those of calibration."""
    words: str
    """All of this in a sentence."""


class ModelSummary(_Record):
    """A model that is served."""

    name: str
    """By which it is addressed."""
    revision: str
    """See `ScoreResponse.revision`."""
    input: InputSize
    threshold: Limits
    rebuilds_pixels: bool
    """Whether there is a reconstruction to look at."""
    loaded: datetime
    """When this revision was taken into service."""
    reload_failed: str | None = None
    """Why the bundle that now lies on disk is not served; the one before it still is."""
    drift: Drift


class Fact(_Record):
    """A line of the model card."""

    name: str
    value: str


class ModelDetail(ModelSummary):
    """A model that is served, with its card."""

    facts: list[Fact]
    """The card: network, input, score, threshold, pictures, training, quality, versions."""
    warnings: list[str]
    """What to know before trusting it; empty: nothing."""
    calibration: Calibration


class ModelList(_Record):
    """All models that are served."""

    models: list[ModelSummary]


class Session(_Record):
    """What the caller may do here."""

    role: Role
    """reader: scores; reviewer: also judges and exports; admin: also recalibrates and deletes."""
    name: str | None
    """The token's name. None: the service asks for no tokens."""
    keep: Literal["off", "flagged", "all"]
    """Which scored pictures are kept for review."""
    max_bytes: int
    """Bytes of a request, at most."""
    max_pictures: int
    """Pictures of a request, at most."""


class KeptPicture(_Record):
    """A scored picture that was kept for review."""

    id: int
    model: str
    revision: str
    name: str
    """The name that was sent."""
    created: datetime
    score: float
    threshold: float
    lower: float | None
    verdict: Word
    p_value: float
    width: int
    height: int
    media_type: str
    """Of the content, by what it holds."""
    size: int
    """Bytes of the content."""
    truth: Truth | None
    """What a person said it is. None: nobody did."""
    correct: bool | None
    """Whether the verdict was right. None: nobody said."""
    reviewed_by: str | None
    reviewed: datetime | None


class ReviewQueue(_Record):
    """Pictures that wait for a person."""

    waiting: int
    """Kept and not reviewed, all together."""
    items: list[KeptPicture]
    """The first of them, in the order asked for."""


class Judgement(_Record):
    """What a person says of a kept picture."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"correct": False, "order": "uncertain"}]}
    )

    correct: bool
    """Whether the verdict is right."""
    order: Order = "uncertain"
    """The order in which the picture came up: only those of random order are a fair sample."""


class Rate(_Record):
    """A share with its interval."""

    value: float
    low: float
    high: float
    level: float = 0.95


class Quality(_Record):
    """How right the verdicts are, as far as persons said."""

    true_positives: int
    """Flagged and anomalous."""
    false_positives: int
    """Flagged and normal."""
    true_negatives: int
    """Passed and normal."""
    false_negatives: int
    """Passed and anomalous."""
    precision: Rate | None
    """Share of anomalous pictures among those flagged. None: none flagged was reviewed."""
    recall: Rate | None
    """Share flagged among the anomalous pictures. None: it cannot be told."""
    caveat: str | None
    """Why these figures are to be taken with care. None: there is no reason known."""


class ReviewSummary(_Record):
    """The state of a model's reviews."""

    model: str | None
    """None: all models."""
    kept: int
    """Pictures in the store."""
    flagged: int
    """Of them anomalous by verdict."""
    waiting: int
    """Of them not reviewed."""
    size: int
    """Bytes of all of them."""
    full: bool
    """Whether nothing more is kept, since reviewed pictures alone reach the limit of bytes."""
    random: Quality
    """On those that came up in random order, weighted to all that were kept."""
    all: Quality
    """On all that were reviewed, as they are."""


class RecalibrationRequest(_Record):
    """From which confirmed pictures, and by which rule, the threshold is fitted anew."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"sample": "random", "threshold": "conformal(0.01)"}]}
    )

    sample: Sample = "random"
    """random: those confirmed normal in random order; all: every one confirmed normal."""
    threshold: Annotated[str | None, Field(max_length=100)] = None
    """A threshold rule, such as conformal(0.01). None: the one of the fit."""


class RecalibrationPreview(_Record):
    """What fitting the threshold anew would change."""

    confirmation: str
    """To be sent back to have it done. It holds for these pictures and this revision only."""
    revision: str
    pictures: int
    """Confirmed normal pictures that it rests on."""
    before: Limits
    after: Limits
    flagged_before: int
    """Of those pictures outside the old limits."""
    flagged_after: int
    """Of those pictures outside the new limits."""
    reviewed_right_before: int
    """Of all reviewed pictures those that the old limits judge right."""
    reviewed_right_after: int
    """Of all reviewed pictures those that the new limits would judge right."""
    reviewed: int
    """All reviewed pictures."""
    warnings: list[str]
    """What speaks against it; empty: nothing."""


class Confirmation(_Record):
    """The explicit act."""

    confirmation: Annotated[str, Field(max_length=200)]
    """As the preview gave it."""


class Health(_Record):
    """Whether the service lives, or can work."""

    status: Literal["ok", "degraded", "unavailable"]
    detail: list[str] = []
    """What is amiss."""
