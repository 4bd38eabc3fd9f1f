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

    @abstractmethod
    def __call__(self, images: NDArray[np.uint8]) -> ScoredBatch:
        """Score pictures (B, H, W, C) of the model's own input size; from any thread."""


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
        Infinite where the scores are of another shape or not finite.
    """
    if scores.shape != reference.shape or not np.isfinite(scores).all():
        return float("inf")
    size = np.maximum(np.maximum(np.abs(reference), spread), np.finfo(np.float64).tiny)
    return float(np.max(np.abs(scores - reference) / size, initial=0.0))
