from __future__ import annotations

import threading
import time
from concurrent.futures import CancelledError, Future

import numpy as np
import pytest
from numpy.typing import NDArray

from residua.errors import WaitedTooLong
from residua.scoring.verdicts import ScoredBatch
from residua.service.batching import Batcher


class Counting:
    """A model whose score is the picture's first pixel, and which says what it was asked."""

    def __init__(self, batch_size: int = 4) -> None:
        self.batch_size = batch_size
        self.calls: list[tuple[int, int]] = []
        self.may_go = threading.Event()
        self.begun = threading.Event()
        self.may_go.set()
        self.failure: Exception | None = None

    def compute(self, images: NDArray[np.uint8], *, at_once: int) -> ScoredBatch:
        self.begun.set()
        assert self.may_go.wait(10)
        self.calls.append((len(images), at_once))
        if self.failure is not None:
            raise self.failure
        count = len(images)
        return ScoredBatch(
            images[:, 0, 0, 0].astype(np.float64),
            np.zeros((count, 8, 8), np.float32),
            np.zeros((count, 8, 8, 1), np.float32),
            np.zeros((count, 2), np.float32),
        )


def picture(value: int) -> NDArray[np.uint8]:
    return np.full((8, 8, 1), value, np.uint8)


def scores(futures: list[Future[ScoredBatch]]) -> list[float]:
    return [float(one.result(10).scores[0]) for one in futures]


def test_each_picture_gets_its_own_score() -> None:
    batcher, model = Batcher(2), Counting()
    assert scores([batcher.submit(model, picture(n)) for n in range(50)]) == list(range(50))
    batcher.close()


def test_what_waits_is_computed_together_up_to_the_batch_size() -> None:
    batcher, model = Batcher(1, wait=0), Counting(batch_size=4)
    model.may_go.clear()
    first = batcher.submit(model, picture(0))
    assert model.begun.wait(10)
    rest = [batcher.submit(model, picture(n)) for n in range(1, 11)]
    assert batcher.waiting == 10
    model.may_go.set()
    assert scores([first, *rest]) == list(range(11))
    assert [count for count, _ in model.calls] == [1, 4, 4, 2]
    batcher.close()


def test_a_picture_alone_is_computed_by_all_threads_and_many_by_one_each() -> None:
    batcher, model = Batcher(2, wait=0), Counting(batch_size=1)
    scores([batcher.submit(model, picture(0))])
    assert model.calls == [(1, 1)]
    model.may_go.clear()
    model.begun.clear()
    futures = [batcher.submit(model, picture(0))]
    assert model.begun.wait(10)
    futures += [batcher.submit(model, picture(n)) for n in range(3)]
    model.may_go.set()
    scores(futures)
    assert (1, 2) in model.calls
    batcher.close()


def test_more_threads_than_processors_share_what_processors_there_are() -> None:
    batcher, model = Batcher(3, at_once=2, wait=0), Counting(batch_size=1)
    model.may_go.clear()
    futures = [batcher.submit(model, picture(n)) for n in range(9)]
    model.may_go.set()
    assert scores(futures) == list(range(9))
    assert {at_once for _, at_once in model.calls} <= {1, 2}
    batcher.close()


def test_a_batch_waits_for_more_no_longer_than_it_is_told() -> None:
    batcher, model = Batcher(1, wait=0.2), Counting(batch_size=8)
    start = time.monotonic()
    futures = [batcher.submit(model, picture(0))]
    time.sleep(0.02)
    futures.append(batcher.submit(model, picture(1)))
    scores(futures)
    assert model.calls == [(2, 1)]
    assert time.monotonic() - start >= 0.2
    batcher.close()


def test_the_model_whose_picture_came_first_is_next() -> None:
    batcher, one, other = Batcher(1, wait=0), Counting(1), Counting(1)
    done: list[str] = []
    one.may_go.clear()
    blocking = batcher.submit(one, picture(0))
    assert one.begun.wait(10)
    second = batcher.submit(other, picture(0))
    third = batcher.submit(one, picture(0))
    second.add_done_callback(lambda _: done.append("second"))
    third.add_done_callback(lambda _: done.append("third"))
    one.may_go.set()
    scores([blocking, second, third])
    batcher.close()
    assert done == ["second", "third"]


def test_a_cancelled_picture_costs_nothing() -> None:
    batcher, model = Batcher(1, wait=0), Counting(batch_size=4)
    model.may_go.clear()
    first = batcher.submit(model, picture(0))
    assert model.begun.wait(10)
    given_up, wanted = (batcher.submit(model, picture(n)) for n in (1, 2))
    assert given_up.cancel()
    assert batcher.waiting == 1
    model.may_go.set()
    assert scores([first, wanted]) == [0, 2]
    with pytest.raises(CancelledError):
        given_up.result(1)
    assert model.calls == [(1, 1), (1, 1)]
    batcher.close()


def test_a_picture_whose_turn_does_not_come_is_given_up_and_told_when_to_come_again() -> None:
    batcher, model = Batcher(1, wait=0, patience=0.05), Counting(batch_size=4)
    model.may_go.clear()
    first = batcher.submit(model, picture(0))
    assert model.begun.wait(10)
    late = batcher.submit(model, picture(1))
    time.sleep(0.1)
    model.may_go.set()
    assert scores([first]) == [0]
    with pytest.raises(WaitedTooLong) as refused:
        late.result(10)
    assert refused.value.retry_after >= 1
    assert model.calls == [(1, 1)]
    batcher.close()


def test_a_failing_batch_fails_its_pictures_and_no_others() -> None:
    batcher, model, sound = Batcher(1), Counting(), Counting()
    model.failure = RuntimeError("out of memory")
    futures = [batcher.submit(model, picture(n)) for n in range(3)]
    for future in futures:
        with pytest.raises(RuntimeError, match="out of memory"):
            future.result(10)
    assert scores([batcher.submit(sound, picture(7))]) == [7]
    batcher.close()


def test_closing_finishes_what_was_taken_and_takes_nothing_more() -> None:
    batcher, model = Batcher(2, wait=5), Counting(batch_size=64)
    futures = [batcher.submit(model, picture(n)) for n in range(20)]
    batcher.close()
    assert scores(futures) == list(range(20))
    with pytest.raises(RuntimeError, match="closed"):
        batcher.submit(model, picture(0))


def test_each_batch_is_told_with_its_wait_and_its_time() -> None:
    told: list[tuple[int, float, float]] = []
    batcher = Batcher(1, wait=0, observe=lambda *batch: told.append(batch))
    scores([batcher.submit(Counting(), picture(0))])
    batcher.close()
    ((pictures, waited, computed),) = told
    assert pictures == 1
    assert waited >= 0
    assert computed >= 0


def test_a_picture_does_not_hold_its_whole_batch_in_memory() -> None:
    batcher, model = Batcher(1, wait=0.1), Counting(batch_size=4)
    futures = [batcher.submit(model, picture(n)) for n in range(4)]
    assert all(part.base is None for one in futures for part in one.result(10))
    batcher.close()
