from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.svm import OneClassSVM

from residua.comparison.adapters import anomaly_scores, as_input
from residua.comparison.classical import (
    ComponentsAndDistance,
    KernelOneClass,
    NeighbourDistance,
    PCAReconstruction,
    dimensions_for,
)
from residua.comparison.methods import METHODS, Circumstances, all_methods
from residua.images.preprocess import InputSpec
from residua.models import MODELS

SPEC = InputSpec(height=16, width=16, channels=1)


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("n", [12, 150])
def test_every_method_ranks_stripes_above_blobs(
    name: str, n: int, blobs: NDArray[np.uint8], stripes: NDArray[np.uint8]
) -> None:
    detector = METHODS[name].build(Circumstances(n, 256, SPEC, 0, None))
    detector.fit(as_input(detector, blobs[:n, ..., None]))
    sound, odd = (anomaly_scores(detector, p[..., None]) for p in (blobs[150:], stripes))
    assert np.median(odd) > np.median(sound)
    assert sound.shape == (10,)
    assert np.isfinite(sound).all()


@pytest.mark.parametrize("name", METHODS)
def test_one_seed_gives_one_result(name: str, blobs: NDArray[np.uint8]) -> None:
    def scores() -> NDArray[np.float64]:
        detector = METHODS[name].build(Circumstances(100, 256, SPEC, 3, None))
        detector.fit(as_input(detector, blobs[:100, ..., None]))
        return anomaly_scores(detector, blobs[100:, ..., None])

    np.testing.assert_array_equal(scores(), scores())


def test_every_network_is_a_method() -> None:
    assert set(all_methods()) == {*METHODS, *MODELS}
    assert all(method.what and method.source for method in all_methods().values())


def test_the_list_of_methods_imports_no_torch() -> None:
    import subprocess
    import sys

    program = "import sys, residua.comparison.methods; print('torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=Path("/")
    )
    assert done.stdout.strip() == "False"


def test_the_kernel_matrix_gives_scikit_learns_own_one_class_svm() -> None:
    rng = np.random.default_rng(0)
    rows, others = rng.normal(size=(80, 5)), rng.normal(size=(30, 5))
    ours = KernelOneClass(nu=0.2).fit(rows).score_samples(others)
    theirs = OneClassSVM(nu=0.2, gamma="scale").fit(rows).score_samples(others)
    np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-3)


def test_the_one_class_svm_is_approximated_beyond_its_limit() -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(400, 5))
    far = rows[:50] + 4
    svm = KernelOneClass(most_exact=399, random_state=0).fit(rows)
    assert not svm.is_exact_
    assert KernelOneClass(most_exact=400).fit(rows).is_exact_
    assert np.mean(svm.score_samples(far)) < np.mean(svm.score_samples(rows))


def test_pca_reconstruction_is_exact_in_its_own_plane() -> None:
    rng = np.random.default_rng(0)
    plane = rng.normal(size=(2, 6))
    rows = rng.normal(size=(50, 2)) @ plane
    fitted = PCAReconstruction(2).fit(rows)
    np.testing.assert_allclose(fitted.score_samples(rows), 0, atol=1e-12)
    away = np.linalg.svd(plane)[2][-1]
    np.testing.assert_allclose(fitted.score_samples(rows[:3] + 3 * away), -9 / 6)


def test_what_lies_off_the_plane_shows_in_the_distance_alone() -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(200, 2)) @ rng.normal(size=(2, 6)) + 0.01 * rng.normal(size=(200, 6))
    fitted = ComponentsAndDistance(2).fit(rows)
    np.testing.assert_allclose(fitted.transform(rows).std(0), 1, rtol=0.01)
    away = np.linalg.svd(fitted.pca_.components_)[2][-1]
    moved = fitted.transform(rows[:3] + away) - fitted.transform(rows[:3])
    np.testing.assert_allclose(moved[:, :2], 0, atol=1e-9)
    assert (moved[:, 2] > 50).all()


def test_neighbour_distance_is_the_mean_of_the_nearest() -> None:
    fitted = NeighbourDistance(2).fit(np.array([[0.0], [1.0], [10.0]]))
    np.testing.assert_allclose(fitted.score_samples(np.array([[0.0], [4.0]])), [-0.5, -3.5])


@pytest.mark.parametrize(("n", "features", "kept"), [(3, 64, 1), (60, 64, 15), (900, 8, 8)])
def test_fewer_components_are_kept_of_few_pictures(n: int, features: int, kept: int) -> None:
    assert dimensions_for(n, features) == kept
