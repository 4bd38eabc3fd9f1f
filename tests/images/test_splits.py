from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from residua.errors import BadLabels, ConfigurationError, TooFewImages
from residua.images.splits import (
    Indices,
    Parts,
    holdout,
    leave_out,
    limit_per_class,
    one_class_against_rest,
    three_way,
)

labels_of_pictures = st.lists(st.sampled_from(["cat", "dog", "emu", "fox"]), min_size=1)
shares = st.tuples(*[st.integers(1, 50)] * 3).map(
    lambda parts: (parts[0] / sum(parts), parts[1] / sum(parts), parts[2] / sum(parts))
)
seeds = st.integers(0, 2**32)


def counts(part: Indices, labels: Sequence[str]) -> Counter[str]:
    return Counter(labels[index] for index in part)


def assert_complete(parts: Sequence[Indices], n: int) -> None:
    """The parts are sorted indices that never overlap and leave nothing out."""
    for part in parts:
        assert part.dtype == np.int64
        assert part.tolist() == sorted(part)
    assert sorted(np.concatenate(parts).tolist()) == list(range(n))


@settings(deadline=None)
@given(labels=labels_of_pictures, fractions=shares, seed=seeds)
def test_three_parts_never_overlap_and_leave_nothing_out(
    labels: list[str], fractions: tuple[float, float, float], seed: int
) -> None:
    assert_complete(three_way(labels, fractions, seed=seed), len(labels))


@settings(deadline=None)
@given(labels=labels_of_pictures, fractions=shares, seed=seeds)
def test_each_class_is_within_one_picture_of_its_share_in_each_part(
    labels: list[str], fractions: tuple[float, float, float], seed: int
) -> None:
    total = Counter(labels)
    for part, fraction in zip(three_way(labels, fractions, seed=seed), fractions, strict=True):
        found = counts(part, labels)
        for name, count in total.items():
            assert abs(found[name] - fraction * count) < 1 + 1e-9


@settings(deadline=None)
@given(labels=labels_of_pictures, fractions=shares, seed=seeds)
def test_training_has_a_picture_of_every_class(
    labels: list[str], fractions: tuple[float, float, float], seed: int
) -> None:
    train = three_way(labels, fractions, seed=seed).train
    assert set(counts(train, labels)) == set(labels)


@settings(deadline=None)
@given(labels=labels_of_pictures, seed=seeds)
def test_a_class_of_four_pictures_is_in_every_part_of_the_usual_split(
    labels: list[str], seed: int
) -> None:
    enough = {name for name, count in Counter(labels).items() if count >= 4}
    for part in three_way(labels, seed=seed):
        assert enough <= set(counts(part, labels))


@settings(deadline=None)
@given(labels=labels_of_pictures, seed=seeds)
def test_one_seed_gives_one_split(labels: list[str], seed: int) -> None:
    first, second = three_way(labels, seed=seed), three_way(labels, seed=seed)
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)


def test_another_seed_gives_another_split() -> None:
    labels = ["cat", "dog"] * 50
    assert three_way(labels, seed=0).test.tolist() != three_way(labels, seed=1).test.tolist()


def test_the_split_of_a_seed_is_the_same_on_every_machine() -> None:
    assert three_way(["cat"] * 10 + ["dog"] * 10, seed=3).test.tolist() == [8, 12]


@pytest.mark.parametrize("fractions", [(0.7, 0.3, 0.0), (0.7, 0.2, 0.2), (1.2, -0.1, -0.1)])
def test_fractions_that_are_no_shares_of_a_whole_are_refused(
    fractions: tuple[float, float, float],
) -> None:
    with pytest.raises(ConfigurationError, match="positive and add to 1"):
        three_way(["cat"] * 10, fractions)


def test_no_pictures_cannot_be_split() -> None:
    with pytest.raises(TooFewImages, match="no pictures"):
        three_way([])


