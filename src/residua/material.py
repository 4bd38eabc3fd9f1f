"""What a network rebuilds: pixels, or the features that a backbone makes of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from copy import copy
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from residua.errors import BrokenContract, ConfigurationError
from residua.feature_graph import FeatureGraph, feature_layout, fit_view
from residua.features.assembly import Assembly
from residua.features.backbone import DEFAULT_SIDE, Backbone
from residua.features.network import FeatureAutoencoder
from residua.features.record import BackboneRecord
from residua.graph import ScoringGraph, score_of
from residua.images.preprocess import InputSpec
from residua.models import MODELS, Autoencoder, build_model
from residua.models.check import check_contract
from residua.scoring.feature_score import feature_score
from residua.scoring.score import PictureScore, picture_score
from residua.scoring.verdicts import batch_size_for
from residua.settings import FEATURES, FitSettings
from residua.training.feeding import reserve
from residua.training.fit import choose_epochs
from residua.vetting.graph import graph_size

_BATCH = 16
# Pictures from which the usual features are taken, at most.
_MOST_FOR_ASSEMBLY = 512
# Pictures from which the view of the code is fitted, at most.
_MOST_FOR_VIEW = 2_000
# Steps of training; it starts where a linear network ends.
_STEPS = 300


class Material(ABC):
    """The part of a fit that depends on what is rebuilt."""

    def __init__(self, settings: FitSettings) -> None:
        self.settings = settings
        self.image_size = settings.image_size
        self.backbone: BackboneRecord | None = None

    def meet(self, spec: InputSpec) -> None:
        """Take in how pictures come; refuses what cannot be rebuilt."""
        self.spec = spec

    def under(self, score: str) -> Self:
        """Return the same material for another score."""
        other = copy(self)
        other.settings = self.settings.model_copy(update={"score": score})
        return other

    @abstractmethod
    def build(self) -> Autoencoder:
        """Build the network with fresh weights."""

    @abstractmethod
    def check(self) -> None:
        """Refuse a network that does not do what is asked of one."""

    def epochs(self, n_train: int, batch_size: int) -> int:
        """Return how long to train where nobody says."""
        return choose_epochs(n_train, batch_size)

    @abstractmethod
    def score(self, model: Autoencoder) -> PictureScore:
        """Build the score, yet to be fitted."""

    @abstractmethod
    def inputs(
        self, pixels: NDArray[np.uint8], training: NDArray[np.int64], folder: Path
    ) -> NDArray[Any]:
        """Turn pictures (N, H, W, C) into what the network takes (N, …).

        ``training`` are the rows from which anything may be learned; large results are mapped
        from a file in ``folder``.
        """

    @abstractmethod
    def graph(
        self,
        model: Autoencoder,
        score: PictureScore,
        pixels: NDArray[np.uint8],
        inputs: NDArray[Any],
        training: NDArray[np.int64],
    ) -> ScoringGraph:
        """Join the trained network with its fitted score."""


class Pixels(Material):
    """Pictures as they are."""

    def build(self) -> Autoencoder:
        """Build the network that the settings name."""
        settings = self.settings
        return build_model(
            settings.model,
            self.spec.shape,
            latent_dim=settings.latent_dim,
            loss=settings.loss,
            options=settings.model_options,
        )

    def check(self) -> None:
        """Try a network that came with another package; those here are held to it by tests."""
        if self.settings.model not in MODELS:
            with torch.random.fork_rng():
                model = self.build()
                check_contract(model, self.settings.model)
                self._check_savable(model)

    def _check_savable(self, model: Autoencoder) -> None:
        """Refuse, before it is trained, a network whose saved graph would not be opened again."""
        settings, shape = self.settings, self.spec.shape
        score = picture_score(settings.error_map, settings.reduction, "error")
        try:
            graph_size(ScoringGraph(model, score).onnx(), shape, batch_size_for(self.spec))
        except Exception as error:  # the exporter raises many kinds
            said = str(error).strip().partition("\n")[0]
            raise BrokenContract(
                f"the model {settings.model!r} cannot be saved as ONNX so that it may be scored: "
                f"{said}"
            ) from error

    def score(self, model: Autoencoder) -> PictureScore:
        """Build the score that the settings name."""
        return score_of(self.settings, model)

    def inputs(
        self, pixels: NDArray[np.uint8], training: NDArray[np.int64], folder: Path
    ) -> NDArray[Any]:
        """Return the pictures."""
        return pixels

    def graph(
        self,
        model: Autoencoder,
        score: PictureScore,
        pixels: NDArray[np.uint8],
        inputs: NDArray[Any],
        training: NDArray[np.int64],
    ) -> ScoringGraph:
        """Join network and score."""
        return ScoringGraph(model, score).eval()


class Features(Material):
    """Features of a frozen backbone, computed once for all epochs.

    Raises
    ------
    ConfigurationError
        No backbone was named, or it cannot be used.
    """

    def __init__(self, settings: FitSettings) -> None:
        super().__init__(settings)
        self.options = dict(settings.model_options or {})
        path = self.options.pop("backbone", None)
        if not path:
            raise ConfigurationError(
                "the model 'features' rebuilds the features of a pretrained network; give one as "
                "an ONNX file, --backbone FILE or model_options={'backbone': FILE}"
            )
        if settings.loss not in (None, "mse"):
            raise ConfigurationError(
                f"loss is {settings.loss!r}; the model 'features' has only 'mse'"
            )
        if settings.error_map != "absolute":
            raise ConfigurationError(
                f"error_map is {settings.error_map!r}; where features are rebuilt there is one "
                f"error, the squared one relative to their energy: leave it out"
            )
        self.network = Backbone.open(path).joinable()
        if self.image_size is None:
            self.image_size = DEFAULT_SIDE
        self.directions: tuple[Tensor, Tensor] | None = None

    def meet(self, spec: InputSpec) -> None:
        """See what the backbone makes of pictures of this size."""
        super().meet(spec)
        if spec.channels not in (1, 3):
            raise ConfigurationError(
                f"the pictures have {spec.channels} channels; a backbone sees 1 or 3"
            )
        self.backbone = self.network.record(spec.height, spec.width, batch_size_for(spec))
        self.layout = feature_layout(self.backbone)
        self.assembly = Assembly(self.backbone.channels, self.backbone.width, self.backbone.grid)

    def build(self) -> Autoencoder:
        """Build the autoencoder of the features, as good as a linear one to begin with."""
        try:
            model = FeatureAutoencoder(self.layout, self.settings.latent_dim, **self.options)
        except TypeError as error:
            raise ConfigurationError(
                f"model 'features' does not take these options: {error}"
            ) from error
        if self.directions is not None:
            model.start_from(*self.directions)
        return model

    def check(self) -> None:
        """Nothing to do: its layout was made for it."""

    def epochs(self, n_train: int, batch_size: int) -> int:
        """Return the epochs that make about 300 steps, from 5 to 30: it starts well."""
        return int(np.clip(round(_STEPS * batch_size / max(n_train, 1)), 5, 30))

    def score(self, model: Autoencoder) -> PictureScore:
        """Build the score that the settings name."""
        return feature_score(self.layout, self.settings.reduction, self.settings.score)

    def inputs(
        self, pixels: NDArray[np.uint8], training: NDArray[np.int64], folder: Path
    ) -> NDArray[Any]:
        """Return the standardised features of all pictures, in half precision (N, …)."""
        sample = training[:: -(-len(training) // _MOST_FOR_ASSEMBLY)]
        self.assembly.fit(self._features(pixels, sample))
        rows = reserve(folder / "features.f16", (len(pixels), self.assembly.width), np.float16)
        start = 0
        for features in self._features(pixels, np.arange(len(pixels))):
            found = self.assembly(features).numpy()
            rows[start : start + len(found)] = found
            start += len(found)
        self.directions = self._main_directions(rows, sample)
        return rows

    def _main_directions(
        self, rows: NDArray[Any], sample: NDArray[np.int64]
    ) -> tuple[Tensor, Tensor]:
        """Return the main directions of positions (C, C) and of descriptors (D, D), as columns."""
        products = [
            torch.zeros(n, n, dtype=torch.float64)
            for n in (self.layout.channels, self.layout.descriptor)
        ]
        for start in range(0, len(sample), _BATCH):
            part = torch.from_numpy(rows[sample[start : start + _BATCH]]).float()
            maps, descriptors = self.layout.split(part)
            positions = maps.permute(0, 2, 3, 1).reshape(-1, self.layout.channels)
            for product, found in zip(products, (positions, descriptors), strict=True):
                product += found.T @ found
        return _directions(products[0]), _directions(products[1])

    def _features(self, pixels: NDArray[np.uint8], rows: NDArray[np.int64]) -> Any:
        assert self.backbone is not None
        for start in range(0, len(rows), _BATCH):
            images = pixels[rows[start : start + _BATCH]]
            found = self.network.run(images, self.backbone.outputs)
            yield [torch.from_numpy(part) for part in found]

    def graph(
        self,
        model: Autoencoder,
        score: PictureScore,
        pixels: NDArray[np.uint8],
        inputs: NDArray[Any],
        training: NDArray[np.int64],
    ) -> ScoringGraph:
        """Join backbone, network and score, with a view of what a code stands for."""
        assert self.backbone is not None
        seen = training[:: -(-len(training) // _MOST_FOR_VIEW)]
        view = fit_view(self.spec.shape, _codes(model, inputs, seen), pixels, seen)
        return FeatureGraph(self.network, self.backbone, self.assembly, model, score, view).eval()


def _directions(product: Tensor) -> Tensor:
    """Return the directions of a sum of products of rows, of most variance first.

    The rows are standardised over normal pictures: their mean is 0 already.
    """
    _, directions = torch.linalg.eigh(product)
    most_first: Tensor = directions.flip(1).float()
    return most_first


def material_of(settings: FitSettings) -> Material:
    """Return what the network of the settings rebuilds.

    Raises
    ------
    ConfigurationError
        It cannot be had.
    """
    return Features(settings) if settings.model == FEATURES else Pixels(settings)


def _codes(
    model: Autoencoder, inputs: NDArray[Any], rows: NDArray[np.int64]
) -> NDArray[np.float32]:
    found: list[Tensor] = []
    with torch.inference_mode():
        for start in range(0, len(rows), _BATCH):
            part = torch.from_numpy(inputs[rows[start : start + _BATCH]]).float()
            found.append(model.encode(part).float())
    return torch.cat(found).numpy()
