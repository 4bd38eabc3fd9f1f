"""What an engine is: a saved graph made ready to compute, by one package in one arithmetic."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from residua.scoring.verdicts import ScoredBatch

Precision = Literal["float32", "bf16"]

TOLERANCE: dict[Precision, float] = {"float32": 1e-4, "bf16": 1e-3}
"""How far scores may be from those of ONNX Runtime in float32; see `deviation`.

Errors in float32 agree to 1e-6. Distances between codes do less well: whitening magnifies the
rounding of the directions in which normal codes differ least, and few pictures magnify it most.
"""


class Load(NamedTuple):
    """How an engine is going to be called."""

    threads: int
    """Threads that compute, ≥ 1."""
    at_once: int
    """Calls that run at the same time, from as many threads: 1, so that each has all threads; or
    ``threads``, so that each has one, which gets more done."""


class Engine(ABC):
    """Computes all that a saved model says of a batch of pictures."""

    name: str
    """Its name in `residua.engines.registry.ENGINES`."""
    precision: Precision
    """Arithmetic of the network's layers."""
    on_card: bool = False
    """Whether a card computes, which wants larger batches."""

    @abstractmethod
    def __call__(self, images: NDArray[np.uint8]) -> ScoredBatch:
        """Score pictures (B, H, W, C) of the model's own input size; from any thread.

        Raises
        ------
        EngineFailed
            It cannot, or a score is no number; see `residua.scoring.verdicts.with_numbers`.
        """


_OTHERS_TOLERANCE: dict[Precision, float] = {"float32": 1e-3, "bf16": 0.1}


class Comparison(NamedTuple):
    """An engine's results beside those of ONNX Runtime, of the same pictures."""

    deviation: float
    """Of the scores; see `deviation`."""
    fault: str
    """What differs by more than it may; empty: nothing does."""


def compare(
    found: ScoredBatch, expected: ScoredBatch, precision: Precision, spread: float
) -> Comparison:
    """Compare results.

    Scores are held to `TOLERANCE`. Maps, reconstructions and codes, which are shown and not
    judged, may differ by 0.1 % of their greatest value in float32, and by 10 % in bf16.

    Parameters
    ----------
    found, expected : ScoredBatch
        Of the same pictures.
    precision : {"float32", "bf16"}
        Of ``found``.
    spread : float
        See `deviation`.
    """
    away = deviation(found.scores, expected.scores, spread)
    if not away <= TOLERANCE[precision]:
        allowed = f"{TOLERANCE[precision]:.0e}"
        return Comparison(away, f"its scores differ by {away:.1e}, and {allowed} is allowed")
    for name in ("error_maps", "x_hat", "latent"):
        one, other = getattr(found, name), getattr(expected, name)
        room = _OTHERS_TOLERANCE[precision] * float(np.max(np.abs(other), initial=1e-6))
        if one.shape != other.shape or not np.max(np.abs(one - other), initial=0) <= room:
            return Comparison(away, f"its {name} are others")
    return Comparison(away, "")


def deviation(scores: NDArray[np.float64], reference: NDArray[np.float64], spread: float) -> float:
    """Return the greatest difference of scores (n,) from reference ones, relative.

    Relative to the reference score or, where that is nearer 0, to ``spread``: a score that joins
    logarithms goes through 0, where a quotient says nothing.

    Parameters
    ----------
    scores, reference : ndarray of shape (n,)
    spread : float
        Standard deviation of the scores of held-out normal pictures.

    Returns
    -------
    float
        Infinite where the scores are of another shape, or some of either are not finite.
    """
    if scores.shape != reference.shape or not np.isfinite([scores, reference]).all():
        return float("inf")
    size = np.maximum(np.maximum(np.abs(reference), spread), np.finfo(np.float64).tiny)
    return float(np.max(np.abs(scores - reference) / size, initial=0.0))
