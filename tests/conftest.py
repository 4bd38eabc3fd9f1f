"""Pictures and models that many tests share."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from residua import AutoencoderDetector
from residua.errors import ResiduaWarning


def make_blobs(n: int, side: int = 16, seed: int = 0) -> NDArray[np.uint8]:
    """Soft light spots on black, each at a place of its own: easy to learn, never equal."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:side, :side]
    y, x = rng.uniform(side * 0.3, side * 0.7, (2, n, 1, 1))
    spots = np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / (2 * (side / 6) ** 2))
    return np.rint(255 * spots).astype(np.uint8)


def make_stripes(n: int, side: int = 16, seed: int = 0) -> NDArray[np.uint8]:
    """Light and dark stripes: nothing that a model of blobs can rebuild."""
    phase = np.random.default_rng(seed).integers(0, 4, (n, 1, 1))
    rows = np.broadcast_to(np.arange(side)[None, :, None], (n, side, side))
    return np.where((rows + phase) // 2 % 2, 230, 20).astype(np.uint8)


@pytest.fixture(scope="session")
def blobs() -> NDArray[np.uint8]:
    return make_blobs(160)


@pytest.fixture(scope="session")
def stripes() -> NDArray[np.uint8]:
    return make_stripes(20)


@pytest.fixture(scope="session")
def detector(blobs: NDArray[np.uint8]) -> AutoencoderDetector:
    # Few pictures and epochs: some warnings are due, and have tests of their own.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResiduaWarning)
        return AutoencoderDetector(epochs=12, precision="float32").fit(blobs)


@pytest.fixture(scope="session")
def bundle(detector: AutoencoderDetector, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return detector.save(tmp_path_factory.mktemp("bundle") / "blobs.residua")
