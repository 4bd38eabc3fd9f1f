"""What a fitted threshold is, and what every rule that sees normal scores alone must do."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ConfigDict

from residua.errors import InputError, NoSpread, TooFewImages


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
    n_anomalous: int | None = None
    """Number of labelled anomalies that a labelled rule saw; None: it saw none."""

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


class Rule:
    """A way to set limits."""

    @property
    def promised_rate(self) -> float | None:
        """Share of normal pictures that the rule is meant to flag; None: it names none."""
        return None


class ThresholdRule(Rule, ABC):
    """A way to set limits from the scores of normal pictures."""

    @property
    def min_scores(self) -> int:
        """Number of normal scores that the rule needs at least."""
        return 2

    def for_count(self, n: int) -> ThresholdRule:
        """Return the rule that is fitted on ``n`` scores: this one, where it depends on nothing."""
        return self

    def expected_rate(self, n: int) -> float | None:
        """Share of new normal pictures to expect above the limit when fitted on ``n`` scores."""
        return None

    def shortage(self, n: int) -> str | None:
        """Say what ``n`` scores are too few for; None: they are enough."""
        promised, expected = self.promised_rate, self.expected_rate(n)
        if promised is None or expected is None or expected <= 2 * promised:
            return None
        return (
            f"{self} is meant to flag {promised:.2%} of normal pictures; resting on {n} held-out "
            f"ones it must be expected to flag {expected:.1%}"
        )

    @abstractmethod
    def limits(self, scores: NDArray[np.float64]) -> tuple[float, float | None]:
        """Return the upper and the lower limit for finite normal scores (n,)."""

    def require(self, n: int) -> None:
        """Refuse ``n`` scores where they are too few.

        Raises
        ------
        TooFewImages
            Names the number needed.
        """
        if n < self.min_scores:
            raise TooFewImages(
                f"{self} needs the scores of at least {self.min_scores:,} held-out normal pictures "
                f"and has {n:,}; give more pictures or hold a larger fraction out"
            )

    def fit(self, normal_scores: ArrayLike) -> Threshold:
        """Fit the rule.

        Parameters
        ----------
        normal_scores : array-like of shape (n,)
            Scores of held-out normal pictures, finite.

        Warns
        -----
        NoSpread
            All scores are equal, so the limit is that score.

        Raises
        ------
        TooFewImages
            Fewer scores than the rule needs.
        InputError
            A score that is not finite.
        """
        threshold = self.fit_quietly(normal_scores)
        flat = self.flatness(normal_scores)
        if flat is not None:
            warnings.warn(flat, NoSpread, stacklevel=2)
        return threshold

    def flatness(self, normal_scores: ArrayLike) -> str | None:
        """Say what comes of normal scores (n,) that are all equal; None: they are not."""
        scores = np.asarray(normal_scores, dtype=np.float64)
        least, most = float(scores.min()), float(scores.max())
        if least != most:
            return None
        return (
            f"all {scores.size:,} calibration scores are {most:.6g}, so "
            f"{self.for_count(scores.size)} flags whatever scores above that; check that the "
            f"calibration pictures differ"
        )

    def fit_quietly(self, normal_scores: ArrayLike) -> Threshold:
        """Fit the rule as `fit` does, but without its warning: `flatness` has the text.

        A thread that shares its warnings with others, as in a service, cannot catch them.
        """
        scores = checked_scores(normal_scores)
        self.require(scores.size)
        rule = self.for_count(scores.size)
        upper, lower = rule.limits(scores)
        least, most = float(scores.min()), float(scores.max())
        if least == most:
            # The mean of equal numbers may be off by a rounding.
            upper = max(upper, most)
            lower = None if lower is None else min(lower, least)
        return Threshold(
            rule=str(rule),
            upper=float(upper),
            lower=None if lower is None else float(lower),
            n_normal=scores.size,
            normal_mean=float(scores.mean()),
            normal_std=float(scores.std(ddof=1)),
        )


def checked_scores(values: ArrayLike, kind: str = "normal") -> NDArray[np.float64]:
    """Return scores as one row of finite numbers.

    Raises
    ------
    InputError
        A score that is not finite.
    """
    scores = np.asarray(values, dtype=np.float64).ravel()
    if not np.isfinite(scores).all():
        article = "an" if kind[0] in "aeiou" else "a"
        raise InputError(
            f"{article} {kind} score is NaN or infinite; the threshold needs finite ones"
        )
    return scores
