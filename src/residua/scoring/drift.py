"""Whether the scores that come in are still those of calibration, looked at again and again."""

from __future__ import annotations

import hashlib
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator

from residua.errors import ConfigurationError, InputError
from residua.scoring.kolmogorov_smirnov import distance_between, p_value_of

Direction = Literal["higher", "lower"]

MOST_IN_WINDOW = 2_000
"""Latest scores that are compared, at most: the time of a look grows with their square."""
# Ten times the window is compared of a larger calibration: all of it could not make the test as
# powerful as a tenth more scores in the window would.
_CALIBRATION_TO_WINDOW = 10


@dataclass(frozen=True)
class DriftState:
    """What a `DriftWatch` has seen, and what its latest look found."""

    watched: int
    """Scores seen since the start or the last reset."""
    window: int
    """Latest scores that a look compares, at most."""
    every: int
    """New scores after which there is a look."""
    until_look: int
    """New scores that are wanting until the next look, ≥ 1."""
    compared: int
    """Latest scores that the latest look compared, at most ``window``; 0: there was no look yet."""
    calibration: int
    """Calibration scores that they are compared with."""
    looks: int
    """Times the test was made, since the start or the last reset."""
    distance: float | None
    """Greatest difference of the cumulative shares, in [0, 1]. None: there was no look yet."""
    p_value: float | None
    """How often as great a distance comes by chance, in (0, 1]. None: there was no look yet."""
    level: float | None
    """The p-value up to which that look raised the alarm. None: there was no look yet."""
    alarm: bool
    """Whether one of the looks raised it; it stays until it is reset."""
    since: datetime | None
    """When it was raised."""
    higher: float | None
    """Of all pairs of a latest score and one of calibration the share in which the latest is the
    higher, equal ones counted half, in [0, 1]. None: there was no look yet."""
    middle: float | None
    """Median of the latest scores, at the latest look. None: there was no look yet."""
    calibration_middle: float
    """Median of the calibration scores."""

    @property
    def direction(self) -> Direction | None:
        """Whether the latest scores are mostly higher or lower; None: neither, or no look yet."""
        if self.higher is None or self.higher == 0.5:
            return None
        return "higher" if self.higher > 0.5 else "lower"

    @property
    def shown(self) -> bool:
        """Whether the latest look shows a drift, whatever the looks before it did."""
        return self.p_value is not None and self.level is not None and self.p_value <= self.level


