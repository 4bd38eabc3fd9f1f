from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.ensemble import IsolationForest
from sklearn.svm import OneClassSVM

from residua.comparison.classical import NeighbourDistance
from residua.comparison.measuring import Job, measure, peak_memory_mb
from residua.errors import TrainingError


@pytest.fixture
def job(tmp_path: Path, blobs: NDArray[np.uint8], stripes: NDArray[np.uint8]) -> Job:
    np.save(tmp_path / "train.npy", blobs[..., None])
    np.save(tmp_path / "test.npy", stripes[..., None])
    rows = np.arange(0, 160, 2)
    return Job(NeighbourDistance(), tmp_path / "train.npy", rows, tmp_path / "test.npy")


def with_detector(job: Job, detector: Any) -> Job:
    return Job(detector, job.train, job.rows, job.test)


class OfThisFile:
    """A detector that another process cannot import."""

    def fit(self, X: NDArray[Any], y: Any = None) -> OfThisFile:
        self.pid_ = os.getpid()
        self.n_ = len(X)
        return self

    def score_samples(self, X: NDArray[Any]) -> NDArray[Any]:
        return -np.full(len(X), float(self.pid_ + self.n_))


@pytest.fixture
def own_class(monkeypatch: pytest.MonkeyPatch) -> type[OfThisFile]:
    """A class as of a notebook: its module has the name that each process gives to its own."""
    monkeypatch.setattr(OfThisFile, "__module__", "__main__")
    monkeypatch.setattr(sys.modules["__main__"], "OfThisFile", OfThisFile, raising=False)
    return OfThisFile


def test_the_process_gives_what_a_fit_in_this_one_gives(
    job: Job, tmp_path: Path, blobs: NDArray[np.uint8], stripes: NDArray[np.uint8]
) -> None:
    outcome = measure(job, tmp_path)
    rows = blobs[::2].reshape(80, -1).astype(np.float32) / np.float32(255)
    others = stripes.reshape(20, -1).astype(np.float32) / np.float32(255)
    expected = -NeighbourDistance().fit(rows).score_samples(others)
    np.testing.assert_array_equal(outcome.scores, expected)
    assert outcome.fit_seconds >= 0 <= outcome.score_seconds
    assert outcome.memory_mb is not None


def test_more_pictures_take_more_memory(job: Job, tmp_path: Path) -> None:
    np.save(
        tmp_path / "many.npy",
        np.random.default_rng(0).integers(0, 255, (40_000, 16, 16, 1), np.uint8),
    )
    few = measure(with_detector(job, IsolationForest(n_estimators=2)), tmp_path)
    many = measure(
        Job(IsolationForest(n_estimators=2), tmp_path / "many.npy", np.arange(40_000), job.test),
        tmp_path,
    )
    assert few.memory_mb is not None
    assert many.memory_mb is not None
    assert many.memory_mb > few.memory_mb + 40


def test_the_memory_of_this_process_is_not_counted(job: Job, tmp_path: Path) -> None:
    ballast = np.ones(60_000_000, np.uint8)
    outcome = measure(job, tmp_path)
    assert outcome.memory_mb is not None
    assert outcome.memory_mb < 40
    assert peak_memory_mb() > ballast.nbytes / 1e6


def test_a_detector_that_cannot_be_sent_is_fitted_here_without_its_memory(
    job: Job, tmp_path: Path, own_class: type[OfThisFile]
) -> None:
    without_bytes = own_class()
    without_bytes.made_by = lambda: None
    for detector in (own_class(), without_bytes):
        outcome = measure(with_detector(job, detector), tmp_path)
        assert outcome.memory_mb is None
        assert set(outcome.scores) == {float(os.getpid() + 80)}


def test_a_failed_fit_says_why(job: Job, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="'nu' parameter"):
        measure(with_detector(job, OneClassSVM(nu=7)), tmp_path)


def test_scores_that_are_not_finite_are_refused(
    job: Job, tmp_path: Path, own_class: type[OfThisFile], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(OfThisFile, "score_samples", lambda _, X: np.full(len(X), np.nan))
    with pytest.raises(TrainingError, match="20 of its scores are not finite"):
        measure(with_detector(job, own_class()), tmp_path)


def test_an_earlier_outcome_is_not_taken_for_this_one(job: Job, tmp_path: Path) -> None:
    measure(job, tmp_path)
    (tmp_path / "outcome.json").touch()
    with pytest.raises(TrainingError, match="'nu' parameter"):
        measure(with_detector(job, OneClassSVM(nu=7)), tmp_path)
