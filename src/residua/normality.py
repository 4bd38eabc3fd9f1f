"""What is normal, once a network is trained: the fitted score, its calibration, and its trap."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from residua.confounding import describe, first_sound, fooled_by
from residua.errors import CollapsedCode, ConfigurationError, ConfoundedScore
from residua.graph import ScoringGraph
from residua.images.preprocess import InputSpec
from residua.images.simple import Outcome
from residua.images.splits import HeldOut
from residua.material import Material
from residua.models import Autoencoder, to_network
from residua.scoring.names import SCORES
from residua.scoring.score import PictureScore
from residua.scoring.verdicts import MAPS_FOR_SCALE, batch_size_for, full_scale
from residua.training.feeding import at_a_time

MOST_FOR_SCORE = 4_000
"""Pictures that say what is usual, and as many that say how far normal pictures stray from it."""
# Pictures that say what is usual to the scores that are tried beside a confounded one.
_FEW_FOR_SCORE = 500


def fitted_score(
    material: Material,
    model: Autoencoder,
    inputs: NDArray[Any],
    parts: HeldOut,
    *,
    most: int = MOST_FOR_SCORE,
) -> PictureScore:
    """Build the score of a trained network, which takes in what is usual of normal pictures.

    Parameters
    ----------
    material : Material
    model : Autoencoder
        Trained, in evaluation mode.
    inputs : ndarray of shape (N, …)
        What the network takes.
    parts : HeldOut
        Rows of ``inputs``: those for training say what is usual, those for validation how far
        normal pictures stray from it. Those for calibration have no part in it.
    most : int
        Rows of each kind, at most.
    """
    settings = material.settings
    score = material.score(model).eval()
    if not score.learns:
        return score
    size = at_a_time(inputs)

    def observe(rows: NDArray[np.int64]) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        for start in range(0, len(rows), size):
            x = to_network(torch.from_numpy(inputs[rows[start : start + size]]))
            yield (x, *model(x))

    rng = np.random.default_rng(settings.seed)
    training, validation = (
        np.sort(rng.permutation(part)[:most]) for part in (parts.train, parts.validation)
    )
    with torch.inference_mode():
        usual = score.fit(observe, training, validation, settings.seed)
    if score.needs_code and usual.collapsed:
        warnings.warn(
            f"the code has collapsed: {settings.model!r} gives all normal pictures the same "
            f"{model.latent_dim} numbers, so that no distance between codes says anything; try a "
            f"smaller learning rate than {settings.learning_rate:g}, more epochs, another "
            f"latent_dim or another model, or score 'relative'",
            CollapsedCode,
            stacklevel=4,
        )
    return score


def calibrate(
    graph: ScoringGraph, pixels: NDArray[np.uint8], indices: NDArray[np.int64], spec: InputSpec
) -> tuple[NDArray[np.float64], float]:
    """Return the scores of the calibration pictures, and the full scale of heat maps."""
    scores: list[NDArray[np.float64]] = []
    maps: list[NDArray[np.float32]] = []
    size = batch_size_for(spec)
    with torch.inference_mode():
        for start in range(0, len(indices), size):
            images = torch.from_numpy(pixels[indices[start : start + size]])
            batch_scores, batch_maps, _, _ = graph(images)
            scores.append(batch_scores.numpy())
            if start < MAPS_FOR_SCALE:
                maps.append(batch_maps.numpy())
    return np.concatenate(scores), full_scale(maps)


def warn_if_confounded(
    graph: ScoringGraph,
    material: Material,
    pixels: NDArray[np.uint8],
    inputs: NDArray[Any],
    parts: HeldOut,
) -> None:
    """Warn where simple pictures pass for the most normal ones, naming a score that stands them."""
    settings = material.settings
    fooled = fooled_by(graph, pixels, parts.validation, settings.seed)
    if not fooled:
        return

    def under(name: str) -> list[Outcome]:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", CollapsedCode)
                score = fitted_score(
                    material.under(name), graph.model, inputs, parts, most=_FEW_FOR_SCORE
                )
        except (ConfigurationError, CollapsedCode):  # a score that this network cannot have
            return fooled
        return fooled_by(graph.under(score), pixels, parts.validation, settings.seed)

    others = [name for name in SCORES if name != settings.score]
    sound = first_sound(others, under)
    warnings.warn(describe(settings.score, fooled, sound), ConfoundedScore, stacklevel=4)
