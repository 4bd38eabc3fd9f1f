"""Which pictures are trained on and which are tested, the same for every method."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from residua.errors import BadLabels, ConfigurationError, TooFewImages
from residua.evaluation.truth import GOOD, truth_of
from residua.images.datasets import DATASETS, Dataset
from residua.images.folder import is_mvtec
from residua.images.resolve import resolve_source
from residua.images.source import ImageSource

TRAINING_SHARE = 0.7
"""Of trusted pictures, where no test part is published."""


class Tested(NamedTuple):
    """Some of the test pictures."""

    source: ImageSource
    anomalous: NDArray[np.bool_]
    """The truth of each (N,)."""


class Protocol(NamedTuple):
    """The pictures of a comparison."""

    trusted: ImageSource
    """To train on."""
    tested: list[Tested]
    """To test on; none of them is among the trusted ones."""
    words: str
    """What was done, in a sentence."""


def lay_out(
    train: Any,
    test: Any,
    *,
    normal: Sequence[str] | None = None,
    anomalous: Sequence[str] | None = None,
    seed: int = 0,
) -> Protocol:
    """Decide which pictures are trained on and which are tested.

    Where classes are named, or known of a data set, the test pictures' classes say which are
    anomalous. Without, and with another data set to test on, all of that is anomalous, and the
    normal test pictures are those of the first one's own test part. Where no test part is there,
    30 % of the trusted pictures become one.

    Parameters
    ----------
    train, test : whatever `residua.images.resolve_source` takes
        Equal: one labelled data set for both.
    normal, anomalous : sequence of str or None
        Classes.
    seed : int
        Of the split.

    Raises
    ------
    BadLabels
        No class is named where one has to be, no picture is of a class that is named, or the test
        pictures are of one kind alone.
    TooFewImages
        Too few trusted pictures for a split.
    """
    if _same(train, test):
        protocol = _one_data_set(train, normal, anomalous, seed)
    else:
        protocol = _two_data_sets(train, test, normal, anomalous, seed)
    if not len(protocol.trusted):
        raise TooFewImages("not one trusted picture is left to train on; check the classes named")
    _check_both_kinds(protocol.tested)
    return protocol


def _one_data_set(
    data: Any, normal: Sequence[str] | None, anomalous: Sequence[str] | None, seed: int
) -> Protocol:
    if not normal and not anomalous:
        normal, anomalous = _known_classes(data)
    if _has_test_part(data):
        tested = resolve_source(data, prefer="test")
        truth = truth_of(tested.labels, normal=normal, anomalous=anomalous)
        trusted = _trusted(resolve_source(data, prefer="train"), normal, anomalous)
        words = f"trusted pictures of the training part; {_kinds(normal, anomalous)}"
        return Protocol(trusted, [Tested(tested, truth)], words)
    source = resolve_source(data)
    truth = truth_of(source.labels, normal=normal, anomalous=anomalous)
    train, held_out = _split(np.flatnonzero(~truth), seed)
    test = np.sort(np.concatenate([held_out, np.flatnonzero(truth)]))
    words = f"{TRAINING_SHARE:.0%} of the trusted pictures; {_kinds(normal, anomalous)}"
    return Protocol(source.take(train), [Tested(source.take(test), truth[test])], words)


def _two_data_sets(
    train: Any,
    test: Any,
    normal: Sequence[str] | None,
    anomalous: Sequence[str] | None,
    seed: int,
) -> Protocol:
    tested = resolve_source(test, prefer="test")
    if not normal and not anomalous and _has_sound_class(test, tested):
        normal = [GOOD]
    if normal or anomalous:
        truth = truth_of(tested.labels, normal=normal, anomalous=anomalous)
        trusted = _trusted(resolve_source(train, prefer="train"), normal, anomalous)
        words = f"trusted training pictures; {_kinds(normal, anomalous)}"
        unseen = _unseen(tested, trusted)
        if len(unseen) < len(tested):
            words += f"; {len(tested) - len(unseen):,} test pictures that train are left out"
        return Protocol(trusted, [Tested(tested.take(unseen), truth[unseen])], words)
    source = resolve_source(train, prefer="train")
    _refuse_shared_classes(train, source, test, tested)
    ours, theirs = _named(train, "the training data"), _named(test, "the test data")
    every = np.ones(len(tested), bool)
    if _has_test_part(train):
        own = resolve_source(train, prefer="test")
        own = _trusted(own, *_known_classes(train))
        words = f"training part of {ours}; normal: its test part; anomalous: {theirs}"
        sides = [Tested(own, np.zeros(len(own), bool)), Tested(tested, every)]
        return Protocol(source, sides, words)
    kept, held_out = _split(np.arange(len(source)), seed)
    words = (
        f"{TRAINING_SHARE:.0%} of {ours}; normal: the other {1 - TRAINING_SHARE:.0%}; "
        f"anomalous: {theirs}"
    )
    normal_side = Tested(source.take(held_out), np.zeros(len(held_out), bool))
    return Protocol(source.take(kept), [normal_side, Tested(tested, every)], words)


def _unseen(tested: ImageSource, trusted: ImageSource) -> NDArray[np.int64]:
    """Return the test pictures whose files are not among those trained on."""
    ours, theirs = trusted.paths, tested.paths
    if ours is None or theirs is None:
        return np.arange(len(tested), dtype=np.int64)
    known = {os.path.realpath(path) for path in ours}
    return np.array(
        [i for i, path in enumerate(theirs) if os.path.realpath(path) not in known], np.int64
    )


def _trusted(
    source: ImageSource, normal: Sequence[str] | None, anomalous: Sequence[str] | None
) -> ImageSource:
    """Leave out what is named as anomalous; all is trusted where no class named is known here."""
    labels = source.labels
    if labels is None:
        return source
    if normal and (known := set(normal) & set(labels)):
        return source.take([i for i, label in enumerate(labels) if label in known])
    if anomalous:
        return source.take([i for i, label in enumerate(labels) if label not in anomalous])
    return source


def _split(trusted: NDArray[np.int64], seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    if len(trusted) < 2:
        raise TooFewImages(
            f"{len(trusted)} trusted pictures cannot be split into training and test; give more"
        )
    order = np.random.default_rng(seed).permutation(trusted)
    cut = min(len(order) - 1, max(1, round(TRAINING_SHARE * len(order))))
    return np.sort(order[:cut]), np.sort(order[cut:])


def _check_both_kinds(tested: list[Tested]) -> None:
    truth = np.concatenate([part.anomalous for part in tested])
    for kind, count in (("normal", np.count_nonzero(~truth)), ("anomalous", truth.sum())):
        if count == 0:
            raise BadLabels(
                f"of {len(truth):,} test pictures not one is {kind}, and a comparison needs both "
                "kinds; name other classes or add pictures"
            )


def _refuse_shared_classes(train: Any, source: ImageSource, test: Any, tested: ImageSource) -> None:
    if _dataset(train) or _dataset(test) or source.labels is None or tested.labels is None:
        return
    shared = sorted(set(source.labels) & set(tested.labels) - {""})
    if shared:
        raise BadLabels(
            f"the class {shared[0]!r} is among the training pictures and among the test pictures, "
            "so not all of the test pictures can be anomalous; name the normal or the anomalous "
            "classes"
        )


def _same(train: Any, test: Any) -> bool:
    if isinstance(train, str | os.PathLike) and isinstance(test, str | os.PathLike):
        return os.path.realpath(train) == os.path.realpath(test)
    return train is test


def _dataset(data: Any) -> Dataset | None:
    """Return the registered data set that ``data`` names, as `resolve_source` reads it."""
    if isinstance(data, str) and not os.path.lexists(data):
        return DATASETS.get(data)
    return None


def _has_test_part(data: Any) -> bool:
    if (dataset := _dataset(data)) is not None:
        return "test" in dataset.splits
    return isinstance(data, str | os.PathLike) and is_mvtec(os.fspath(data))


def _known_classes(data: Any) -> tuple[list[str] | None, list[str] | None]:
    """Return the normal and the anomalous classes that are known without being named."""
    if (dataset := _dataset(data)) is not None:
        return None, list(dataset.anomalous) or None
    if isinstance(data, str | os.PathLike) and is_mvtec(os.fspath(data)):
        return [GOOD], None
    return None, None


def _has_sound_class(data: Any, source: ImageSource) -> bool:
    return _dataset(data) is None and source.labels is not None and GOOD in set(source.labels)


def _kinds(normal: Sequence[str] | None, anomalous: Sequence[str] | None) -> str:
    if normal:
        return f"normal: {', '.join(normal)}; anomalous: every other class"
    return f"anomalous: {', '.join(anomalous or ())}; normal: every other class"


def _named(data: Any, otherwise: str) -> str:
    return os.fspath(data) if isinstance(data, str | os.PathLike) else otherwise


def draw(candidates: NDArray[np.int64], count: int | None, seed: int) -> NDArray[np.int64]:
    """Return ``count`` of the candidates drawn at random, sorted; all where they are no more.

    Raises
    ------
    ConfigurationError
        ``count`` is below 1.
    """
    if count is not None and count < 1:
        raise ConfigurationError(f"{count} pictures are asked for; wanted at least 1")
    if count is None or count >= len(candidates):
        return candidates
    return np.sort(np.random.default_rng(seed).permutation(candidates)[:count])
