"""Whatever is kept, judged, withdrawn and removed, in any order: the sums and the limit hold."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from residua.service.store.pictures import NewPicture
from residua.service.store.store import ReviewStore

LIMIT = 40
contents = st.builds(lambda n, times: bytes([n]) * times, st.integers(0, 5), st.integers(1, 15))


def test_the_sums_of_the_room_hold_whatever_is_done(
    picture: Callable[..., NewPicture], sums: Callable[[ReviewStore], Any]
) -> None:
    class Life(RuleBasedStateMachine):
        ids = Bundle("ids")

        @initialize()
        def open(self) -> None:
            self.folder = Path(tempfile.mkdtemp())
            self.store = ReviewStore.open(folder=self.folder)
            self.reviewed: set[int] = set()

        @rule(target=ids, given=st.lists(contents, min_size=1, max_size=4))
        def keep(self, given: list[bytes]) -> Any:
            ids = self.store.keep([picture(one) for one in given], max_bytes=LIMIT)
            held = sums(self.store)[0][1]
            for id, one in zip(ids, given, strict=True):
                if id is not None:
                    assert self.store.content(id)[1] == one
                else:
                    assert held + sum(map(len, set(given))) > LIMIT
            return multiple(*(id for id in ids if id is not None))

        @rule(id=ids, correct=st.booleans())
        def judge(self, id: int, correct: bool) -> None:
            if self.is_there(id):
                self.store.judge(id, correct=correct, reviewer=None, order="random")
                self.reviewed.add(id)

        @rule(id=ids)
        def withdraw(self, id: int) -> None:
            if self.is_there(id):
                self.store.withdraw(id)
                self.reviewed.discard(id)

        @rule(id=consumes(ids))
        def remove(self, id: int) -> None:
            if self.is_there(id):
                self.store.remove(id)
                self.reviewed.discard(id)

        @rule(limit=st.integers(0, LIMIT))
        def retain(self, limit: int) -> None:
            self.store.retain(now=datetime.now(UTC), max_age=timedelta(1), max_bytes=limit)

        @invariant()
        def the_sums_are_those_of_the_tables(self) -> None:
            kept, counted = sums(self.store)
            assert kept == counted
            assert kept[0] <= LIMIT

        @invariant()
        def reviewed_pictures_are_never_removed(self) -> None:
            assert set(self.store.reviewed().ids) == self.reviewed

        def is_there(self, id: int) -> bool:
            return id in self.reviewed or any(
                kept.id == id for kept in self.store.queue(limit=1000).items
            )

        def teardown(self) -> None:
            self.store.close()
            shutil.rmtree(self.folder)

    run_state_machine_as_test(
        Life, settings=settings(max_examples=15, stateful_step_count=25, deadline=None)
    )


@pytest.mark.parametrize("reviewed", [True, False])
def test_a_lowered_limit_is_reached_with_the_next_picture(
    store: ReviewStore, picture: Callable[..., NewPicture], reviewed: bool
) -> None:
    ids = store.keep([picture(bytes([n]) * 10) for n in range(250)], max_bytes=None)
    if reviewed:
        store.judge(ids[0], correct=True, reviewer=None, order="random")  # type: ignore[arg-type]
    store.keep([picture(b"n" * 10)], max_bytes=30)
    assert store.summary().size == 30
    assert len(store.reviewed()) == reviewed
