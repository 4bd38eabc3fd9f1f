"""What the checks of fitting on a cluster make of fits; the fits themselves take minutes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from reliability import cluster_fitting
from reliability.cluster_fitting import EPOCHS, KILLS, Fit

EVERY = list(range(1, EPOCHS + 1))


class Fits:
    """A trial whose fits are known beforehand: by workers, one after the other."""

    def __init__(self, **aurocs: list[float]) -> None:
        self.coming = {name: iter(values) for name, values in aurocs.items()}
        self.epochs = EVERY

    def fit(self, workers: int, seed: int) -> Fit:
        return Fit(next(self.coming[f"of_{workers}"]), 0.001, 10.0 / workers, self.epochs)


def test_two_workers_may_be_apart_by_the_spread_of_one() -> None:
    alike = Fits(of_1=[0.90, 0.93, 0.96], of_2=[0.90, 0.92, 0.91])
    finding = cluster_fitting._compare_workers(alike)  # type: ignore[arg-type]
    assert finding.kept
    assert "two take 1/2.00 of the time of one" in finding.figures
    worse = Fits(of_1=[0.95, 0.96, 0.95], of_2=[0.92, 0.92, 0.91])
    assert not cluster_fitting._compare_workers(worse).kept  # type: ignore[arg-type]


def test_a_killed_fit_must_be_whole_and_as_good(monkeypatch: pytest.MonkeyPatch) -> None:
    undisturbed = [0.95, 0.96, 0.95]
    kills = iter(range(100))

    @contextmanager
    def killing(trial: Any, epoch: int) -> Iterator[list[int]]:
        yield [epoch] if next(kills) < 2 * KILLS else []

    monkeypatch.setattr(cluster_fitting, "_killing", killing)
    good, bad = (Fits(of_2=[*undisturbed, *last]) for last in ([0.95] * 3, [0.95, 0.95, 0.8]))
    found = cluster_fitting._kill_workers(good)  # type: ignore[arg-type]
    assert found.kept
    assert "each epoch once: yes" in found.figures
    assert not cluster_fitting._kill_workers(bad).kept  # type: ignore[arg-type]
    # Nobody was killed: that shows nothing.
    again = Fits(of_2=[*undisturbed, 0.95, 0.95, 0.95])
    assert not cluster_fitting._kill_workers(again).kept  # type: ignore[arg-type]


def test_a_killed_fit_that_lost_an_epoch_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def killing(trial: Any, epoch: int) -> Iterator[list[int]]:
        yield [epoch]

    monkeypatch.setattr(cluster_fitting, "_killing", killing)
    fits = Fits(of_2=[0.95] * 6)
    fits.epochs = EVERY[1:]
    assert not cluster_fitting._kill_workers(fits).kept  # type: ignore[arg-type]
