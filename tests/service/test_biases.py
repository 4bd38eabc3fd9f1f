from __future__ import annotations

import numpy as np
import pytest

from residua.service.biases import chance_of_as_many


@pytest.mark.parametrize(("j", "n"), [(1, 16), (5, 99)])
def test_the_chance_is_how_often_fair_samples_have_as_many(j: int, n: int) -> None:
    """The limit is the j-th greatest of n scores, to which 40 new ones are compared."""
    rng = np.random.default_rng(0)
    limits = np.sort(rng.random((40_000, n)), axis=1)[:, -j]
    counts = (rng.random((40_000, 40)) > limits[:, None]).sum(axis=1)
    for outside in (0, 1, 3, 10):
        drawn = (counts >= outside).mean()
        assert chance_of_as_many(outside, 40, j / (n + 1), n) == pytest.approx(drawn, abs=0.01)


def test_with_a_sure_limit_the_chance_is_that_of_the_binomial() -> None:
    assert chance_of_as_many(20, 20, 0.5, 10**9) == pytest.approx(0.5**20, rel=1e-4)


def test_the_chance_holds_for_many_pictures() -> None:
    assert chance_of_as_many(0, 100_000, 0.01, 100) == pytest.approx(1)
    assert 0 <= chance_of_as_many(100_000, 100_000, 0.01, 100) < 1e-100
