from __future__ import annotations

import numpy as np
import pytest

from residua.errors import EmptySource
from residua.images.joined import JoinedSource
from residua.images.preprocess import InputSpec
from residua.images.source import ArraySource

SPEC = InputSpec(height=8, width=8, channels=1)
ONE = ArraySource(np.full((3, 8, 8), 1, np.uint8), labels=["a", "b", "a"])
TWO = ArraySource(np.full((2, 8, 8), 2, np.uint8))


def test_pictures_of_both_come_in_the_order_that_is_asked_for() -> None:
    joined = JoinedSource([ONE, TWO])
    wanted = [4, 0, 3, 0, 2]
    (batch,) = joined.batches(SPEC, 10, wanted)
    assert batch.indices.tolist() == wanted
    assert batch.images[:, 0, 0, 0].tolist() == [2, 1, 2, 1, 1]


def test_a_name_begins_ids_and_classes() -> None:
    joined = JoinedSource([ONE, TWO], names=["mnist", "fashion"])
    assert list(joined.labels) == ["mnist/a", "mnist/b", "mnist/a", "fashion", "fashion"]
    assert list(joined.ids) == ["mnist/0", "mnist/1", "mnist/2", "fashion/0", "fashion/1"]


def test_classes_are_there_where_every_source_has_them() -> None:
    assert JoinedSource([ONE, TWO]).labels is None
    assert list(JoinedSource([ONE, ONE]).labels) == ["a", "b", "a", "a", "b", "a"]


def test_masks_are_those_of_each_source() -> None:
    mask = np.zeros((2, 8, 8), bool)
    mask[1, 2, 2] = True
    joined = JoinedSource([ONE, ArraySource(np.zeros((2, 8, 8), np.uint8), masks=mask)])
    assert joined.has_masks
    assert joined.mask(0) is None
    assert joined.mask(4).sum() == 1


def test_nothing_to_join_is_refused() -> None:
    with pytest.raises(EmptySource):
        JoinedSource([])
