"""What the search may change, and one choice of it."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from math import log2
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import torch
from pydantic import BaseModel, ConfigDict, Field

from residua.catalogue import SEARCHED
from residua.errors import ConfigurationError, UnknownName
from residua.models import MODELS, Autoencoder, build_model
from residua.scoring.errors import ImageScore
from residua.scoring.names import SURPRISE
from residua.scoring.score import picture_score
from residua.settings import FitSettings

if TYPE_CHECKING:
    from optuna import Trial

_OPTIONS = ("first_channels", "depth")
# A network in the search has at most this many weights: a shallow one of a large picture and a
# large code would take the memory of all the others together.
_MOST_WEIGHTS = 30_000_000

Pair = tuple[str, str]
"""An error map and a reduction."""


class SearchSpace(BaseModel):
    """What the search may change."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    models: tuple[str, ...] | None = None
    """Networks, names from `residua.models.MODELS`. None: those of
    `residua.catalogue.SEARCHED` that take the pictures' shape."""
    code_factors: tuple[float, float] = (0.25, 4.0)
    """Least and greatest code, as multiples of the network's own choice, in powers of two."""
    first_channels: tuple[int, int] = (8, 64)
    """Least and greatest width of the first level, powers of two."""
    depth_reach: Annotated[int, Field(ge=0)] = 1
    """Levels of halving, at most this many more or fewer than the network's own choice."""
    losses: Annotated[tuple[str, ...], Field(min_length=1)] = ("mse", "bce")
    """Training losses."""
    learning_rates: tuple[float, float] = (5e-4, 2e-2)
    """Least and greatest step size of Adam."""
    error_maps: Annotated[tuple[str, ...], Field(min_length=1)] = (
        "squared",
        "absolute",
        "bce_excess",
        "ssim",
    )
    """Error maps, tried on each trained network without training again. "bce" is left out: much
    of it is the grey of the picture, and not what was not rebuilt."""
    reductions: Annotated[tuple[str, ...], Field(min_length=1)] = (
        "mean",
        "topk(0.05)",
        "topk(0.01)",
        "max(2)",
    )
    """Reductions of the map to one number, tried likewise."""
    scores: Annotated[tuple[str, ...], Field(min_length=1)] = (SURPRISE, "relative", "error")
    """What the score makes of the best pair, names from `residua.scoring.names.SCORES`. That of the
    initial settings is tried too."""

    def pairs(self) -> list[Pair]:
        """Return every error map with every reduction.

        Raises
        ------
        ConfigurationError
            A name or argument that is none.
        """
        pairs = [(m, reduction) for m in self.error_maps for reduction in self.reductions]
        for pair in pairs:
            ImageScore(*pair)
        for score in self.scores:
            picture_score(*pairs[0], score)
        return pairs


class Choice(BaseModel):
    """One point of the space, in the terms of `AutoencoderDetector`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    """Network."""
    latent_dim: int
    """Numbers in the code."""
    first_channels: int | None = None
    """Channels of the first level. None: the network does not offer them."""
    depth: int | None = None
    """Levels of halving. None: the network does not offer them."""
    loss: str
    """Training loss."""
    learning_rate: float
    """Step size of Adam."""
    error_map: str
    """Error map."""
    reduction: str
    """Map to one number."""
    score: str
    """What the score is."""

    @classmethod
    def of(cls, settings: FitSettings, shape: tuple[int, int, int]) -> Choice:
        """Say what settings come to for pictures (H, W, C), the network's own choices included."""
        model = _on_paper(
            settings.model,
            shape,
            latent_dim=settings.latent_dim,
            loss=settings.loss,
            options=settings.model_options,
        )
        return cls(
            model=settings.model,
            latent_dim=model.latent_dim,
            loss=model.loss,
            learning_rate=settings.learning_rate,
            error_map=settings.error_map,
            reduction=settings.reduction,
            score=settings.score,
            **{name: getattr(model, name) for name in _options_of(settings.model)},
        )


class NetworkSpace(NamedTuple):
    """The part of the space that one network has."""

    own: Autoencoder
    """The network as it is without being told, without weights."""
    code: bool
    """Whether the size of its code can be chosen."""
    options: tuple[str, ...]
    """Those of "first_channels" and "depth" that it offers."""