class DriftWatch:
    """Compares the latest scores with those of calibration, and may do so for ever.

    After every ``every`` scores the latest ``window`` are set against calibration in a two-sample
    test by Kolmogorov and Smirnov, with an exact p-value. Look k raises the alarm where that is at
    most level / (k (k + 1)). These parts of the level add up to the level, so that

        P(an alarm is ever raised) ≤ level, however long the watch lasts,

    where calibration and incoming scores are draws from one distribution, exchangeable all
    together. It is a union bound: windows may overlap, nothing is said of how the looks depend on
    each other, and with ties the tests are conservative. It is an average over calibrations too:
    for one unlucky calibration the chance is greater. It does not hold where neighbours are more
    alike than others, as in a film of one part; give one score a part then. A reset starts a new
    watch with a level of its own.

    A shift of normal scores by one standard deviation, against 1,000 calibration scores with the
    settings below, raises the alarm at the first look where it was there from the start; where
    500 normal scores came before, 150 scores later in half of all cases and 250 later in nearly
    all.

    Parameters
    ----------
    calibration : array-like of shape (n,), n ≥ 1
        Scores of held-out normal pictures, finite, in any order. Of more than ten times the window
        a random choice of that size is compared.
    level : float, default=0.01
        Greatest chance that a false alarm is ever raised, in (0, 1).
    window : int, default=500
        Latest scores that are compared, 2 to `MOST_IN_WINDOW`. A look takes some 10 ms with 500.
    every : int, default=50
        New scores after which there is a look, 1 to ``window``; the first is after so many.

    Raises
    ------
    ConfigurationError
        A setting is outside its range.
    InputError
        There are no calibration scores, or one is NaN or infinite.

    References
    ----------
    Hodges, "The significance probability of the Smirnov two-sample test", Arkiv för Matematik
    3(43), 1958, for the p-value. Lan and DeMets, "Discrete sequential boundaries for clinical
    trials", Biometrika 70(3), 1983, for spending a level over looks; what is spent here is fixed
    beforehand, and the looks' dependence, from which they gain, is not used.

    Examples
    --------
    >>> watch = DriftWatch([0.1, 0.2, 0.3, 0.4], window=4, every=2)
    >>> watch.add([0.2, 0.3])
    >>> watch.state.looks, watch.state.alarm
    (1, False)
    """

    def __init__(
        self,
        calibration: ArrayLike,
        *,
        level: float = 0.01,
        window: int = 500,
        every: int = 50,
    ) -> None:
        if not 0 < level < 1:
            raise ConfigurationError(
                f"the level of the drift alarm is {level!r}; it must be between 0 and 1, such as "
                f"0.01"
            )
        if not 2 <= window <= MOST_IN_WINDOW:
            raise ConfigurationError(
                f"the drift window is {window} scores; wanted 2 to {MOST_IN_WINDOW:,}"
            )
        if not 1 <= every <= window:
            raise ConfigurationError(
                f"there would be a look after every {every} scores; wanted 1 to the window, "
                f"{window}"
            )
        scores = np.sort(_finite(calibration))
        if not scores.size:
            raise InputError("there are no calibration scores; drift is measured from them")
        self.level, self.window, self.every = level, window, every
        self._identity = hashlib.sha256(scores.astype("<f8").tobytes()).hexdigest()
        self._calibration = _some(scores, _CALIBRATION_TO_WINDOW * window)
        self._middle = float(np.median(self._calibration))
        self._begin()

    def add(self, scores: ArrayLike, *, at: datetime | None = None) -> None:
        """Take new scores in, and look as often as they are due.

        What is found does not depend on how the scores are divided over calls. Calls must not
        overlap.

        Parameters
        ----------
        scores : array-like of any shape
            Anomaly scores, finite, in the order in which they came.
        at : datetime or None, default=None
            When, with its time zone. None: now.

        Raises
        ------
        InputError
            A score is NaN or infinite; none of them is taken in.
        ConfigurationError
            The time has no zone.
        """
        values = _finite(scores)
        if at is not None and at.tzinfo is None:
            raise ConfigurationError(f"the time {at} has no zone; give one, such as UTC")
        while values.size:
            due = self.every - self._fresh % self.every
            taken, values = values[:due], values[due:]
            self._latest.extend(taken.tolist())
            self._watched += taken.size
            self._fresh += taken.size
            if self._fresh % self.every == 0:
                self._look(at)

    def reset(self) -> None:
        """Take the alarm back and begin anew: empty window, first look, whole level."""
        self._begin()

    @property
    def state(self) -> DriftState:
        """What was seen, and what the latest look found."""
        found = self._found
        return DriftState(
            watched=self._watched,
            window=self.window,
            every=self.every,
            until_look=self.every - self._fresh % self.every,
            compared=min(self._looks * self.every, self.window),
            calibration=self._calibration.size,
            looks=self._looks,
            distance=None if found is None else found.distance,
            p_value=None if found is None else found.p_value,
            level=None if found is None else self._level_of(self._looks),
            alarm=self._since is not None,
            since=self._since,
            higher=None if found is None else found.higher,
            middle=None if found is None else found.middle,
            calibration_middle=self._middle,
        )

    def to_json(self) -> str:
        """Return all that `from_json` needs to go on as if there had been no break."""
        return _Saved(
            calibration=self._identity,
            level=self.level,
            window=self.window,
            every=self.every,
            watched=self._watched,
            fresh=self._fresh,
            latest=list(self._latest),
            found=self._found,
            since=self._since,
        ).model_dump_json()

    @classmethod
    def from_json(
        cls,
        calibration: ArrayLike,
        text: str,
        *,
        level: float = 0.01,
        window: int = 500,
        every: int = 50,
    ) -> DriftWatch:
        """Return the watch that `to_json` has written, to go on with.

        Parameters
        ----------
        calibration : array-like of shape (n,)
            The same scores, in any order.
        text : str
            As `to_json` returned it.
        level, window, every
            The same settings: a watch that changes them midway would promise nothing.

        Raises
        ------
        ConfigurationError
            It is the state of other calibration scores or settings, or no state at all. A new
            watch is the way out.
        InputError
            As for the constructor.
        """
        watch = cls(calibration, level=level, window=window, every=every)
        try:
            saved = _Saved.model_validate_json(text)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"])) or "as a whole"
            raise ConfigurationError(
                f"the saved state of the drift watch is not readable ({where}: {first['msg']}); "
                f"begin a new watch"
            ) from error
        for what, then, now in (
            ("calibration scores", saved.calibration, watch._identity),
            ("level", saved.level, level),
            ("window", saved.window, window),
            ("scores from look to look", saved.every, every),
        ):
            if then != now:
                raise ConfigurationError(
                    f"the saved state of the drift watch is of other {what} ({then}, now {now}); "
                    f"begin a new watch"
                )
        watch._watched, watch._fresh, watch._since = saved.watched, saved.fresh, saved.since
        watch._latest.extend(saved.latest)
        watch._found = saved.found
        return watch

    def _begin(self) -> None:
        self._watched = self._fresh = 0
        self._latest: deque[float] = deque(maxlen=self.window)
        self._found: _Found | None = None
        self._since: datetime | None = None

    @property
    def _looks(self) -> int:
        return self._fresh // self.every

    def _level_of(self, look: int) -> float:
        return self.level / (look * (look + 1))

    def _look(self, at: datetime | None) -> None:
        latest = np.array(self._latest)
        apart = distance_between(latest, self._calibration)
        p_value = p_value_of(apart.steps, latest.size, self._calibration.size)
        self._found = _Found(
            distance=apart.value,
            p_value=p_value,
            higher=_share_higher(latest, self._calibration),
            middle=float(np.median(latest)),
        )
        if self._since is None and p_value <= self._level_of(self._looks):
            self._since = datetime.now(UTC) if at is None else at


