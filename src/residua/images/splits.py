"""Protocols that split pictures into parts: pure functions of labels, counts and a seed.

Every part is a sorted int64 array of indices, parts never overlap, and one seed gives one split on
every machine.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from residua.errors import BadLabels, ConfigurationError, TooFewImages, nearest_names

Indices = NDArray[np.int64]


class Parts(NamedTuple):
    """Indices of the pictures to learn from, to choose on, and to test on."""

    train: Indices
    validation: Indices
    test: Indices


class HeldOut(NamedTuple):
    """Indices of trusted pictures: to learn from, to choose the best epoch on, to calibrate on."""

    train: Indices
    validation: Indices
    calibration: Indices


class TrainTest(NamedTuple):
    """Indices into the training pictures and into the test pictures of a data set."""

    train: Indices
    test: Indices


def holdout(n: int, fractions: tuple[float, float], seed: int) -> HeldOut:
    """Hold a validation and a calibration part of ``n`` pictures out of training.

    Parameters
    ----------
    n : int
        Number of pictures, at least 6.
    fractions : (float, float)
        Shares for validation and calibration, each in (0, 1), below 1 together. Each part has at
        least 2 pictures, whatever its share.
    seed : int

    Raises
    ------
    TooFewImages
        Fewer pictures than leave 2 in each part.
    """
    order = np.random.default_rng(seed).permutation(n)
    n_validation, n_calibration = (max(2, round(share * n)) for share in fractions)
    if n - n_validation - n_calibration < 2:
        raise TooFewImages(
            f"{n} pictures leave too few to learn from when {n_validation} validate and "
            f"{n_calibration} calibrate; give more pictures or hold smaller fractions out"
        )
    cuts = [n_validation, n_validation + n_calibration]
    validation, calibration, train = (np.sort(part) for part in np.split(order, cuts))
    return HeldOut(train, validation, calibration)


def three_way(
    labels: Sequence[str],
    fractions: tuple[float, float, float] = (0.70, 0.15, 0.15),
    *,
    stratify: bool = True,
    seed: int = 0,
) -> Parts:
    """Split into training, validation and test parts.

    Parameters
    ----------
    labels : sequence of str
        Class of each picture.
    fractions : (float, float, float)
        Shares of the three parts, positive, 1 together.
    stratify : bool, default=True
        Whether each class is split in these proportions: in each a part's size is within one
        picture of its share, and training has at least one. False: that holds of all pictures
        together.
    seed : int

    Raises
    ------
    ConfigurationError
        The fractions are not shares of a whole.
    TooFewImages
        There are no pictures.
    """
    if min(fractions) <= 0 or abs(sum(fractions) - 1) > 1e-9:
        raise ConfigurationError(f"fractions are {fractions}; they must be positive and add to 1")
    rng = np.random.default_rng(seed)
    parts: tuple[list[Indices], ...] = ([], [], [])
    for members in _by_class(labels if stratify else [""] * len(labels)):
        n_train, n_validation = _sizes(fractions, len(members))
        pieces = np.split(rng.permutation(members), [n_train, n_train + n_validation])
        for part, piece in zip(parts, pieces, strict=True):
            part.append(piece)
    return Parts(*(_joined(part) for part in parts))


def limit_per_class(labels: Sequence[str], n: int, *, seed: int = 0) -> Indices:
    """Choose ``n`` pictures of each class at random, all of a class that has no more.

    Raises
    ------
    ConfigurationError
        ``n`` is below 1.
    """
    if n < 1:
        raise ConfigurationError(f"n is {n}; at least 1 picture of each class is chosen")
    rng = np.random.default_rng(seed)
    return _joined([rng.permutation(members)[:n] for members in _by_class(labels)])


def leave_out(parts: Parts, labels: Sequence[str], classes: Sequence[str]) -> Parts:
    """Move every picture of some classes from training and validation to the test part.

    Raises
    ------
    BadLabels
        A class that no picture has.
    """
    held = _is_of(labels, classes)
    moved = [part[held[part]] for part in (parts.train, parts.validation)]
    train, validation = (part[~held[part]] for part in (parts.train, parts.validation))
    return Parts(train, validation, _joined([parts.test, *moved]))


def one_class_against_rest(
    train_labels: Sequence[str], test_labels: Sequence[str], normal: Sequence[str]
) -> TrainTest:
    """Train on some classes alone, and test on every class.

    Raises
    ------
    BadLabels
        A class that no training picture has.
    """
    return TrainTest(
        np.flatnonzero(_is_of(train_labels, normal)), np.arange(len(test_labels), dtype=np.int64)
    )


def _is_of(labels: Sequence[str], classes: Sequence[str]) -> NDArray[np.bool_]:
    known = set(labels)
    for name in classes:
        if name not in known:
            raise BadLabels(f"no picture is of the class {name!r}; {nearest_names(name, known)}")
    wanted = set(classes)
    return np.fromiter((label in wanted for label in labels), bool, len(labels))


def _by_class(labels: Sequence[str]) -> list[Indices]:
    if not len(labels):
        raise TooFewImages("there are no pictures to split")
    _, inverse = np.unique(np.asarray(labels), return_inverse=True)
    order = np.argsort(inverse, kind="stable").astype(np.int64)
    return np.split(order, np.cumsum(np.bincount(inverse))[:-1])


def _sizes(fractions: tuple[float, float, float], count: int) -> tuple[int, int]:
    """Return how many of a class train and how many validate; the rest tests."""
    _, validation, test = (fraction * count for fraction in fractions)
    # Half a picture is rounded down, so that small classes keep what they have for training.
    n_validation, n_test = math.ceil(validation - 0.5), math.ceil(test - 0.5)
    if n_validation + n_test == count:
        # Training takes one from the part that was rounded up the most.
        if n_validation - validation >= n_test - test:
            n_validation -= 1
        else:
            n_test -= 1
    return count - n_validation - n_test, n_validation


def _joined(parts: Sequence[Indices]) -> Indices:
    return np.sort(np.concatenate(parts)).astype(np.int64)
