"""Each other score of a fitted network, beside the one that the detector gives.

They say which side of a picture's surprise tells on which pictures. Nothing is trained again: the
scores take in what is usual of the same pictures as the detector's own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from quality.protocols import Pictures
from residua.errors import ConfigurationError
from residua.graph import score_of
from residua.images.source import ImageSource
from residua.images.splits import holdout
from residua.models import to_network
from residua.scoring.names import SCORES

_MOST = 4_000
"""Pictures that say what is usual, at most: as many as in a fit."""


def no_singles(detector: Any, pictures: Pictures) -> dict[str, NDArray[np.float64]]:
    """Return none, for a detector without a network on pixels."""
    return {}


def single_scores(detector: Any, pictures: Pictures) -> dict[str, NDArray[np.float64]]:
    """Return the test pictures' scores (N,) by each score but the detector's own.

    Parameters
    ----------
    detector : AutoencoderDetector
        Fitted on the trusted pictures, all of which can be read.
    pictures : Pictures
    """
    settings = detector.settings_for(pictures.trusted)
    fractions = (settings.validation_fraction, settings.calibration_fraction)
    held = holdout(len(pictures.trusted), fractions, settings.seed)
    rng = np.random.default_rng(settings.seed)
    training, validation = (
        np.sort(rng.permutation(part)[:_MOST]) for part in (held.train, held.validation)
    )

    def observe(rows: NDArray[np.int64]) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        return _seen(detector, pictures.trusted, rows)

    scores = {}
    found = defaultdict(list)
    with torch.inference_mode():
        for name in set(SCORES) - {settings.score}:
            try:
                score = score_of(settings.model_copy(update={"score": name}), detector.model_)
            except ConfigurationError:
                continue  # not to be had with this network
            score.fit(observe, training, validation, settings.seed)
            scores[name] = score.eval()
        for seen in _seen(detector, pictures.test, np.arange(len(pictures.test))):
            for name, score in scores.items():
                found[name].append(score(*seen)[1].numpy())
    return {name: np.concatenate(found[name]) for name in SCORES if name in found}


def _seen(
    detector: Any, source: ImageSource, rows: NDArray[np.int64]
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Yield pictures with their reconstructions and codes."""
    for batch in source.batches(detector.input_spec_, 64, rows):
        x = to_network(torch.from_numpy(batch.images))
        yield (x, *detector.model_(x))
