"""Threshold rules: fitted on the scores of normal pictures, they say what is anomalous.

No rule here sees an anomaly: what they promise, they promise from normal pictures alone.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ConfigDict

from residua.errors import ConfigurationError, InputError, TooFewImages
from residua.scoring.expressions import build_named


class Threshold(BaseModel):
    """Limits of the scores of normal pictures, as a rule has fitted them."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    rule: str
    """The rule with its parameters, as text that `build_rule` reads."""
    upper: float
    """A score above is anomalous."""
    lower: float | None = None
    """A score below is anomalous too; None: no score is too low."""
    n_normal: int
    """Number of normal scores the rule was fitted on."""
    normal_mean: float
    """Their mean."""
    normal_std: float
    """Their standard deviation (with n - 1)."""

    def is_anomalous(self, scores: ArrayLike) -> NDArray[np.bool_]:
        """Say which scores, of any shape, lie outside the limits.

        Raises
        ------
        InputError
            A score is NaN, on which no verdict is possible.
        """
        values = np.asarray(scores, dtype=np.float64)
        if np.isnan(values).any():
            raise InputError("a score is NaN; no verdict is possible on it")
        outside = values > self.upper
        return outside if self.lower is None else outside | (values < self.lower)

    def margin(self, scores: ArrayLike) -> NDArray[np.float64]:
        """Distance of each score from the nearer limit: negative outside, at least 0 inside."""
        values = np.asarray(scores, dtype=np.float64)
        above = self.upper - values
        return above if self.lower is None else np.minimum(above, values - self.lower)


class ThresholdRule(ABC):
    """A way to set limits from the scores of normal pictures."""

    min_scores = 2

    @property
    def promised_rate(self) -> float | None:
        """Share of normal pictures that the rule is meant to flag; None: it names none."""
        return None

    def expected_rate(self, n: int) -> float | None:
        """Share of new normal pictures to expect above the limit when fitted on ``n`` scores."""
        return None

    @abstractmethod
    def limits(self, scores: NDArray[np.float64]) -> tuple[float, float | None]:
        """Return the upper and the lower limit for finite normal scores (n,)."""

    def fit(self, normal_scores: ArrayLike) -> Threshold:
        """Fit the rule.

        Parameters
        ----------
        normal_scores : array-like of shape (n,)
            Scores of held-out normal pictures, finite.

        Raises
        ------
        TooFewImages
            Fewer scores than the rule needs.
        InputError
            A score that is not finite.
        """
        scores = np.asarray(normal_scores, dtype=np.float64).ravel()
        if scores.size < self.min_scores:
            raise TooFewImages(
                f"{self} needs the scores of at least {self.min_scores} held-out normal pictures "
                f"and has {scores.size}; give more pictures or hold a larger fraction out"
            )
        if not np.isfinite(scores).all():
            raise InputError("a normal score is NaN or infinite; the threshold needs finite ones")
        upper, lower = self.limits(scores)
        return Threshold(
            rule=str(self),
            upper=float(upper),
            lower=None if lower is None else float(lower),
            n_normal=scores.size,
            normal_mean=float(scores.mean()),
            normal_std=float(scores.std(ddof=1)),
        )


@dataclass(frozen=True)
class ZScore(ThresholdRule):
    """Mean ± ``k`` standard deviations of the normal scores.

    Parameters
    ----------
    k : float, default=3.0
        Standard deviations, positive.
    two_sided : bool, default=False
        Whether scores below the mean by as much are anomalous too.
    """

    k: float = 3.0
    two_sided: bool = False

    def __post_init__(self) -> None:
        _require_positive("zscore", self.k)
        if not isinstance(self.two_sided, bool):
            raise ConfigurationError(
                f"zscore: two_sided is {self.two_sided!r}; it must be True or False"
            )

    def limits(self, scores: NDArray[np.float64]) -> tuple[float, float | None]:
        """Return the limits for finite normal scores (n,)."""
        mean, reach = scores.mean(), self.k * scores.std(ddof=1)
        return mean + reach, mean - reach if self.two_sided else None

    def __str__(self) -> str:
        return f"zscore({self.k:.15g}, two_sided={self.two_sided})"


@dataclass(frozen=True)
class Percentile(ThresholdRule):
    """The ``q``-th percentile of the normal scores; (100 - q) % of them lie above it.

    Parameters
    ----------
    q : float, default=99.0
        Percentile, in (0, 100]; linear interpolation between neighbouring scores.
    """

    q: float = 99.0

    def __post_init__(self) -> None:
        if not 0 < self.q <= 100:
            raise ConfigurationError(f"percentile: q is {self.q}; it must be in (0, 100]")

    @property
    def promised_rate(self) -> float | None:
        """Share of normal pictures that the rule is meant to flag."""
        return 1 - self.q / 100

    def expected_rate(self, n: int) -> float | None:
        """Share of new normal pictures to expect above the limit when fitted on ``n`` scores.

        The k-th least of n exchangeable scores is expected to have k / (n + 1) of new ones below.
        """
        return 1 - (1 + (n - 1) * self.q / 100) / (n + 1)

    def limits(self, scores: NDArray[np.float64]) -> tuple[float, float | None]:
        """Return the limits for finite normal scores (n,)."""
        return float(np.percentile(scores, self.q)), None

    def __str__(self) -> str:
        return f"percentile({self.q:.15g})"


@dataclass(frozen=True)
class MAD(ThresholdRule):
    """Median + ``k`` scaled median absolute deviations: a z-score that strays do not move.

    Parameters
    ----------
    k : float, default=3.5
        Scaled deviations, positive. The scale 1.4826 makes them standard deviations where the
        scores are normally distributed.

    References
    ----------
    Iglewicz and Hoaglin, "How to detect and handle outliers", ASQC 1993, chapter 3.
    """

    k: float = 3.5

    def __post_init__(self) -> None:
        _require_positive("mad", self.k)

    def limits(self, scores: NDArray[np.float64]) -> tuple[float, float | None]:
        """Return the limits for finite normal scores (n,)."""
        median = np.median(scores)
        return float(median + self.k * 1.4826 * np.median(np.abs(scores - median))), None

    def __str__(self) -> str:
        return f"mad({self.k:.15g})"


RULES: Mapping[str, type[ThresholdRule]] = MappingProxyType(
    {"zscore": ZScore, "percentile": Percentile, "mad": MAD}
)


def build_rule(rule: str | ThresholdRule) -> ThresholdRule:
    """Return the rule that a text such as ``"zscore(3, two_sided=True)"`` names."""
    return rule if isinstance(rule, ThresholdRule) else build_named("threshold rule", rule, RULES)


def _require_positive(rule: str, k: float) -> None:
    if not (np.isfinite(k) and k > 0):
        raise ConfigurationError(f"{rule}: k is {k}; it must be a positive number")
