"""Fitted graphs to bundles and back."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from residua.bundle import Bundle, Manifest, write_bundle
from residua.errors import BundleAltered
from residua.feature_graph import feature_graph_of
from residua.graph import ScoringGraph, score_of
from residua.models import build_model, require_network
from residua.storage import Location

_SCORE = "score."


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
        The weights are not those of the network that the manifest names.
    NetworkNotInstalled
        That network is of a package that is not installed.
    """
    from safetensors.torch import load_file

    record = bundle.manifest.model
    graph = feature_graph_of(bundle) if record.backbone else _pixel_graph(bundle)
    try:
        state = load_file(bundle.weights)
        _take(graph, state)
    except (RuntimeError, KeyError, ValueError, AttributeError) as error:
        raise BundleAltered(f"{bundle.weights} does not fit {record.name!r}: {error}") from error
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


def _pixel_graph(bundle: Bundle) -> ScoringGraph:
    record, settings = bundle.manifest.model, bundle.manifest.settings
    require_network(record.name, record.package)
    model = build_model(
        record.name,
        bundle.manifest.input.shape,
        latent_dim=record.latent_dim,
        loss=record.loss,
        options=settings.model_options,
    )
    return ScoringGraph(model, score_of(settings, model))
