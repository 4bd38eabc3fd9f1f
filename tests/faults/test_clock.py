"""A clock that jumps by hours or days: nothing is lost, doubled, hurried or held up."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.faults.conftest import Residua
from tests.service.store.conftest import make_picture
from tests.watching.conftest import encoded

from residua.service.aging import Aging
from residua.service.keeping import Keeper
from residua.service.settings import Retention
from residua.service.store.store import ReviewStore

DAY = 86_400.0
HERE = datetime(2026, 11, 22, tzinfo=UTC)


class Clocks:
    """A clock on the wall, and the time that passes."""

    def __init__(self) -> None:
        self.wall, self.steady = HERE, 0.0

    def pass_(self, seconds: float, *, shown: float | None = None) -> None:
        self.steady += seconds
        self.wall += timedelta(seconds=seconds if shown is None else shown)

    def aging(self) -> Aging:
        return Aging(lambda: self.wall, lambda: self.steady)


def test_time_that_passes_is_believed() -> None:
    clocks = Clocks()
    aging = clocks.aging()
    for _ in range(100):
        clocks.pass_(60)
        assert aging.now() == clocks.wall
    clocks.pass_(40 * DAY)  # nobody asked for a while
    assert aging.now() == clocks.wall


def test_a_clock_that_jumps_ahead_is_believed_a_day_later() -> None:
    clocks = Clocks()
    aging = clocks.aging()
    clocks.pass_(60, shown=400 * DAY)
    assert aging.now() is None
    clocks.pass_(0.99 * DAY)
    assert aging.now() is None
    clocks.pass_(0.02 * DAY)
    assert aging.now() == clocks.wall


def test_a_clock_that_is_set_right_is_believed_at_once() -> None:
    clocks = Clocks()
    aging = clocks.aging()
    clocks.pass_(60, shown=400 * DAY)
    assert aging.now() is None
    clocks.pass_(60, shown=-400 * DAY)
    assert aging.now() == clocks.wall


def test_a_clock_that_is_set_back_is_believed() -> None:
    clocks = Clocks()
    aging = clocks.aging()
    clocks.pass_(60, shown=-5 * DAY)
    assert aging.now() == clocks.wall


def test_a_leap_of_seconds_is_no_jump() -> None:
    clocks = Clocks()
    aging = clocks.aging()
    clocks.pass_(60, shown=600)
    assert aging.now() == clocks.wall


def test_pictures_outlive_a_clock_that_jumps_ahead(tmp_path: Path) -> None:
    clocks = Clocks()
    clocks.wall = datetime.now(UTC)
    keeper = Keeper(
        lambda: ReviewStore.open(folder=tmp_path), Retention(keep="all", days=30), "station"
    )
    keeper._aging = clocks.aging()
    (kept,) = keeper.store.keep([make_picture()], max_bytes=None)
    clocks.pass_(60, shown=40 * DAY)
    assert not keeper._clean()
    assert keeper.store.get(kept).id == kept
    clocks.pass_(1.01 * DAY)  # it was no mistake
    assert keeper._clean()
    keeper.close()


@pytest.fixture
def off_by(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Set the system's clock to another time of the day, as far as Python can tell."""
    right = time.time

    def off(seconds: float) -> None:
        monkeypatch.setattr(time, "time", lambda: right() + seconds)

    return off


@pytest.mark.parametrize("ahead", [30 * DAY, -30 * DAY, 3 * 3600.0, -3 * 3600.0])
def test_a_watcher_with_a_wrong_clock_judges_every_picture_once(
    residua: Residua,
    bundle: Path,
    blobs: NDArray[np.uint8],
    tmp_path: Path,
    off_by: Callable[[float], None],
    ahead: float,
) -> None:
    incoming = tmp_path / "in"
    incoming.mkdir()
    told = ("--out", tmp_path / "rows.csv", "--ledger", tmp_path / "l.db", "--once", "--settle", 0)
    for number in range(4):
        (incoming / f"{number}.png").write_bytes(encoded(blobs[number]))
    assert residua("watch", bundle, incoming, *told)[0] == 0
    off_by(ahead)
    # A file that is being written is not taken for an old one for good.
    (incoming / "late.png").write_bytes(encoded(blobs[4])[:60])
    residua("watch", bundle, incoming, *told, "--patience", 0.2)
    (incoming / "late.png").write_bytes(encoded(blobs[4]))
    off_by(-ahead)
    assert residua("watch", bundle, incoming, *told)[0] == 0
    rows = (tmp_path / "rows.csv").read_text().splitlines()[1:]
    judged = [row.partition(",")[0] for row in rows if row.split(",")[1]]
    assert sorted(judged) == ["0.png", "1.png", "2.png", "3.png", "late.png"]
