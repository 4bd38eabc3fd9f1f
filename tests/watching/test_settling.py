from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from residua.watching.settling import Settling, Signature

A, B = Signature(1, 1, 1), Signature(2, 2, 2)
KEY = b"a.png"


def noticed(settle: float = 1.0, patience: float = 30.0) -> Settling:
    settling = Settling(settle, patience)
    settling.notice(KEY, 0.0)
    assert settling.due(0.0) == KEY
    return settling


def test_a_file_is_read_when_it_stood_still_for_as_long_as_wanted() -> None:
    settling = noticed(settle=1.0)
    assert not settling.looked(KEY, A, 0.0)
    assert settling.due(0.99) is None
    assert settling.due(1.0) == KEY
    assert settling.looked(KEY, A, 1.0)


def test_a_file_that_changes_waits_from_its_last_change() -> None:
    settling = noticed(settle=1.0)
    settling.looked(KEY, A, 0.0)
    assert settling.due(1.0) == KEY
    assert not settling.looked(KEY, B, 1.0)
    assert settling.due(1.9) is None
    assert settling.due(2.0) == KEY
    assert settling.looked(KEY, B, 2.0)


def test_a_time_set_back_is_a_change_like_any_other() -> None:
    settling = noticed()
    settling.looked(KEY, B, 0.0)
    settling.due(1.0)
    assert not settling.looked(KEY, A, 1.0)


def test_a_look_that_comes_late_needs_no_second_one() -> None:
    settling = noticed(settle=1.0)
    settling.looked(KEY, A, 0.0)
    assert settling.due(500.0) == KEY
    assert settling.looked(KEY, A, 500.0)


def tries_of(settling: Settling) -> list[float]:
    """Fail at every try and return the times of them."""
    tries, now = [], 0.0
    settling.looked(KEY, A, now)
    while True:
        now = settling.next_look
        assert settling.due(now) == KEY
        if settling.looked(KEY, A, now):
            tries.append(now)
            if settling.failed(KEY, now):
                return tries


def test_what_cannot_be_read_is_tried_at_growing_intervals_and_a_last_time_at_the_end() -> None:
    assert tries_of(noticed(settle=1.0, patience=30.0)) == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0]


def test_without_patience_the_first_failure_counts() -> None:
    assert tries_of(noticed(settle=1.0, patience=0.0)) == [1.0]


def test_a_change_begins_the_patience_anew() -> None:
    settling = noticed(settle=1.0, patience=10.0)
    settling.looked(KEY, A, 0.0)
    settling.due(9.0)
    assert settling.looked(KEY, A, 9.0)
    assert not settling.failed(KEY, 9.0)
    assert settling.due(10.0) == KEY
    assert not settling.looked(KEY, B, 10.0)
    settling.due(19.0)
    assert settling.looked(KEY, B, 19.0)
    assert not settling.failed(KEY, 19.0)


def test_an_event_brings_the_next_try_forward() -> None:
    settling = noticed(settle=1.0, patience=100.0)
    settling.looked(KEY, A, 0.0)
    for now in (1.0, 2.0, 4.0, 8.0):
        settling.due(now)
        settling.looked(KEY, A, now)
        settling.failed(KEY, now)
    settling.notice(KEY, 9.0)
    assert settling.due(9.9) is None
    assert settling.due(10.0) == KEY


def test_events_while_a_file_is_read_do_not_give_it_twice() -> None:
    settling = noticed(settle=0.0)
    settling.notice(KEY, 0.0)
    settling.notice(KEY, 0.0)
    assert settling.due(math.inf) is None


def test_files_whose_reading_failed_are_counted_apart() -> None:
    settling = noticed(settle=0.0)
    settling.notice(b"other", 0.0)
    settling.looked(KEY, A, 0.0)
    settling.failed(KEY, 0.0)
    assert (len(settling), settling.untried) == (2, 1)
    settling.forget(KEY)
    assert (len(settling), settling.untried) == (1, 1)


@given(
    st.lists(st.tuples(st.floats(0, 5), st.integers(0, 2)), min_size=1, max_size=40),
    st.floats(0.1, 3),
)
def test_no_file_is_ever_read_before_it_stood_still(
    looks: list[tuple[float, int]], settle: float
) -> None:
    settling, now, last, since = Settling(settle, 30.0), 0.0, None, 0.0
    settling.notice(KEY, now)
    for pause, content in looks:
        now += pause
        if settling.due(now) is None:
            continue
        signature = Signature(content, content, content)
        if signature != last:
            last, since = signature, now
        ready = settling.looked(KEY, signature, now)
        assert ready == (now - since >= settle)
        if ready:
            settling.postpone(KEY, now)


def test_an_old_file_needs_less_patience_and_stands_still_as_long() -> None:
    settling = noticed(settle=1.0, patience=30.0)
    settling.looked(KEY, A, 0.0, age=25.0)
    assert settling.due(0.9) is None
    assert settling.due(1.0) == KEY
    assert settling.looked(KEY, A, 1.0, age=26.0)
    assert not settling.failed(KEY, 1.0)
    for now in (2.0, 4.0, 5.0):
        assert settling.due(now) == KEY
        settling.looked(KEY, A, now)
        assert settling.failed(KEY, now) == (now == 5.0)


def test_a_file_older_than_patience_is_tried_once() -> None:
    settling = noticed(settle=1.0, patience=30.0)
    settling.looked(KEY, A, 0.0, age=86_400.0)
    settling.due(1.0)
    settling.looked(KEY, A, 1.0)
    assert settling.failed(KEY, 1.0)
