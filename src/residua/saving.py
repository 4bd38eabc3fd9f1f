"""Fitted graphs to bundles and back."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from residua.bundle import Bundle
from residua.bundle_writing import write_bundle
from residua.errors import BundleAltered, BundleError, ConfigurationError
from residua.feature_graph import blank_parts, feature_graph_of
from residua.graph import ScoringGraph, score_of
from residua.manifest import Manifest
from residua.models import MODELS, Autoencoder, build_model, require_network
from residua.storage import Location
from residua.vetting.text import shown

_SCORE = "score."
# What torch raises where numbers, names or kinds are not those of a network.
_OF_OTHER_SHAPES = (
    RuntimeError, KeyError, ValueError, AttributeError, TypeError, OverflowError, IndexError,
)  # fmt: skip


def save_model(
    path: Location,
    manifest: Manifest,
    graph: ScoringGraph,
    calibration_scores: NDArray[np.float64],
) -> Path | str:
    """Save a fitted network with its score as a bundle; the graph stays where it is.

    Raises
    ------
    OutputError
        The folder cannot be written, or something that is no bundle lies there.
    """
    graph = copy.deepcopy(graph).to("cpu")
    state = graph.model.state_dict() | graph.further_state()
    state |= {f"{_SCORE}{name}": value for name, value in graph.score.state_dict().items()}
    weights = {name: np.ascontiguousarray(value.detach().numpy()) for name, value in state.items()}
    return write_bundle(
        path,
        manifest,
        weights=weights,
        graph=graph.onnx(),
        calibration_scores=calibration_scores,
    )


def load_graph(bundle: Bundle) -> ScoringGraph:
    """Build the graph of a saved model with its weights, in evaluation mode.

    Raises
    ------
    BundleAltered
        The weights are not those of the network that the manifest names, or are no numbers.
    NetworkNotInstalled
        That network is of a package that is not installed.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    record = bundle.manifest.model
    if record.backbone is None:
        require_network(record.name, record.package)
    try:
        _check_sizes(bundle)
        graph = feature_graph_of(bundle) if record.backbone else _pixel_graph(bundle)
        state = load(bundle.read_weights())
        _check_finite(state, graph)
        _take(graph, state)
        # A score's own numbers have no shape that is known before; whether they fit, this tells.
        with torch.inference_mode():
            graph.eval()(torch.zeros((1, *bundle.manifest.input.shape), dtype=torch.uint8))
    except BundleError:
        raise
    except (ConfigurationError, SafetensorError, *_OF_OTHER_SHAPES) as error:
        raise BundleAltered(
            f"{bundle.weights} does not fit {record.name!r}: {shown(str(error))}"
        ) from error
    # Sets the strides of the weights; the graph's other numbers stay as they are.
    graph.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return graph.eval()


def _take(graph: ScoringGraph, state: dict[str, Tensor]) -> None:
    own = {name: state.pop(name) for name in list(state) if name.startswith(_SCORE)}
    for name, value in graph.further_state().items():
        value.copy_(state.pop(name))
    graph.model.load_state_dict(state)
    if own:  # models saved before scores had numbers of their own have none
        graph.score.restore({name.removeprefix(_SCORE): value for name, value in own.items()})


def _check_sizes(bundle: Bundle) -> None:
    """Compare what the manifest names with the weights before memory is taken for either.

    A network of another package is built by that package's own code, which may not do without.
    """
    manifest = bundle.manifest
    if manifest.model.backbone is None and manifest.model.name not in MODELS:
        return
    with torch.device("meta"):
        state = (
            blank_parts(manifest)
            if manifest.model.backbone
            else dict(_pixel_model(bundle).state_dict())
        )
    # A number alone is saved as a row of one.
    wanted = {name: tuple(value.shape) or (1,) for name, value in state.items()}
    found = {
        name: shape for name, shape in bundle.weight_shapes.items() if not name.startswith(_SCORE)
    }
    for name in sorted(set(wanted) | set(found)):
        if wanted.get(name) != found.get(name):
            raise ValueError(
                f"{name} has the shape {found.get(name)}; wanted {wanted.get(name)} (None: it is "
                f"not there)"
            )


def _check_finite(state: dict[str, Tensor], graph: ScoringGraph) -> None:
    trained = {name for name, _ in graph.model.named_parameters()}
    for name, value in state.items():
        # What is not trained may be infinite: a mask that is added is.
        wrong = ~torch.isfinite(value) if name in trained else torch.isnan(value)
        if value.is_complex() or bool(wrong.any()):
            raise ValueError(f"{name} holds a number that is NaN or infinite")


def _pixel_model(bundle: Bundle) -> Autoencoder:
    record, settings = bundle.manifest.model, bundle.manifest.settings
    return build_model(
        record.name,
        bundle.manifest.input.shape,
        latent_dim=record.latent_dim,
        loss=record.loss,
        options=settings.model_options,
    )


def _pixel_graph(bundle: Bundle) -> ScoringGraph:
    model = _pixel_model(bundle)
    return ScoringGraph(model, score_of(bundle.manifest.settings, model))
