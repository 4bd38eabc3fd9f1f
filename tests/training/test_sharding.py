from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from residua.errors import ConfigurationError
from residua.training.feeding import PixelBatches, steps_an_epoch
from residua.training.module import epoch_seed
from residua.training.sharding import ShardBatches, share_of


@given(n=st.integers(0, 60), size=st.integers(1, 9))
def test_each_picture_is_in_the_share_of_one_worker(n: int, size: int) -> None:
    indices = np.random.default_rng(n).permutation(n)
    shares = [share_of(indices, rank, size) for rank in range(size)]
    assert sorted(np.concatenate(shares).tolist()) == list(range(n))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


@given(
    counts=st.lists(st.integers(2, 90), min_size=1, max_size=5),
    batch_size=st.integers(2, 40),
)
def test_all_workers_take_as_many_steps_as_one_and_each_picture_once(
    counts: list[int], batch_size: int
) -> None:
    try:
        every = batches_of(counts, batch_size)
    except ConfigurationError:  # tested below
        return
    alone = PixelBatches(
        np.empty((sum(counts), 8, 8, 1), np.uint8), np.arange(sum(counts)), batch_size
    )
    assert {len(batches) for batches in every} == {len(alone)}
    for batches, count in zip(every, counts, strict=True):
        seen = [int(picture[0, 0, 0]) for batch in batches for picture in batch]
        assert sorted(seen) == list(range(count))


@given(
    counts=st.lists(st.integers(40, 90), min_size=1, max_size=5),
    batch_size=st.integers(25, 40),
)
def test_a_step_weighs_each_of_its_pictures_alike(counts: list[int], batch_size: int) -> None:
    every = batches_of(counts, batch_size)
    values = [np.random.default_rng(rank).normal(size=count) for rank, count in enumerate(counts)]
    for step in range(len(every[0])):
        parts = [
            value[batches.bounds[step] : batches.bounds[step + 1]]
            for batches, value in zip(every, values, strict=True)
        ]
        weighted = [
            batches.weights[step] * part.mean() for batches, part in zip(every, parts, strict=True)
        ]
        assert np.mean(weighted) == pytest.approx(np.concatenate(parts).mean())


def test_no_worker_has_fewer_than_two_pictures_in_a_step() -> None:
    with pytest.raises(ConfigurationError, match="40, 40, 3 pictures for 11 steps an epoch"):
        batches_of([40, 40, 3], 8)
    fewest = min(int(np.diff(batches.bounds).min()) for batches in batches_of([40, 40, 28], 8))
    assert fewest == 2


def test_a_tensor_gives_the_batches_of_an_array() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (30, 4, 4, 1)).astype(np.uint8)
    of_array, of_tensor = (
        list(ShardBatches(given, [30, 29], 0, 8, lambda: (3, 1)))
        for given in (pixels, torch.from_numpy(pixels))
    )
    assert all(torch.equal(a, b) for a, b in zip(of_array, of_tensor, strict=True))


def test_the_order_is_that_of_the_seed() -> None:
    first, again, other = (
        torch.cat([batch.flatten() for batch in batches_of([40, 40], 8, seed)[0]])
        for seed in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@given(n=st.integers(0, 100), batch_size=st.integers(1, 20))
def test_steps_are_counted_as_batches_are_made(n: int, batch_size: int) -> None:
    batches = PixelBatches(np.empty((n, 1, 1, 1), np.uint8), np.arange(n), batch_size)
    assert steps_an_epoch(n, batch_size) == len(list(batches))
    sizes = [stop - start for start, stop in pairwise(batches.bounds)]
    assert sum(sizes) == n
    assert batch_size == 1 or n == 1 or 1 not in sizes


def test_workers_draw_apart_and_the_first_as_one_alone() -> None:
    assert epoch_seed(5, 3, rank=0) == epoch_seed(5, 3)
    assert len({epoch_seed(5, 3, rank) for rank in range(10)}) == 10


def batches_of(counts: list[int], batch_size: int, seed: int = 0) -> list[ShardBatches]:
    """Batches of each worker, whose pictures are numbered in their first pixel."""
    pixels = np.arange(256, dtype=np.uint8)[:, None, None, None]
    return [
        ShardBatches(pixels[:count], counts, rank, batch_size, lambda: (seed,))
        for rank, count in enumerate(counts)
    ]
