"""The methods that one compares with: scikit-learn estimators of flattened pixels in [0, 1]."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, OutlierMixin, TransformerMixin
from sklearn.covariance import EllipticEnvelope
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.kernel_approximation import Nystroem
from sklearn.linear_model import SGDOneClassSVM
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import KernelDensity, LocalOutlierFactor, NearestNeighbors
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.svm import OneClassSVM

DIMENSIONS = 32
"""Principal components that are kept where a method works on them."""
MOST_EXACT = 3_000
"""Pictures up to which the one-class SVM solves the whole kernel matrix (72 MB)."""

_Rows = NDArray[np.floating[Any]]


class PCAReconstruction(OutlierMixin, BaseEstimator):  # type: ignore[misc]  # untyped bases
    """Scores by the mean squared error of the reconstruction from principal components.

    Parameters
    ----------
    n_components : int, default=32
    random_state : int or None, default=None
        Seed of the randomised solver, which is used where there are many pixels.
    """

    def __init__(self, n_components: int = DIMENSIONS, random_state: int | None = None) -> None:
        self.n_components = n_components
        self.random_state = random_state

    def fit(self, X: _Rows, y: Any = None) -> Self:
        """Fit on trusted rows (N, F)."""
        self.pca_ = PCA(self.n_components, random_state=self.random_state).fit(X)
        return self

    def score_samples(self, X: _Rows) -> NDArray[np.float64]:
        """Return minus the mean squared error of each row (N,): the lower, the more abnormal."""
        rebuilt = self.pca_.inverse_transform(self.pca_.transform(X))
        errors: NDArray[np.float64] = np.square(X - rebuilt).mean(axis=1, dtype=np.float64)
        return -errors


class ComponentsAndDistance(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Reduces rows to principal components and the distance from their plane.

    Each column has variance 1 over the training rows. Without the distance, what lies off the
    plane, as most anomalies do, would fall among the normal rows.

    Parameters
    ----------
    n_components : int, default=32
    random_state : int or None, default=None

    References
    ----------
    Jackson and Mudholkar, "Control procedures for residuals associated with principal component
    analysis", Technometrics 21(3), 1979: the statistics T² and Q together.
    """

    def __init__(self, n_components: int = DIMENSIONS, random_state: int | None = None) -> None:
        self.n_components = n_components
        self.random_state = random_state

    def fit(self, X: _Rows, y: Any = None) -> Self:
        """Fit on trusted rows (N, F)."""
        self.pca_ = PCA(self.n_components, whiten=True, random_state=self.random_state).fit(X)
        distances = self._distances(X)
        self.mean_, self.scale_ = float(distances.mean()), float(distances.std()) or 1.0
        return self

    def transform(self, X: _Rows) -> NDArray[np.float64]:
        """Return the components and the distance of each row (N, n_components + 1)."""
        components = self.pca_.transform(X).astype(np.float64)
        return np.column_stack([components, (self._distances(X) - self.mean_) / self.scale_])

    def _distances(self, X: _Rows) -> NDArray[np.float64]:
        off = X - self.pca_.inverse_transform(self.pca_.transform(X))
        return np.asarray(np.linalg.norm(off, axis=1), np.float64)


class NeighbourDistance(OutlierMixin, BaseEstimator):  # type: ignore[misc]  # untyped bases
    """Scores by the mean Euclidean distance to the nearest trusted rows.

    Parameters
    ----------
    n_neighbors : int, default=5
    """

    def __init__(self, n_neighbors: int = 5) -> None:
        self.n_neighbors = n_neighbors

    def fit(self, X: _Rows, y: Any = None) -> Self:
        """Keep trusted rows (N, F)."""
        self.neighbours_ = NearestNeighbors(n_neighbors=min(self.n_neighbors, len(X))).fit(X)
        return self

    def score_samples(self, X: _Rows) -> NDArray[np.float64]:
        """Return minus the mean distance of each row (N,): the lower, the more abnormal."""
        distances, _ = self.neighbours_.kneighbors(X)
        return -np.asarray(distances.mean(axis=1), np.float64)


