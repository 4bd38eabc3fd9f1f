"""A network with its score as one graph: uint8 pixels in; score and error map out."""

from __future__ import annotations

import io
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from residua.models import Autoencoder, to_network
from residua.scoring.score import PictureScore, picture_score
from residua.scoring.verdicts import ScoredBatch
from residua.settings import FitSettings

OPSET = 17

_CARD = threading.Lock()


class ScoringGraph(nn.Module):
    """All that is computed of a batch of pictures, in float32.

    This is the one definition of a score: Python runs it by torch, and everything else runs what
    `onnx` writes of it.
    """

    def __init__(self, model: Autoencoder, score: PictureScore) -> None:
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
        error_map, scores = self.score(x, x_hat, latent)
        return scores, error_map, x_hat.permute(0, 2, 3, 1), latent

    def under(self, score: PictureScore) -> ScoringGraph:
        """Return the same network under another score."""
        return ScoringGraph(self.model, score).eval()

    def onnx(self) -> bytes:
        """Write the graph as ONNX, any number of pictures a batch."""
        model = self.model
        images = torch.zeros((2, model.height, model.width, model.channels), dtype=torch.uint8)
        return write_onnx(self, (images,), ["images"], list(ScoredBatch._fields))

    def further_state(self) -> dict[str, Tensor]:
        """Return the numbers that belong to neither network nor score, by name."""
        return {}


def write_onnx(
    module: nn.Module,
    args: tuple[Tensor, ...],
    inputs: list[str],
    outputs: list[str],
    opset: int = OPSET,
) -> bytes:
    """Write a module as ONNX, any number of pictures a batch.

    Parameters
    ----------
    module : nn.Module
    args : tuple of Tensor
        An example of what it takes.
    inputs, outputs : list of str
        Their names in the graph.
    opset : int
        Version of the operators.
    """
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # The tracing exporter is deprecated and needs no further package; the networks here hold
        # no control flow, which is all that the newer one would add.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module.eval(),
            args,
            buffer,  # type: ignore[arg-type]  # the tracing exporter writes to any file object
            dynamo=False,
            opset_version=opset,
            input_names=inputs,
            output_names=outputs,
            dynamic_axes={name: {0: "batch"} for name in (*inputs, *outputs)},
        )
    return buffer.getvalue()


@contextmanager
def in_full_float32(device: torch.device) -> Iterator[None]:
    """Keep a card from computing convolutions in TF32, which has 10 bits, meanwhile.

    Thresholds are fitted on scores in float32. The switch is the process's, so one thread at a
    time has it.
    """
    if device.type != "cuda":
        yield
        return
    cudnn = torch.backends.cudnn
    with (
        _CARD,
        cudnn.flags(
            enabled=cudnn.enabled,
            benchmark=cudnn.benchmark,
            deterministic=cudnn.deterministic,
            allow_tf32=False,
        ),
    ):
        yield


def score_of(settings: FitSettings, model: Autoencoder) -> PictureScore:
    """Build the score that the settings name, for a network; it is yet to be fitted.

    Raises
    ------
    UnknownName, ConfigurationError
        No such score, or one that cannot be had with this network.
    """
    return picture_score(
        settings.error_map, settings.reduction, settings.score, code_size=model.latent_dim
    )
