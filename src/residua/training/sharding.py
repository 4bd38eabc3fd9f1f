"""One worker's share of the pictures, and of each batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from residua.errors import ConfigurationError
from residua.training.feeding import steps_an_epoch

FEWEST = 2
"""Pictures that a worker takes into a step, at least: one alone has no batch statistics."""


def share_of(indices: NDArray[np.int64], rank: int, size: int) -> NDArray[np.int64]:
    """Return the indices that worker ``rank`` of ``size`` reads: each belongs to one worker."""
    return indices[rank::size]


class ShardBatches:
    """One worker's share of each batch, as uint8 tensors (b, H, W, C).

    All workers together take each picture once an epoch, in as many steps as one worker would.
    Shares need not be of one size: each worker cuts its own into the same number of pieces, so
    that none waits for a step that another does not take. Whose piece is larger weighs more.

    Parameters
    ----------
    pixels : ndarray or Tensor of shape (n, H, W, C), uint8
        The worker's own pictures. A tensor's batches stay on its device.
    counts : sequence of int
        The pictures of each worker.
    rank : int
        This worker among them.
    batch_size : int
        Pictures in a step of all workers together.
    order_seed : callable
        Returns the seed of the next pass's order.

    Raises
    ------
    ConfigurationError
        A worker would have fewer than 2 pictures in a step.
    """

    def __init__(
        self,
        pixels: NDArray[np.uint8] | Tensor,
        counts: Sequence[int],
        rank: int,
        batch_size: int,
        order_seed: Callable[[], tuple[int, ...]],
    ) -> None:
        self.pixels = pixels
        self.order_seed = order_seed
        steps = steps_an_epoch(sum(counts), batch_size)
        # (workers, steps + 1): where the pieces of each begin and end.
        bounds = np.arange(steps + 1) * np.asarray(counts)[:, None] // max(steps, 1)
        pieces = np.diff(bounds)
        if pieces.size == 0 or pieces.min() < FEWEST:
            raise ConfigurationError(
                f"workers hold {', '.join(map(str, counts))} pictures for {steps} steps an epoch, "
                f"which leaves one with fewer than {FEWEST} in a step of {batch_size}; take fewer "
                f"workers or a larger batch size"
            )
        self.bounds = [int(bound) for bound in bounds[rank]]
        self.weights = [float(weight) for weight in len(counts) * pieces[rank] / pieces.sum(0)]
        """Of each step: by what its loss is multiplied, so that the mean of the workers' gradients
        is that of the mean over all pictures of the step."""

    def __len__(self) -> int:
        return len(self.bounds) - 1

    def __iter__(self) -> Iterator[Tensor]:
        order = np.random.default_rng(self.order_seed()).permutation(self.bounds[-1])
        rows: NDArray[np.int64] | Tensor = order
        if isinstance(self.pixels, Tensor):
            rows = torch.from_numpy(order).to(self.pixels.device)
        for start, stop in pairwise(self.bounds):
            taken = self.pixels[rows[start:stop]]
            yield taken if isinstance(taken, Tensor) else torch.from_numpy(taken)