@settings(deadline=None)
@given(labels=labels_of_pictures, n=st.integers(1, 20), seed=seeds)
def test_a_limit_leaves_n_pictures_of_a_class_or_all_it_has(
    labels: list[str], n: int, seed: int
) -> None:
    chosen = limit_per_class(labels, n, seed=seed)
    assert chosen.tolist() == sorted(set(chosen.tolist()))
    assert counts(chosen, labels) == {
        name: min(n, count) for name, count in Counter(labels).items()
    }
    np.testing.assert_array_equal(chosen, limit_per_class(labels, n, seed=seed))


def test_a_limit_chooses_at_random() -> None:
    assert limit_per_class(["cat"] * 100, 5, seed=1).tolist() != list(range(5))


def test_a_limit_below_one_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="n is 0"):
        limit_per_class(["cat"], 0)


@settings(deadline=None)
@given(labels=labels_of_pictures, seed=seeds, data=st.data())
def test_left_out_classes_are_only_tested_on_and_nothing_is_lost(
    labels: list[str], seed: int, data: st.DataObject
) -> None:
    classes = data.draw(st.lists(st.sampled_from(sorted(set(labels))), unique=True))
    parts = three_way(labels, seed=seed)
    after = leave_out(parts, labels, classes)
    assert_complete(after, len(labels))
    for part, before in ((after.train, parts.train), (after.validation, parts.validation)):
        assert part.tolist() == [index for index in before if labels[index] not in classes]


def test_leaving_out_a_class_that_no_picture_has_offers_the_nearest() -> None:
    parts = Parts(np.array([0]), np.array([1]), np.array([2]))
    with pytest.raises(BadLabels, match=r"'anchr'; did you mean 'anchor'"):
        leave_out(parts, ["anchor", "ant", "bass"], ["anchr"])


@settings(deadline=None)
@given(train=labels_of_pictures, test=labels_of_pictures, data=st.data())
def test_one_class_is_learned_and_every_class_is_tested_on(
    train: list[str], test: list[str], data: st.DataObject
) -> None:
    normal = data.draw(st.lists(st.sampled_from(sorted(set(train))), min_size=1, unique=True))
    parts = one_class_against_rest(train, test, normal)
    assert parts.train.tolist() == [i for i, label in enumerate(train) if label in normal]
    assert parts.test.tolist() == list(range(len(test)))


def test_a_normal_class_that_no_training_picture_has_is_refused() -> None:
    with pytest.raises(BadLabels, match=r"'7'; known are '1', '2'"):
        one_class_against_rest(["1", "2"], ["7"], ["7"])


held_out_shares = st.floats(0.001, 0.4)


@settings(deadline=None)
@given(n=st.integers(20, 500), one=held_out_shares, other=held_out_shares, seed=seeds)
def test_held_out_parts_are_complete_of_their_share_and_of_two_pictures_at_least(
    n: int, one: float, other: float, seed: int
) -> None:
    parts = holdout(n, (one, other), seed)
    assert_complete(parts, n)
    assert len(parts.validation) == max(2, round(one * n))
    assert len(parts.calibration) == max(2, round(other * n))
    for part, again in zip(parts, holdout(n, (one, other), seed), strict=True):
        np.testing.assert_array_equal(part, again)


def test_six_pictures_are_enough_to_hold_out_of() -> None:
    assert [len(part) for part in holdout(6, (0.1, 0.1), 0)] == [2, 2, 2]


@pytest.mark.parametrize(
    ("n", "fractions"), [(0, (0.1, 0.1)), (5, (0.1, 0.1)), (6, (0.5, 0.1)), (100, (0.5, 0.49))]
)
def test_holding_out_refuses_to_leave_fewer_than_two_to_learn_from(
    n: int, fractions: tuple[float, float]
) -> None:
    with pytest.raises(TooFewImages, match=f"{n} pictures leave too few to learn from"):
        holdout(n, fractions, 0)
