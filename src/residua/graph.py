"""A network with its score as one graph: uint8 pixels in; score and error map out."""

from __future__ import annotations

import copy
import io
import os
import warnings
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from residua.bundle import Bundle, Manifest, write_bundle
from residua.errors import BundleAltered
from residua.models import Autoencoder, build_model, to_network
from residua.scoring.errors import ImageScore
from residua.scoring.verdicts import ScoredBatch

_OPSET = 17


class ScoringGraph(nn.Module):
    """All that is computed of a batch of pictures, in float32.

    This is the one definition of a score: Python runs it by torch, and everything else runs what
    `to_onnx` writes of it.
    """

    def __init__(self, model: Autoencoder, score: ImageScore) -> None:
        super().__init__()
        self.model = model
        self.score = score

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Score uint8 pictures (B, H, W, C).

        Returns
        -------
        scores : Tensor of shape (B,), float64
        error_maps : Tensor of shape (B, H, W), float32
        x_hat : Tensor of shape (B, H, W, C), float32, in [0, 1]
        latent : Tensor of shape (B, D), float32
        """
        x = to_network(images)
        x_hat, latent = self.model(x)
        error_map, scores = self.score(x, x_hat)
        return scores, error_map, x_hat.permute(0, 2, 3, 1), latent


def to_onnx(graph: ScoringGraph) -> bytes:
    """Write the graph as ONNX, any number of pictures a batch."""
    model = graph.model
    shape = (2, model.height, model.width, model.channels)
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # The tracing exporter is deprecated and needs no further package; the networks here hold
        # no control flow, which is all that the newer one would add.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            graph.eval(),
            (torch.zeros(shape, dtype=torch.uint8),),
            buffer,  # type: ignore[arg-type]  # the tracing exporter writes to any file object
            dynamo=False,
            opset_version=_OPSET,
            input_names=["images"],
            output_names=list(ScoredBatch._fields),
            dynamic_axes={name: {0: "batch"} for name in ("images", *ScoredBatch._fields)},
        )
    return buffer.getvalue()


def save_model(
    path: str | os.PathLike[str],
    manifest: Manifest,
    graph: ScoringGraph,
    calibration_scores: NDArray[np.float64],
) -> Path:
    """Save a fitted network with its score as a bundle; the graph stays where it is.

    Raises
    ------
    OutputError
        The folder cannot be written, or something that is no bundle lies there.
    """
    graph = copy.deepcopy(graph).to("cpu")
    weights = {
        name: np.ascontiguousarray(value.detach().numpy())
        for name, value in graph.model.state_dict().items()
    }
    return write_bundle(
        path,
        manifest,
        weights=weights,
        graph=to_onnx(graph),
        calibration_scores=calibration_scores,
    )


def load_graph(bundle: Bundle) -> ScoringGraph:
    """Build the graph of a saved model with its weights, in evaluation mode.

    Raises
    ------
    BundleAltered
        The weights are not those of the network that the manifest names.
    """
    from safetensors.torch import load_file

    record, settings = bundle.manifest.model, bundle.manifest.settings
    model = build_model(
        record.name,
        bundle.manifest.input.shape,
        latent_dim=record.latent_dim,
        loss=record.loss,
        options=settings.model_options,
    )
    try:
        model.load_state_dict(load_file(bundle.weights))
    except (RuntimeError, ValueError) as error:
        raise BundleAltered(f"{bundle.weights} does not fit {record.name!r}: {error}") from error
    model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return ScoringGraph(model, ImageScore(settings.error_map, settings.reduction)).eval()
