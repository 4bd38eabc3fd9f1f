"""The methods that can be compared by name: one record each."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from residua.catalogue import CATALOGUE
from residua.comparison import classical
from residua.features.backbone import DEFAULT_SIDE
from residua.images.preprocess import InputSpec
from residua.settings import FEATURES

if TYPE_CHECKING:
    from rich.table import Table

QUADRATIC = 10_000
"""Training pictures at most of methods that compare each picture with each of them."""

_REDUCED = "on 32 whitened principal components and the distance from their plane"


class Circumstances(NamedTuple):
    """What a method is built for."""

    n: int
    """Training pictures."""
    n_features: int
    """Numbers in a flattened picture."""
    spec: InputSpec
    """Size and channels of the pictures that networks take."""
    seed: int
    epochs: int | None
    """Passes of a network over its pictures. None: the network's own choice."""


@dataclass(frozen=True)
class Method:
    """A method of anomaly detection."""

    name: str
    title: str
    what: str
    """What it is, in a sentence."""
    source: str
    """The publication."""
    build: Callable[[Circumstances], Any]
    """Returns the estimator, not fitted."""
    most: int | None = None
    """Training pictures at most, drawn at random; None: all."""


def _classical(
    name: str,
    title: str,
    what: str,
    source: str,
    build: Callable[[int, int, int], Any],
    most: int | None = None,
) -> Method:
    return Method(name, title, what, source, lambda c: build(c.n, c.n_features, c.seed), most)


METHODS: Mapping[str, Method] = MappingProxyType(
    {
        method.name: method
        for method in (
            _classical(
                "pca",
                "PCA reconstruction",
                "mean squared error of the picture rebuilt from 32 principal components",
                "Jackson and Mudholkar, Technometrics 21(3), 1979",
                classical.pca_reconstruction,
            ),
            _classical(
                "iforest",
                "Isolation Forest",
                "how few random cuts of pixel values separate the picture; 200 trees",
                "Liu, Ting and Zhou, ICDM 2008",
                classical.isolation_forest,
            ),
            _classical(
                "ocsvm",
                "one-class SVM",
                "distance to a boundary around the training pictures, Gaussian kernel, ν = 0.1, "
                "scikit-learn's γ; "
                f"exact up to {classical.MOST_EXACT:,} pictures, Nyström's map of 300 beyond",
                "Schölkopf et al., Neural Computation 13(7), 2001",
                classical.one_class_svm,
            ),
            _classical(
                "lof",
                "Local Outlier Factor",
                "density at the picture against that at its 20 nearest neighbours",
                "Breunig et al., SIGMOD 2000",
                classical.local_outlier_factor,
                QUADRATIC,
            ),
            _classical(
                "knn",
                "k nearest neighbours",
                "mean Euclidean distance to the 5 nearest training pictures",
                "Ramaswamy, Rastogi and Shim, SIGMOD 2000; Angiulli and Pizzuti, PKDD 2002",
                classical.nearest_neighbours,
                QUADRATIC,
            ),
            _classical(
                "gmm",
                "Gaussian mixture",
                "likelihood under up to 10 Gaussians, " + _REDUCED,
                "Bishop, IEE Proceedings 141(4), 1994",
                classical.gaussian_mixture,
            ),
            _classical(
                "kde",
                "kernel density",
                "Gaussian kernel density, Scott's bandwidth, " + _REDUCED,
                "Parzen, Annals of Mathematical Statistics 33(3), 1962; Scott, 1992",
                classical.kernel_density,
                QUADRATIC,
            ),
            _classical(
                "envelope",
                "elliptic envelope",
                "robust Mahalanobis distance, " + _REDUCED,
                "Rousseeuw and Van Driessen, Technometrics 41(3), 1999",
                classical.elliptic_envelope,
            ),
        )
    }
)

# How the source reports train and score their networks; any other has the detector's defaults.
_RECIPES: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "seed-mnist": MappingProxyType(
            {
                "error_map": "bce",
                "scoring": "error",
                "learning_rate": 1e-3,
                "schedule": "constant",
                "batch_size": 128,
            }
        ),
        "seed-caltech": MappingProxyType(
            {
                "error_map": "squared",
                "scoring": "error",
                "learning_rate": 1e-3,
                "schedule": "constant",
                "batch_size": 64,
            }
        ),
    }
)


def network_methods() -> dict[str, Method]:
    """Return Residua's own networks as methods, one for each name of `residua.models.MODELS`.

    Apart from `METHODS`, since this imports torch.
    """
    from residua.models import MODELS

    return {
        name: Method(
            name=name,
            title=f"autoencoder {name}",
            what=_first_line(network),
            source="Residua",
            build=_network(name),
        )
        for name, network in MODELS.items()
    }


def features_method(backbone: str | os.PathLike[str]) -> Method:
    """Return Residua's network that rebuilds the features of a backbone, an ONNX file."""

    def build(circumstances: Circumstances) -> Any:
        from residua.detector import AutoencoderDetector

        return AutoencoderDetector(
            FEATURES,
            model_options={"backbone": str(backbone)},
            epochs=circumstances.epochs,
            on_failed_fit="warn",
            random_state=circumstances.seed,
        )

    return Method(
        name=FEATURES,
        title=f"autoencoder {FEATURES}",
        what=f"{CATALOGUE[FEATURES].what}, pictures at {DEFAULT_SIDE} × {DEFAULT_SIDE}",
        source=CATALOGUE[FEATURES].source,
        build=build,
    )


def all_methods() -> dict[str, Method]:
    """Return every method that has a name: `METHODS` and the networks."""
    return {**METHODS, **network_methods()}


def methods_table() -> Table:
    """Return the names and what they mean, for a terminal."""
    from rich.markup import escape
    from rich.table import Table

    table = Table(title="Methods to compare", title_justify="left")
    for column in ("name", "method", "what it measures", "source"):
        table.add_column(column, overflow="fold")
    for method in all_methods().values():
        table.add_row(*map(escape, (method.name, method.title, method.what, method.source)))
    table.add_row(
        "pyod:NAME", "any detector of PyOD", "as its documentation says", "pip install pyod"
    )
    return table


def _network(name: str) -> Callable[[Circumstances], Any]:
    def build(circumstances: Circumstances) -> Any:
        import torch

        from residua.detector import AutoencoderDetector
        from residua.models import build_model

        spec = circumstances.spec
        with torch.device("meta"):  # the shape is refused here, if at all; no weights are drawn
            build_model(name, spec.shape)
        return AutoencoderDetector(
            name,
            **_RECIPES.get(name, {}),
            epochs=circumstances.epochs,
            image_size=(spec.height, spec.width),
            channels=spec.channels,
            on_failed_fit="warn",
            random_state=circumstances.seed,
        )

    return build


def _first_line(network: type) -> str:
    text = (network.__doc__ or network.__name__).strip().partition("\n")[0]
    return text.rstrip(".").replace("`", "")