class KernelOneClass(OutlierMixin, BaseEstimator):  # type: ignore[misc]  # untyped bases
    """One-class SVM with a Gaussian kernel: exact for few rows, approximated for many.

    Parameters
    ----------
    nu : float, default=0.1
        Upper bound of the share of trusted rows outside, in (0, 1].
    most_exact : int, default=3000
        Rows up to which the exact problem is solved. Beyond: Nyström's map and stochastic
        gradient descent, linear in the number of rows.
    n_components : int, default=300
        Rows on which Nyström's map rests.
    random_state : int or None, default=None

    References
    ----------
    Schölkopf et al., "Estimating the support of a high-dimensional distribution", Neural
    Computation 13(7), 2001. Williams and Seeger, "Using the Nyström method to speed up kernel
    machines", NIPS 2000.
    """

    def __init__(
        self,
        nu: float = 0.1,
        *,
        most_exact: int = MOST_EXACT,
        n_components: int = 300,
        random_state: int | None = None,
    ) -> None:
        self.nu = nu
        self.most_exact = most_exact
        self.n_components = n_components
        self.random_state = random_state

    def fit(self, X: _Rows, y: Any = None) -> Self:
        """Fit on trusted rows (N, F)."""
        # As scikit-learn's gamma="scale".
        self.gamma_ = 1.0 / (X.shape[1] * max(float(X.var(dtype=np.float64)), 1e-12))
        self.is_exact_ = len(X) <= self.most_exact
        if self.is_exact_:
            # Precomputed: a matrix product is many times faster than the solver's own kernel.
            svm = OneClassSVM(kernel="precomputed", nu=self.nu)
            svm.fit(rbf_kernel(X, gamma=self.gamma_))
            self.support_rows_ = np.array(X[svm.support_])
            self.weights_ = svm.dual_coef_.ravel()
            return self
        self.approximation_ = make_pipeline(
            Nystroem(
                gamma=self.gamma_,
                n_components=min(self.n_components, len(X)),
                random_state=self.random_state,
            ),
            SGDOneClassSVM(nu=self.nu, random_state=self.random_state, average=True),
        ).fit(X)
        return self

    def score_samples(self, X: _Rows) -> NDArray[np.float64]:
        """Return the weighted similarity to the support rows (N,): lower is more abnormal."""
        if self.is_exact_:
            kernel = rbf_kernel(X, self.support_rows_, gamma=self.gamma_)
            return np.asarray(kernel @ self.weights_, np.float64)
        return np.asarray(self.approximation_.score_samples(X), np.float64)


def dimensions_for(n: int, n_features: int) -> int:
    """Return how many principal components are kept: 32, fewer of few pictures or pixels."""
    return max(1, min(DIMENSIONS, n_features, n // 4))


def pca_reconstruction(n: int, n_features: int, seed: int) -> Any:
    """Build the reconstruction from principal components."""
    return PCAReconstruction(dimensions_for(n, n_features), random_state=seed)


def isolation_forest(n: int, n_features: int, seed: int) -> Any:
    """Build a forest of 200 trees of 256 pictures each."""
    return IsolationForest(n_estimators=200, max_samples=min(256, n), random_state=seed)


def one_class_svm(n: int, n_features: int, seed: int) -> Any:
    """Build the one-class SVM; the exact one takes no seed."""
    return KernelOneClass(random_state=None if n <= MOST_EXACT else seed)


def local_outlier_factor(n: int, n_features: int, seed: int) -> Any:
    """Build the local outlier factor for pictures that were not in training."""
    return LocalOutlierFactor(n_neighbors=min(20, max(1, n - 1)), novelty=True)


def nearest_neighbours(n: int, n_features: int, seed: int) -> Any:
    """Build the mean distance to the five nearest."""
    return NeighbourDistance(5)


def gaussian_mixture(n: int, n_features: int, seed: int) -> Any:
    """Build a mixture of up to ten Gaussians, each with twenty pictures a dimension to rest on."""
    dimensions = dimensions_for(n, n_features)
    components = int(np.clip(n // (20 * dimensions), 1, 10))
    # 0.1 % of the variance, which whitening makes 1.
    mixture = GaussianMixture(components, reg_covar=1e-3, random_state=seed)
    return _on_components(dimensions, seed, mixture)


def kernel_density(n: int, n_features: int, seed: int) -> Any:
    """Build the kernel density with Scott's bandwidth, which presumes unit variance."""
    density = KernelDensity(bandwidth="scott")
    return _on_components(dimensions_for(n, n_features), seed, density)


def elliptic_envelope(n: int, n_features: int, seed: int) -> Any:
    """Build the robust Gaussian; nine tenths of the training pictures support it, being trusted."""
    envelope = EllipticEnvelope(support_fraction=0.9, random_state=seed)
    return _on_components(dimensions_for(n, n_features), seed, envelope)


def _on_components(dimensions: int, seed: int, last: Any) -> Pipeline:
    return make_pipeline(ComponentsAndDistance(dimensions, random_state=seed), last)
