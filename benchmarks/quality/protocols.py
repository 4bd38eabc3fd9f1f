"""Which pictures a case trains on and which it tests: functions of the case and the seed."""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from residua.comparison.protocol import draw, lay_out
from residua.experiments import caltech
from residua.images.datasets import load_dataset
from residua.images.joined import JoinedSource
from residua.images.source import ImageSource
from residua.images.splits import one_class_against_rest

DIGITS = tuple("0123456789")
ARTICLES = MappingProxyType(
    {
        "T-shirt": "0",
        "trousers": "1",
        "pullover": "2",
        "dress": "3",
        "coat": "4",
        "sandal": "5",
        "shirt": "6",
        "sneaker": "7",
        "bag": "8",
        "ankle boot": "9",
    }
)
"""Fashion-MNIST's classes and their labels."""


class Pictures(NamedTuple):
    """The pictures of one case."""

    trusted: ImageSource
    """All that a fit is given; it holds its validation and calibration parts out itself."""
    test: ImageSource
    """None of them is trusted."""
    anomalous: NDArray[np.bool_]
    """The truth of each test picture (N,)."""


PicturesOf = Callable[[str, int], Pictures]


def against(normal: str, other: str) -> PicturesOf:
    """Train on the published training part of one data set; another's test part is anomalous."""

    def pictures(case: str, seed: int) -> Pictures:
        sides = [load_dataset(name, "test") for name in (normal, other)]
        anomalous = np.repeat([False, True], [len(side) for side in sides])
        test = JoinedSource(sides, names=[normal, other])
        return Pictures(load_dataset(normal, "train"), test, anomalous)

    return pictures


def one_class(name: str, labels: dict[str, str]) -> PicturesOf:
    """Train on the training pictures of one class; every test picture of another is anomalous.

    ``labels`` holds each case's class.
    """

    def pictures(case: str, seed: int) -> Pictures:
        train, test = (load_dataset(name, split) for split in ("train", "test"))
        assert train.labels is not None
        assert test.labels is not None
        parts = one_class_against_rest(train.labels, test.labels, [labels[case]])
        anomalous = np.array([label != labels[case] for label in test.labels])
        return Pictures(train.take(parts.train), test, anomalous)

    return pictures


def tiles(case: str, seed: int) -> Pictures:
    """Train on 70 % of the sound tiles; the seed draws them."""
    laid = lay_out("magnetic-tile", "magnetic-tile", seed=seed)
    (tested,) = laid.tested
    return Pictures(laid.trusted, tested.source, tested.anomalous)


def objects(case: str, seed: int) -> Pictures:
    """Take the second source report's pictures of Caltech-101, drawn and split by the seed."""
    parts = caltech.protocol(seed)
    assert parts.test.labels is not None
    anomalous = np.array([label == caltech.BACKGROUND for label in parts.test.labels])
    return Pictures(parts.trusted, parts.test, anomalous)


def fewer(pictures: Pictures, *, trusted: int, each_side: int, seed: int) -> Pictures:
    """Draw some of the trusted pictures, and of the normal and the anomalous test pictures."""
    kept = draw(np.arange(len(pictures.trusted)), trusted, seed)
    sides = [np.flatnonzero(pictures.anomalous == side) for side in (False, True)]
    test = np.sort(np.concatenate([draw(side, each_side, seed) for side in sides]))
    return Pictures(pictures.trusted.take(kept), pictures.test.take(test), pictures.anomalous[test])
