"""Each other score of a fitted network, beside the one that the detector gives.

They say which side of a picture's surprise tells on which pictures. Nothing is trained again: the
scores take in what is usual of the same pictures as the detector's own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from quality.protocols import Pictures
from residua.errors import ConfigurationError
from residua.images.source import ImageSource
from residua.images.splits import holdout
from residua.material import material_of
from residua.models import to_network
from residua.normality import fitted_score
from residua.scoring.names import SCORES

_BATCH = 64


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
    settings, spec = detector.settings_for(pictures.trusted), detector.input_spec_
    fractions = (settings.validation_fraction, settings.calibration_fraction)
    held = holdout(len(pictures.trusted), fractions, settings.seed)
    trusted = np.concatenate([batch.images for batch in pictures.trusted.batches(spec, _BATCH)])
    material = material_of(settings)
    material.meet(spec)
    scores = {}
    for name in set(SCORES) - {settings.score}:
        # One that is not to be had with this network is left out.
        with suppress(ConfigurationError):
            scores[name] = fitted_score(material.under(name), detector.model_, trusted, held)
    found = defaultdict(list)
    with torch.inference_mode():
        for seen in _seen(detector, pictures.test):
            for name, score in scores.items():
                found[name].append(score(*seen)[1].numpy())
    return {name: np.concatenate(found[name]) for name in SCORES if name in found}


def _seen(detector: Any, source: ImageSource) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Yield pictures with their reconstructions and codes."""
    for batch in source.batches(detector.input_spec_, _BATCH):
        x = to_network(torch.from_numpy(batch.images))
        yield (x, *detector.model_(x))
