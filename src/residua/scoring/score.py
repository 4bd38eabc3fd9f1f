"""The score of a picture: its parts, and what joins them on one scale.

Each part is turned into standard deviations of its own logarithm over normal pictures, so that
parts of any unit can be joined; the score is then the soft maximum of the parts, since a picture
that is strange in one way only is strange. Scale and place come from normal pictures alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from residua.errors import ConfigurationError, UnknownName
from residua.scoring.errors import ImageScore
from residua.scoring.expressions import build_named
from residua.scoring.names import MAX_CODE, SCORES, SURPRISE
from residua.scoring.parts import (
    Mahalanobis,
    NearestNeighbours,
    NormalisedError,
    NormalisedRelativeError,
    RawError,
    RelativeError,
    ScorePart,
    Seen,
    Usual,
    WorstRelativeError,
    content_of,
)

PARTS: Mapping[str, Callable[..., ScorePart]] = MappingProxyType(
    {
        "error": RawError,
        "relative": RelativeError,
        "worst": WorstRelativeError,
        "normalised": NormalisedError,
        "normalised_relative": NormalisedRelativeError,
        "mahalanobis": Mahalanobis,
        "knn": NearestNeighbours,
    }
)
"""The scores of one part, by name."""

_JOINED = ("relative", "worst", "normalised_relative", "knn")

# Few pictures tell little of a spread: what they say is joined with this many pictures' worth of
# a spread that is common (of the logarithm of errors and distances).
_PRIOR_PICTURES = 4
_PRIOR_SPREAD = 0.3
_TINY = 1e-30
# Dimensions of a batch of pictures; features come as rows.
_PICTURES = 4

Observe = Callable[[NDArray[np.int64]], Iterable[tuple[Tensor, Tensor, Tensor]]]
"""Takes rows of pictures; yields batches of ``(x, x_hat, latent)``."""


class PictureScore(nn.Module):
    """All that is computed of a picture and its reconstruction.

    Parameters
    ----------
    name : str
        What the score is called.
    error : nn.Module
        Compares what was to be rebuilt with what was; returns an error map (B, h, w) and one
        number a picture (B,), float64.
    parts : sequence of ScorePart
        The score is that of a single part, or joins several.
    """

    place: Tensor
    spread: Tensor

    def __init__(self, name: str, error: nn.Module, parts: Sequence[ScorePart]) -> None:
        super().__init__()
        self.name = name
        self.error = error
        self.joins = len(parts) > 1
        self.parts = nn.ModuleList(parts)
        self.needs_code = any(part.needs_code for part in parts)
        self.learns = any(part.learns for part in parts)
        self.register_buffer("place", torch.zeros(len(parts), dtype=torch.float64))
        self.register_buffer("spread", torch.ones(len(parts), dtype=torch.float64))

    def forward(self, x: Tensor, x_hat: Tensor, latent: Tensor) -> tuple[Tensor, Tensor]:
        """Compare x with x_hat, both (B, …), and codes (B, D) with the usual ones.

        Returns
        -------
        error_map : Tensor of shape (B, h, w), float32
        scores : Tensor of shape (B,), float64. The higher, the more anomalous.
        """
        error_map, error = self.error(x, x_hat)
        seen = Seen(x, x_hat, latent, error_map, error)
        if not self.joins:
            single: Tensor = self.parts[0](seen)
            return error_map, single
        levels = (self._logarithms(seen) - self.place) / self.spread
        return error_map, _soft_maximum(levels)

    def fit(
        self,
        observe: Observe,
        training: NDArray[np.int64],
        validation: NDArray[np.int64],
        seed: int,
    ) -> Usual:
        """Take in what is usual.

        Parameters
        ----------
        observe : Observe
        training, validation : ndarray of int64
            Rows that the network was trained on, which say what is usual, and rows that it was
            not, which say how far normal pictures stray from it.
        seed : int

        Returns
        -------
        usual : Usual
            What is usual of the training rows.
        """
        usual = self._usual(observe(training))
        rng = np.random.default_rng(seed)
        for part in self.parts:
            assert isinstance(part, ScorePart)
            part.fit(usual, rng)
        if self.joins:
            self._set_scale(observe(validation))
        return usual

    def _usual(self, batches: Iterable[tuple[Tensor, Tensor, Tensor]]) -> Usual:
        codes: list[NDArray[np.float32]] = []
        total: NDArray[np.float64] | None = None
        content, count = 0.0, 0
        for x, x_hat, latent in batches:
            error_map = self.error(x, x_hat)[0].double().sum(0).cpu().numpy()
            total = error_map if total is None else total + error_map
            content += float(content_of(x).sum()) if x.ndim == _PICTURES else 0.0
            count += len(x)
            # Codes as wide as pictures are not gathered where nobody looks at them.
            codes.append((latent if self.needs_code else latent[:, :1]).float().cpu().numpy())
        assert total is not None
        return Usual(np.concatenate(codes), total / count, content / count)

    def _set_scale(self, batches: Iterable[tuple[Tensor, Tensor, Tensor]]) -> None:
        found = []
        for x, x_hat, latent in batches:
            error_map, error = self.error(x, x_hat)
            found.append(self._logarithms(Seen(x, x_hat, latent, error_map, error)).cpu())
        levels = torch.cat(found)
        n, place = len(levels), levels.mean(0)
        squares = (levels - place).square().sum(0)
        prior = _PRIOR_PICTURES * _PRIOR_SPREAD**2
        self.register_buffer("place", place)
        self.register_buffer("spread", ((squares + prior) / (n + _PRIOR_PICTURES)).sqrt())

    def _logarithms(self, seen: Seen) -> Tensor:
        values = torch.stack([part(seen) for part in self.parts], dim=1)
        return (values + _TINY).log()

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Take the buffers of a saved score, whose sizes depend on what it was fitted on.

        Raises
        ------
        KeyError, ValueError
            The state is of another score.
        """
        own = self.state_dict()
        if set(own) != set(state):
            raise ValueError(f"the score {self.name!r} has other numbers than are saved")
        for key, value in state.items():
            if value.ndim != own[key].ndim or value.dtype != own[key].dtype:
                raise ValueError(f"{key} of the score {self.name!r} is not of its kind")
            *path, name = key.split(".")
            self.get_submodule(".".join(path)).register_buffer(name, value)