def networks(space: SearchSpace, shape: tuple[int, int, int]) -> dict[str, NetworkSpace]:
    """Return the networks that take pictures of a shape (H, W, C).

    Raises
    ------
    UnknownName
        A network that does not exist.
    ConfigurationError
        A network that was asked for and does not take the shape, or none does.
    """
    found = {}
    for name in space.models if space.models is not None else SEARCHED:
        if name not in MODELS:
            raise UnknownName.among("model", name, MODELS)
        try:
            own = _on_paper(name, shape)
        except ConfigurationError:
            if space.models is not None:
                raise
            continue
        other = own.latent_dim + 1
        try:
            _on_paper(name, shape, latent_dim=other)
        except ConfigurationError:
            free = False
        else:
            free = True
        found[name] = NetworkSpace(own, free, _options_of(name))
    if not found:
        raise ConfigurationError(f"no network takes pictures of shape {shape}; set another size")
    return found


def suggest(
    trial: Trial,
    space: SearchSpace,
    base: FitSettings,
    available: Mapping[str, NetworkSpace],
    shape: tuple[int, int, int],
) -> FitSettings:
    """Let the search choose settings; the score is chosen after training, and stays the base's.

    Raises
    ------
    ConfigurationError
        The network would have far more weights than the others.
    """
    name = trial.suggest_categorical("model", list(available))
    network = available[name]
    options = dict((base.model_options or {}) if name == base.model else {})
    latent_dim = None
    if network.code:
        low, high = (_power(network.own.latent_dim * factor) for factor in space.code_factors)
        latent_dim = 1 << trial.suggest_int(f"{name}.code_power", min(low, high), max(low, high))
    if "first_channels" in network.options:
        low, high = (_power(width) for width in space.first_channels)
        options["first_channels"] = 1 << trial.suggest_int(f"{name}.width_power", low, high)
    if "depth" in network.options:
        own, most = _own(network, "depth"), (max(shape[:2]) - 1).bit_length()
        options["depth"] = trial.suggest_int(
            f"{name}.depth", max(1, own - space.depth_reach), min(most, own + space.depth_reach)
        )
    rate = trial.suggest_float("learning_rate", *space.learning_rates, log=True)
    settings = base.model_copy(
        update={
            "model": name,
            "latent_dim": latent_dim,
            "model_options": options or None,
            "loss": trial.suggest_categorical("loss", list(space.losses)),
            "learning_rate": float(f"{rate:.2g}"),
        }
    )
    built = _on_paper(name, shape, latent_dim=latent_dim, loss=settings.loss, options=options)
    weights = sum(p.numel() for p in built.parameters())
    if weights > _MOST_WEIGHTS:
        raise ConfigurationError(
            f"{name!r} with a code of {built.latent_dim}, {options}, would have {weights:,} "
            f"weights; the search stops at {_MOST_WEIGHTS:,}"
        )
    return settings


def nearest_parameters(
    space: SearchSpace, choice: Choice, available: Mapping[str, NetworkSpace]
) -> dict[str, Any]:
    """Return where a choice lies in the space, or the point of the space nearest to it."""
    if choice.model not in available:
        return {}
    name, network = choice.model, available[choice.model]
    low, high = space.learning_rates
    found: dict[str, Any] = {
        "model": name,
        "learning_rate": min(max(choice.learning_rate, low), high),
    }
    if choice.loss in space.losses:
        found["loss"] = choice.loss
    if network.code:
        least, most = sorted(_power(network.own.latent_dim * f) for f in space.code_factors)
        found[f"{name}.code_power"] = min(max(_power(choice.latent_dim), least), most)
    if choice.first_channels is not None:
        least, most = (_power(width) for width in space.first_channels)
        found[f"{name}.width_power"] = min(max(_power(choice.first_channels), least), most)
    if choice.depth is not None:
        own = _own(network, "depth")
        reach = space.depth_reach
        found[f"{name}.depth"] = min(max(choice.depth, own - reach, 1), own + reach)
    return found


def _own(network: NetworkSpace, option: str) -> int:
    value: int = getattr(network.own, option)
    return value


def _on_paper(name: str, shape: tuple[int, int, int], **choices: Any) -> Autoencoder:
    """Build a network without drawing its weights."""
    with torch.device("meta"):
        return build_model(name, shape, **choices)


def _options_of(name: str) -> tuple[str, ...]:
    offered = inspect.signature(MODELS[name].__init__).parameters
    return tuple(option for option in _OPTIONS if option in offered)


def _power(value: float) -> int:
    """Exponent of the power of two nearest to ``value``, at least 1."""
    return max(1, round(log2(value)))