class _Found(BaseModel):
    """What a look has found."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    distance: Annotated[float, Field(ge=0, le=1)]
    p_value: Annotated[float, Field(gt=0, le=1)]
    higher: Annotated[float, Field(ge=0, le=1)]
    middle: float


class _Saved(BaseModel):
    """A watch as JSON."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    version: Literal[1] = 1
    calibration: str
    """SHA-256 of the sorted calibration scores."""
    level: float
    window: int
    every: int
    watched: Annotated[int, Field(ge=0)]
    fresh: Annotated[int, Field(ge=0)]
    """Scores since the start or the last reset."""
    latest: list[float]
    found: _Found | None
    since: AwareDatetime | None

    @model_validator(mode="after")
    def _agrees(self) -> _Saved:
        looked = self.fresh >= self.every
        if (
            self.fresh > self.watched
            or len(self.latest) != min(self.fresh, self.window)
            or looked != (self.found is not None)
            or (self.since is not None and not looked)
        ):
            raise ValueError("its numbers contradict each other")
        return self


def _finite(values: ArrayLike) -> NDArray[np.float64]:
    scores = np.asarray(values, dtype=np.float64).ravel()
    if not np.isfinite(scores).all():
        raise InputError("a score is NaN or infinite; drift is told from finite ones")
    return scores


def _some(scores: NDArray[np.float64], most: int) -> NDArray[np.float64]:
    """Return at most so many of the sorted scores, chosen by chance and always the same way."""
    if scores.size <= most:
        return scores
    chosen = np.random.default_rng(0).choice(scores.size, most, replace=False)
    return scores[np.sort(chosen)]


def _share_higher(latest: NDArray[np.float64], calibration: NDArray[np.float64]) -> float:
    """Return the share of pairs in which the latest is higher, ties half (Mann and Whitney)."""
    below = np.searchsorted(calibration, latest, "left")
    up_to = np.searchsorted(calibration, latest, "right")
    return float((below + up_to).mean() / (2 * calibration.size))