def _soft_maximum(levels: Tensor) -> Tensor:
    """Return the log of the mean of the exponentials of levels (B, P): (B,)."""
    # Not torch.logsumexp: OpenVINO reads that operator of ONNX as one over all axes.
    greatest = levels.amax(dim=1, keepdim=True)
    return (levels - greatest).exp().mean(dim=1).log() + greatest.squeeze(1)


def picture_score(
    error_map: str = "absolute",
    reduction: str = "mean",
    score: str = "error",
    *,
    code_size: int = 1,
) -> PictureScore:
    """Build a score of pictures, yet to be fitted.

    Parameters
    ----------
    error_map, reduction : str
        As of `ImageScore`.
    score : str
        A name from `SCORES`, with arguments where it takes any: ``"knn(10)"``.
    code_size : int
        Numbers in the network's code, D. Of one wider than 4,096 the default score looks at the
        error alone.

    Raises
    ------
    UnknownName, ConfigurationError
        No such score, or one that cannot be had with this network.
    """
    error = ImageScore(error_map, reduction)
    if score == SURPRISE:
        parts = [PARTS[name]() for name in _JOINED]
        parts = [part for part in parts if code_size <= MAX_CODE or not part.needs_code]
    else:
        parts = [build_part(score)]
        if parts[0].needs_code and code_size > MAX_CODE:
            raise ConfigurationError(
                f"score {score!r} measures distances between codes, of up to {MAX_CODE:,} numbers; "
                f"this network's has {code_size:,}: choose a smaller latent_dim or another score"
            )
    for part in parts:
        part.degree = error.error_map.degree
    return PictureScore(score, error, parts)


def build_part(score: str) -> ScorePart:
    """Build the score of one part that a text such as ``"knn(10)"`` names.

    Raises
    ------
    UnknownName
        No such score; the nearest are offered.
    """
    try:
        return build_named("score", score, PARTS)
    except UnknownName:
        raise UnknownName.among("score", score.partition("(")[0], SCORES) from None
