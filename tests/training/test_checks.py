from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.decomposition import PCA

from residua.training.checks import principal_axes


def rows(n: int, d: int, rank: int) -> NDArray[np.float32]:
    rng = np.random.default_rng(0)
    spread = np.geomspace(10, 1, rank)
    made = rng.normal(size=(n, rank)) * spread @ rng.normal(size=(rank, d)) / np.sqrt(d)
    return (0.5 + made + 0.05 * rng.normal(size=(n, d))).astype(np.float32)


@pytest.mark.parametrize("shape", [(30, 400), (200, 400), (500, 60)])
def test_principal_axes_span_what_those_of_scikit_learn_do(shape: tuple[int, int]) -> None:
    given = rows(*shape, rank=12)
    found = principal_axes(given, 8)
    expected = PCA(8, svd_solver="full").fit(given).components_
    np.testing.assert_allclose(np.abs((found * expected).sum(1)), 1, atol=1e-4)
    np.testing.assert_allclose(found @ found.T, np.eye(8), atol=1e-4)


def test_axes_without_spread_are_zero() -> None:
    flat = np.repeat(np.arange(4, dtype=np.float32)[:, None], 50, axis=1)
    found = principal_axes(flat, 3)
    assert np.linalg.norm(found[0]) == pytest.approx(1, abs=1e-5)
    assert not found[1:].any()
    assert not principal_axes(np.zeros((4, 50), np.float32), 3).any()
