"""Caltech-101 with its background class as anomalous: the second source report's experiment.

Protocol: 30 pictures of each of the 102 classes are split 70/15/15 at random. Every picture of
``BACKGROUND_Google`` is moved from training and validation to the test part. Pictures are brought
to 256 x 256; the networks train for 20 epochs of batches of 64 on the mean squared error, and the
weights of the best epoch are kept. Half of the validation part chooses the best epoch; the other
half, which the report does not have, calibrates the threshold.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from residua.images.datasets import load_dataset
from residua.images.source import ImageSource
from residua.images.splits import leave_out, limit_per_class, three_way

BACKGROUND = "BACKGROUND_Google"
PER_CLASS = 30
FRACTIONS = (0.70, 0.15, 0.15)
# Of the pictures that a fit is given, 70 + 15 of 100, each half of the 15.
HELD_OUT = round(FRACTIONS[1] / 2 / (FRACTIONS[0] + FRACTIONS[1]), 4)


class Protocol(NamedTuple):
    """The pictures of one run."""

    trusted: ImageSource
    """Training and validation parts together, without the background class."""
    test: ImageSource
    """The test part and every background picture of the 30."""


def protocol(seed: int, *, per_class: int = PER_CLASS) -> Protocol:
    """Return the pictures of the run with this seed.

    Parameters
    ----------
    seed : int
        Seed of the choice and of the split.
    per_class : int, default=30
        Pictures of each class, at most.
    """
    everything = load_dataset("caltech101")
    assert everything.labels is not None
    chosen = limit_per_class(everything.labels, per_class, seed=seed)
    labels = [everything.labels[index] for index in chosen]
    parts = three_way(labels, FRACTIONS, stratify=False, seed=seed)
    parts = leave_out(parts, labels, [BACKGROUND])
    trusted = np.union1d(parts.train, parts.validation)
    return Protocol(everything.take(chosen[trusted]), everything.take(chosen[parts.test]))
