from __future__ import annotations

from residua.cluster.worker import Attempts


def test_a_part_that_was_ended_counts_from_one_again() -> None:
    attempts = Attempts()
    assert [attempts.begin(3), attempts.begin(3), attempts.begin(4)] == [1, 2, 1]
    attempts.end(3)
    attempts.end(7)
    assert [attempts.begin(3), attempts.begin(4)] == [1, 2]
