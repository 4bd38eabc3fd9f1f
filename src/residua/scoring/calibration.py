"""How rare a score is among normal pictures, and which of many scores are rare together."""

from __future__ import annotations

import warnings
from math import ceil

import numpy as np
from numpy.typing import ArrayLike, NDArray

from residua.errors import ConfigurationError, InputError, TooFewForThreshold


def p_values(scores: ArrayLike, calibration_scores: ArrayLike) -> NDArray[np.float64]:
    """Return the conformal p-value of each score: how often a normal picture scores as high.

    p = (1 + number of calibration scores at least as high) / (n + 1). For a normal picture that is
    as good as drawn with the calibration pictures, P(p ≤ a) ≤ a for every a. No p-value is below
    1 / (n + 1).

    Parameters
    ----------
    scores : array-like of any shape
        Anomaly scores.
    calibration_scores : array-like of shape (n,), n ≥ 1
        Scores of held-out normal pictures, in any order.

    Returns
    -------
    p : ndarray of the shape of ``scores``, float64
        In (0, 1]; the lower, the rarer.

    Raises
    ------
    InputError
        A score is NaN, or there are no calibration scores.

    References
    ----------
    Vovk, Gammerman and Shafer, "Algorithmic learning in a random world", Springer 2005, section
    2.3. Bates, Candès, Lei, Romano and Sesia, "Testing for outliers with conformal p-values",
    Annals of Statistics 51(1), 2023.
    """
    values = np.asarray(scores, dtype=np.float64)
    normal = np.sort(np.asarray(calibration_scores, dtype=np.float64), axis=None)
    if not normal.size:
        raise InputError("there are no calibration scores; a p-value needs at least one")
    if np.isnan(values).any() or np.isnan(normal[-1]):
        raise InputError("a score is NaN; it has no p-value")
    as_high = normal.size - np.searchsorted(normal, values, "left")
    p: NDArray[np.float64] = np.asarray((1 + as_high) / (normal.size + 1))
    return p


def benjamini_hochberg(p: ArrayLike, fdr: float) -> NDArray[np.bool_]:
    """Say which p-values are discoveries, at most a share ``fdr`` of them false, on average.

    With m p-values sorted, those up to the last with p₍ᵢ₎ ≤ fdr · i / m. On conformal p-values
    that share one set of calibration scores the promise holds as well, times the share of normal
    pictures: they depend on each other in a way (PRDS) that it allows for.

    Parameters
    ----------
    p : array-like of any shape
        P-values in [0, 1].
    fdr : float
        False-discovery rate, in (0, 1).

    Returns
    -------
    discovered : ndarray of bool, of the shape of ``p``

    Raises
    ------
    ConfigurationError
        The rate is not in (0, 1).
    InputError
        A p-value is not in [0, 1].

    References
    ----------
    Benjamini and Hochberg, "Controlling the false discovery rate", Journal of the Royal
    Statistical Society B 57(1), 1995. Bates, Candès, Lei, Romano and Sesia, "Testing for outliers
    with conformal p-values", Annals of Statistics 51(1), 2023, theorem 2.
    """
    require_fdr(fdr)
    values = np.asarray(p, dtype=np.float64)
    if not ((values >= 0) & (values <= 1)).all():
        raise InputError("a p-value is not in [0, 1]")
    m = values.size
    ordered = np.sort(values, axis=None)
    passing = np.flatnonzero(ordered * m <= fdr * np.arange(1, m + 1) * (1 + 1e-12))
    if not passing.size:
        return np.zeros(values.shape, np.bool_)
    discovered: NDArray[np.bool_] = np.asarray(values <= ordered[passing[-1]])
    return discovered


def discoveries(scores: ArrayLike, calibration_scores: ArrayLike, fdr: float) -> NDArray[np.bool_]:
    """Say which scores are anomalous when all are judged together, by their p-values.

    Parameters
    ----------
    scores : array-like of any shape
        Anomaly scores.
    calibration_scores : array-like of shape (n,), n ≥ 1
        Scores of held-out normal pictures.
    fdr : float
        False-discovery rate, in (0, 1).

    Returns
    -------
    discovered : ndarray of bool, of the shape of ``scores``

    Warns
    -----
    TooFewForThreshold
        Nothing is discovered, and with so few calibration scores a few anomalies cannot be.

    Raises
    ------
    ConfigurationError
        The rate is not in (0, 1).
    InputError
        A score is NaN, or there are no calibration scores.
    """
    require_fdr(fdr)
    p = p_values(scores, calibration_scores)
    found = benjamini_hochberg(p, fdr)
    n = np.size(calibration_scores)
    fewest = fewest_discoveries(p.size, n, fdr) if p.size else 1
    if fewest > 1 and not found.any():
        never = "none can ever be" if fewest > p.size else f"fewer than {fewest:,} cannot be"
        warnings.warn(
            f"nothing is discovered among {p.size:,} pictures at a false-discovery rate of "
            f"{fdr:g}: with {n:,} calibration scores no p-value is below {1 / (n + 1):.2g}, so "
            f"that {never}. {scores_for_discoveries(p.size, fdr):,} would let a single one be; "
            f"recalibrate on more pictures, or score fewer at a time",
            TooFewForThreshold,
            stacklevel=2,
        )
    return found


def fewest_discoveries(m: int, n: int, fdr: float) -> int:
    """Return how many of ``m`` pictures must be discovered together, if any is to be.

    With ``n`` calibration scores no p-value is below 1 / (n + 1), so that i of them pass only
    where 1 / (n + 1) ≤ fdr · i / m. More than m: none ever.
    """
    return max(1, ceil(m / (fdr * (n + 1)) * (1 - 1e-12)))


def scores_for_discoveries(m: int, fdr: float, discoveries: int = 1) -> int:
    """Return with how many calibration scores so few of ``m`` pictures can be discovered."""
    return ceil(m / (fdr * discoveries) * (1 - 1e-12)) - 1


def require_fdr(fdr: float) -> None:
    """Refuse a false-discovery rate that is none.

    Raises
    ------
    ConfigurationError
        It is not in (0, 1).
    """
    if not 0 < fdr < 1:
        raise ConfigurationError(
            f"the false-discovery rate is {fdr!r}; it must be between 0 and 1, such as 0.1"
        )
