"""How good a network and its scores are: normal pictures against synthetic anomalies.

Nothing here knows of test pictures or labels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import mean
from typing import NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from sklearn.metrics import roc_auc_score
from torch import Tensor

from residua.models import Autoencoder, to_network
from residua.refinement.space import Pair
from residua.refinement.synthetic import SyntheticAnomalies, make_anomalies
from residua.scoring.errors import ImageScore
from residua.scoring.score import PictureScore
from residua.scoring.thresholds import Threshold

MOST_NORMAL = 500
"""Normal pictures of one set, at most; more would only cost time."""

Scorer = Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]
"""Takes pictures, their reconstructions and codes; returns error maps and scores."""

_VALUES_A_BATCH = 128 * 28 * 28 * 4


class Evaluation(BaseModel):
    """What one error map with its reduction is worth, as it is."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    error_map: str
    """Error map."""
    reduction: str
    """Map to one number."""
    auroc: float
    """Mean of the kinds' AUROCs, in [0, 1]."""
    per_kind: dict[str, float]
    """AUROC of normal pictures against each kind of synthetic anomaly."""

    @property
    def pair(self) -> Pair:
        """The error map and the reduction."""
        return self.error_map, self.reduction


class SelectionSet(NamedTuple):
    """Held-out normal pictures, and anomalies made from them."""

    normal: NDArray[np.uint8]
    """Pictures (N, H, W, C)."""
    anomalies: list[SyntheticAnomalies]
    """One for each kind that shows on such pictures."""

    @classmethod
    def of(cls, pictures: NDArray[np.uint8], seed: int) -> Self:
        """Make a set from held-out normal pictures, at most `MOST_NORMAL` of them."""
        normal = np.ascontiguousarray(pictures[:MOST_NORMAL])
        return cls(normal, make_anomalies(normal, seed=seed))

    def part(self, most: int) -> SelectionSet:
        """Return a smaller set: up to ``most`` normal pictures, and as many anomalies in all."""
        each = -(-most // len(self.anomalies))
        fewer = [
            found._replace(
                images=found.images[:each],
                masks=found.masks[:each],
                sources=found.sources[:each],
                strengths=found.strengths[:each],
            )
            for found in self.anomalies
        ]
        return SelectionSet(self.normal[:most], fewer)


class Measured(NamedTuple):
    """A network on a selection set."""

    evaluations: list[Evaluation]
    """One for each pair, in the order in which they were asked for."""
    normal_mse: float
    """Mean squared error of rebuilding the normal pictures."""


class Judged(NamedTuple):
    """A score with its threshold on a selection set."""

    per_kind: dict[str, float]
    """AUROC of normal pictures against each kind of synthetic anomaly."""
    anomalous: float
    """Share of the synthetic anomalies that are flagged, mean over the kinds."""
    normal: float
    """Share of the normal pictures that are flagged."""

    @property
    def auroc(self) -> float:
        """Mean of the kinds' AUROCs, in [0, 1]."""
        return mean(self.per_kind.values())


def measure(model: Autoencoder, pictures: SelectionSet, pairs: Sequence[Pair]) -> Measured:
    """Measure the raw errors of a selection set in every way, each picture rebuilt once.

    Parameters
    ----------
    model : Autoencoder
        In any mode; it is evaluated in evaluation mode and left as it was.
    pictures : SelectionSet
    pairs : sequence of (str, str)
        Error maps with their reductions.
    """
    scorers = [_raw(pair, _device(model)) for pair in pairs]
    normal, squared = _scores(model, pictures.normal, scorers)
    parts = {part.kind: _scores(model, part.images, scorers)[0] for part in pictures.anomalies}
    evaluations = []
    for row, (error_map, reduction) in enumerate(pairs):
        per_kind = {kind: auroc(normal[row], found[row]) for kind, found in parts.items()}
        evaluations.append(
            Evaluation(
                error_map=error_map,
                reduction=reduction,
                auroc=mean(per_kind.values()),
                per_kind=per_kind,
            )
        )
    return Measured(evaluations, float(squared.mean()))


def judge(
    model: Autoencoder, pictures: SelectionSet, scores: Sequence[tuple[PictureScore, Threshold]]
) -> list[Judged]:
    """Judge fitted scores of one network with their thresholds, each picture rebuilt once.

    Parameters
    ----------
    model : Autoencoder
    pictures : SelectionSet
    scores : sequence of (PictureScore, Threshold)
    """
    scorers = [score.to(_device(model)).eval() for score, _ in scores]
    normal, _ = _scores(model, pictures.normal, scorers)
    parts = {part.kind: _scores(model, part.images, scorers)[0] for part in pictures.anomalies}
    return [
        Judged(
            {kind: auroc(normal[row], found[row]) for kind, found in parts.items()},
            mean(float(limits.is_anomalous(found[row]).mean()) for found in parts.values()),
            float(limits.is_anomalous(normal[row]).mean()),
        )
        for row, (_, limits) in enumerate(scores)
    ]


def auroc(normal: NDArray[np.float64], anomalous: NDArray[np.float64]) -> float:
    """Return how often an anomalous picture scores above a normal one, ties counting half."""
    truth = np.repeat([0, 1], [len(normal), len(anomalous)])
    return float(roc_auc_score(truth, np.concatenate([normal, anomalous])))


def _raw(pair: Pair, device: torch.device) -> Scorer:
    """Return the raw error as a score, which looks at no code."""
    error = ImageScore(*pair).to(device).eval()

    def score(x: Tensor, x_hat: Tensor, latent: Tensor) -> tuple[Tensor, Tensor]:
        found: tuple[Tensor, Tensor] = error(x, x_hat)
        return found

    return score


def _scores(
    model: Autoencoder, images: NDArray[np.uint8], scorers: Sequence[Scorer]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return scores (len(scorers), N) and the mean squared error of each picture (N,)."""
    device, training = _device(model), model.training
    size = max(1, min(256, _VALUES_A_BATCH // int(np.prod(images.shape[1:3]))))
    rows: list[NDArray[np.float64]] = []
    squared: list[NDArray[np.float64]] = []
    model.eval()
    with torch.inference_mode():
        for start in range(0, len(images), size):
            x = to_network(torch.from_numpy(images[start : start + size]).to(device))
            x_hat, latent = model(x)
            found = [scorer(x, x_hat, latent)[1] for scorer in scorers]
            rows.append(torch.stack(found).cpu().numpy())
            squared.append((x - x_hat).square().double().mean((1, 2, 3)).cpu().numpy())
    model.train(training)
    return np.concatenate(rows, axis=1), np.concatenate(squared)


def _device(model: Autoencoder) -> torch.device:
    return next(model.parameters()).device
