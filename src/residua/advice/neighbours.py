"""Nearest neighbours among the codes, a bounded number of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_LONGEST_CODE = 256
_AT_A_TIME = 256


def comparable(codes: NDArray[np.float32], seed: int) -> NDArray[np.float32]:
    """Return codes (N, D) of at most 256 numbers; longer ones are projected at random.

    References
    ----------
    Johnson and Lindenstrauss, "Extensions of Lipschitz mappings into a Hilbert space", 1984.
    """
    if codes.shape[1] <= _LONGEST_CODE:
        return codes.astype(np.float32, copy=False)
    rng = np.random.default_rng(seed)
    # Signs keep distances as well as normal numbers do and take less memory.
    signs = rng.integers(0, 2, (codes.shape[1], _LONGEST_CODE), dtype=np.int8) * np.int8(2) - 1
    projection = signs.astype(np.float32) / np.float32(np.sqrt(_LONGEST_CODE))
    return codes @ projection


def nearest(
    queries: NDArray[np.float32],
    among: NDArray[np.float32],
    *,
    same: NDArray[np.int64] | None = None,
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the row of ``among`` (M, D) nearest to each query (Q, D), and the distance.

    Parameters
    ----------
    queries, among : ndarray of float32
    same : ndarray of int64, shape (Q,), optional
        The row of ``among`` that is the query itself, which is passed over.
    """
    squares = np.square(among).sum(axis=1)
    rows, distances = [], []
    for start in range(0, len(queries), _AT_A_TIME):
        part = queries[start : start + _AT_A_TIME]
        gaps = squares - 2 * (part @ among.T)
        if same is not None:
            gaps[np.arange(len(part)), same[start : start + len(part)]] = np.inf
        best = gaps.argmin(axis=1)
        rows.append(best)
        # Taken again in full: the difference of squares loses the digits of small distances.
        difference = part.astype(np.float64) - among[best]
        distances.append(np.sqrt(np.square(difference).sum(axis=1)))
    return np.concatenate(rows).astype(np.int64), np.concatenate(distances)
