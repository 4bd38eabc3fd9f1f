"""The parts of a score: each says in one positive number how surprising one side of a picture is.

A raw error measures content as well as surprise: a plain picture is rebuilt by any network, a
detailed one by none. Each part here sets what it sees against what is usual of normal pictures. All
are ``nn.Module``s, so that the very same arithmetic goes into the saved ONNX graph; what they know
of normal pictures stands in buffers.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from residua.errors import ConfigurationError
from residua.scoring.errors import TopK
from residua.scoring.names import MAX_CODE

MAX_REFERENCES = 2_000
"""Codes of normal pictures that are kept to measure distances from, at most."""
MAX_DIRECTIONS = 256
"""Directions of a code that are looked at, at most; of wider codes those of most variance."""

# Floors, as shares of what is usual: they keep a quotient finite where its divisor vanishes.
_CONTENT_FLOOR = 0.1
_PIXEL_FLOOR = 0.1
_WORST = 0.05
# A code has collapsed where its spread is below this share of its size.
_COLLAPSED = 1e-5


class Seen(NamedTuple):
    """A batch of pictures with all that the network makes of them."""

    x: Tensor
    """What was to be rebuilt (B, …)."""
    x_hat: Tensor
    """As it was rebuilt (B, …)."""
    latent: Tensor
    """Codes (B, D)."""
    error_map: Tensor
    """Where it was not rebuilt (B, h, w), at least 0."""
    error: Tensor
    """The map reduced to one number a picture (B,), float64."""


@dataclass(frozen=True)
class Usual:
    """What is usual of normal pictures, taken over some that the network was trained on."""

    codes: NDArray[np.float32]
    """Codes (n, D)."""
    error_map: NDArray[np.float64]
    """Mean error map (h, w)."""
    content: float
    """Mean of `content_of`; 0 where it is not pictures that are rebuilt."""

    @property
    def collapsed(self) -> bool:
        """Whether all codes are the same: the network says the same of every picture."""
        size = float(np.abs(self.codes).max(initial=0))
        return float(self.codes.std(0).max(initial=0)) <= _COLLAPSED * max(size, _COLLAPSED)


class ScorePart(nn.Module, ABC):
    """One side of surprise."""

    needs_code = False
    """Whether it looks at the code; such a part cannot be had of a network without bottleneck."""
    learns = True
    """Whether it takes in what is usual of normal pictures."""
    degree = 1
    """How the error grows with contrast; see `residua.scoring.errors.ErrorMap`."""

    def fit(self, usual: Usual, rng: np.random.Generator) -> None:
        """Take in what is usual of normal pictures."""

    @abstractmethod
    def forward(self, seen: Seen) -> Tensor:
        """Return positive numbers (B,), float64: the higher, the more anomalous."""

    def keep(self, name: str, value: NDArray[np.floating] | float) -> None:
        """Keep a number or an array in the buffer of this name."""
        self.register_buffer(name, torch.as_tensor(np.atleast_1d(value)))


class RawError(ScorePart):
    """The reduced error map itself."""

    learns = False

    def forward(self, seen: Seen) -> Tensor:
        """Return the error (B,)."""
        return seen.error


class RelativeError(ScorePart):
    """The error against how much there is in the picture to rebuild.

    Content is the mean absolute difference of neighbouring values, to which a tenth of the usual
    content is added: a picture without any is not divided by nothing. It is taken to the power
    with which the error grows, so that contrast alone moves the quotient neither way.
    """

    floor: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.keep("floor", np.float64(1.0))

    def fit(self, usual: Usual, rng: np.random.Generator) -> None:
        """Take the floor from the usual content."""
        self.keep("floor", content_floor(usual))

    def forward(self, seen: Seen) -> Tensor:
        """Return the quotient (B,)."""
        return self.relative(seen.error, seen)

    def relative(self, error: Tensor, seen: Seen) -> Tensor:
        """Divide errors (B,) by the content of their pictures."""
        return error / (content_of(seen.x) + self.floor) ** self.degree


class WorstRelativeError(RelativeError):
    """The relative error of the worst twentieth of the picture: for what is small and plain."""

    def __init__(self) -> None:
        super().__init__()
        self.worst = TopK(_WORST)

    def forward(self, seen: Seen) -> Tensor:
        """Return the quotient (B,)."""
        return self.relative(self.worst(seen.error_map), seen)


class NormalisedError(ScorePart):
    """The error of each pixel against what is usual there, mean over the picture.

    An error where normal pictures are rebuilt well weighs more than one where they never are.
    """

    usual: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.keep("usual", np.ones((1, 1), np.float32))

    def fit(self, usual: Usual, rng: np.random.Generator) -> None:
        """Take the mean error of each pixel."""
        mean = usual.error_map
        floored = mean + max(_PIXEL_FLOOR * float(mean.mean()), 1e-9)
        self.keep("usual", floored.astype(np.float32))

    def forward(self, seen: Seen) -> Tensor:
        """Return the mean quotient (B,)."""
        return (seen.error_map / self.usual).double().mean((1, 2))


class NormalisedRelativeError(NormalisedError):
    """The normalised error against how much there is in the picture to rebuild.

    It joins `NormalisedError` with `RelativeError`.
    """

    floor: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.keep("floor", np.float64(1.0))

    def fit(self, usual: Usual, rng: np.random.Generator) -> None:
        """Take the mean error of each pixel, and the floor from the usual content."""
        super().fit(usual, rng)
        self.keep("floor", content_floor(usual))

    def forward(self, seen: Seen) -> Tensor:
        """Return the quotient (B,)."""
        # The normalised error has no unit, but it grows with contrast as the error does.
        return super().forward(seen) / (content_of(seen.x) + self.floor) ** self.degree


class CodeDistance(ScorePart):
    """Base of the parts that measure distances between codes.

    Codes are whitened by the covariance of normal codes, shrunk towards a multiple of the identity
    as Ledoit and Wolf do ("A well-conditioned estimator for large-dimensional covariance
    matrices", Journal of Multivariate Analysis 88, 2004), so that no direction counts more for
    being drawn larger, and none for being seldom used.
    """

    needs_code = True
    centre: Tensor
    whitening: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.keep("centre", np.zeros(1))
        self.keep("whitening", np.ones((1, 1)))

    def fit(self, usual: Usual, rng: np.random.Generator) -> None:
        """Take centre and covariance of the usual codes (n, D)."""
        from sklearn.covariance import ledoit_wolf
        from sklearn.utils.extmath import randomized_svd

        codes = usual.codes.astype(np.float64)
        width = codes.shape[1]
        if width > MAX_CODE:
            raise ConfigurationError(
                f"the code has {width:,} numbers; distances between codes are measured up to "
                f"{MAX_CODE:,}: choose a smaller latent_dim, or a score that does not look at it"
            )
        centre = codes.mean(0)
        basis = np.eye(min(width, MAX_DIRECTIONS))
        if width > MAX_DIRECTIONS:
            kept = min(MAX_DIRECTIONS, len(codes) - 1)
            seed = int(rng.integers(2**31))
            basis = randomized_svd(codes - centre, kept, random_state=seed)[2].T
        covariance, _ = ledoit_wolf((codes - centre) @ basis, assume_centered=True)
        spread, directions = np.linalg.eigh(covariance)
        # A direction without any spread is given a little, so that nothing is divided by 0.
        floor = max(1e-9 * float(spread.max()), np.finfo(np.float64).tiny ** 0.5)
        self.keep("centre", centre)
        self.keep("whitening", basis @ (directions / np.sqrt(np.maximum(spread, floor))))

    def whitened(self, latent: Tensor) -> Tensor:
        """Turn codes (B, D) into whitened ones (B, d), float64."""
        return (latent.double() - self.centre) @ self.whitening


class Mahalanobis(CodeDistance):
    """Distance of the code from the centre of normal codes, in standard deviations.

    Mahalanobis, "On the generalised distance in statistics", Proceedings of the National Institute
    of Sciences of India 2(1), 1936; as a part of reconstruction scores: Denouden et al.,
    "Improving reconstruction autoencoder out-of-distribution detection with Mahalanobis distance",
    arXiv:1812.02765, 2018.
    """

    def forward(self, seen: Seen) -> Tensor:
        """Return the distance (B,)."""
        return self.whitened(seen.latent).square().sum(1).sqrt()


class NearestNeighbours(CodeDistance):
    """Mean distance of the code from the nearest codes of normal pictures.

    At most 2,000 of them are kept, drawn at random. Ramaswamy, Rastogi and Shim, "Efficient
    algorithms for mining outliers from large data sets", SIGMOD 2000.

    Parameters
    ----------
    k : int, default=5
        Neighbours, at least 1.
    angular : bool, default=False
        Whether only the directions of the whitened codes count, each brought to length 1, but for
        those near the centre: in features of a large network the direction says what a picture
        shows, and the length how plainly.
    """

    references: Tensor

    def __init__(self, k: int = 5, angular: bool = False) -> None:
        super().__init__()
        self.angular = angular
        if k < 1:
            raise ConfigurationError(f"knn: k is {k}; at least 1 neighbour is looked at")
        self.k = int(k)
        self.keep("references", np.zeros((1, 1)))

    def fit(self, usual: Usual, rng: np.random.Generator) -> None:
        """Keep some of the usual codes."""
        super().fit(usual, rng)
        chosen = rng.permutation(len(usual.codes))[:MAX_REFERENCES]
        codes = torch.from_numpy(usual.codes[np.sort(chosen)])
        self.keep("references", self._placed(codes).numpy())

    def forward(self, seen: Seen) -> Tensor:
        """Return the mean distance (B,)."""
        codes = self._placed(seen.latent)
        # The square of a difference by its three products, one matrix product for all pairs, says
        # which codes are near; how near is taken from the differences, which cancel nothing.
        squares = codes.square().sum(1, keepdim=True) + self.references.square().sum(1)
        squares = squares - 2 * codes @ self.references.T
        k = min(self.k, int(self.references.shape[0]))
        nearest = self.references[squares.topk(k, dim=1, largest=False).indices]
        return (codes[:, None] - nearest).square().sum(2).sqrt().mean(1)

    def _placed(self, latent: Tensor) -> Tensor:
        """Turn codes (B, D) into the points between which distances are taken."""
        codes = self.whitened(latent)
        if not self.angular:
            return codes
        # A code near the centre has no direction to speak of: it stays near the centre.
        return codes / (codes.square().sum(1, keepdim=True) + 1).sqrt()


def content_floor(usual: Usual) -> np.float64:
    """Return what is added to a picture's content before an error is divided by it."""
    return np.float64(max(_CONTENT_FLOOR * usual.content, 1e-6))


def content_of(x: Tensor) -> Tensor:
    """Return how much there is in pictures (B, C, H, W): float64 (B,).

    The mean absolute difference of neighbours across plus that of neighbours down.
    """
    across = (x[..., :, 1:] - x[..., :, :-1]).abs().double().mean((1, 2, 3))
    down = (x[..., 1:, :] - x[..., :-1, :]).abs().double().mean((1, 2, 3))
    return across + down
