"""The score where features are rebuilt instead of pixels.

An error in features is taken relative to their energy from the start: a position at which little
happens is rebuilt with a small error by any network.
"""

from __future__ import annotations

from typing import Protocol

from torch import Tensor, nn

from residua.scoring.errors import REDUCTIONS
from residua.scoring.expressions import build_named
from residua.scoring.names import SURPRISE
from residua.scoring.parts import NearestNeighbours, RawError, ScorePart, Seen
from residua.scoring.score import PictureScore, build_part

# Share of a channel's usual energy, 1, that is added to the energy of a position.
_ENERGY_FLOOR = 0.01


class SplitsRows(Protocol):
    """Knows how rows of features are laid out."""

    def split(self, row: Tensor) -> tuple[Tensor, Tensor]:
        """Split rows into maps (B, C, h, w) and descriptors (B, D)."""
        ...


class FeatureError(nn.Module):
    """Squared error of each position relative to its energy, and its reduction.

    Parameters
    ----------
    layout : SplitsRows
    reduction : str
        A name from `residua.scoring.errors.REDUCTIONS`.
    """

    def __init__(self, layout: SplitsRows, reduction: str) -> None:
        super().__init__()
        self.layout = layout
        self.reduction = build_named("reduction", reduction, REDUCTIONS)

    def forward(self, x: Tensor, x_hat: Tensor) -> tuple[Tensor, Tensor]:
        """Compare rows of features (B, N) with rows as rebuilt (B, N).

        Returns
        -------
        error_map : Tensor of shape (B, h, w), float32
        error : Tensor of shape (B,), float64
        """
        maps, maps_hat = self.layout.split(x)[0], self.layout.split(x_hat)[0]
        energy = maps.square().mean(1) + _ENERGY_FLOOR
        error_map = (maps - maps_hat).square().mean(1) / energy
        return error_map, self.reduction(error_map)


class DescriptorError(ScorePart):
    """Squared error of the descriptor of the whole picture, relative to its energy.

    Parameters
    ----------
    layout : SplitsRows
    """

    def __init__(self, layout: SplitsRows) -> None:
        super().__init__()
        self.layout = layout

    def forward(self, seen: Seen) -> Tensor:
        """Return the quotient (B,)."""
        given, rebuilt = self.layout.split(seen.x)[1], self.layout.split(seen.x_hat)[1]
        energy = given.square().double().mean(1) + _ENERGY_FLOOR
        return (given - rebuilt).square().double().mean(1) / energy


def feature_score(layout: SplitsRows, reduction: str, score: str) -> PictureScore:
    """Build a score of features, yet to be fitted.

    Parameters
    ----------
    layout : SplitsRows
    reduction : str
        As of `FeatureError`.
    score : str
        As of `residua.scoring.score.picture_score`. The error being relative already, "relative"
        is "error" here. The default joins the error of the maps, that of the descriptor, and the
        angle between its code and the nearest normal codes. Angles also count for "knn".
    """
    error = FeatureError(layout, reduction)
    if score == SURPRISE:
        parts = [RawError(), DescriptorError(layout), NearestNeighbours(angular=True)]
        return PictureScore(score, error, parts)
    same = {"relative": "error", "worst": "error", "normalised_relative": "normalised"}
    part = build_part(same.get(score, score))
    if isinstance(part, NearestNeighbours):
        part.angular = True
    return PictureScore(score, error, [part])
