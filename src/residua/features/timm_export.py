"""A backbone by the name it has in timm, where that package and its weights can be had."""

from __future__ import annotations

import io
import warnings
from typing import Any

from residua.errors import ConfigurationError

PREFIX = "timm:"
"""Marks a name of timm where a file could be meant."""

_OPSET = 17
_SIDE = 224


def export_timm(name: str) -> bytes:
    """Return a pretrained network of timm as ONNX: feature maps, and the mean of the last.

    Wightman, "PyTorch image models", https://github.com/huggingface/pytorch-image-models. The
    network's own normalisation of colours becomes part of the graph.

    Parameters
    ----------
    name : str
        As `timm.create_model` takes it.

    Raises
    ------
    ConfigurationError
        timm is not installed, has no such network, or cannot get its weights.
    """
    import torch
    from torch import Tensor, nn

    try:
        import timm
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"the backbone {PREFIX}{name} needs the package timm: pip install timm; or give an "
            f"ONNX file"
        ) from error
    try:
        network: Any = timm.create_model(name, pretrained=True, features_only=True).eval()
    except Exception as error:
        raise ConfigurationError(
            f"timm cannot give {name!r} with its weights and feature maps: {error}"
        ) from error
    known = getattr(network, "pretrained_cfg", None) or network.default_cfg

    class Normalised(nn.Module):
        """Colours as the network was trained on them, then its maps and the mean of the last."""

        mean: Tensor
        std: Tensor

        def __init__(self) -> None:
            super().__init__()
            self.network = network
            for part in ("mean", "std"):
                self.register_buffer(part, torch.tensor(known[part]).reshape(1, -1, 1, 1))

        def forward(self, x: Tensor) -> tuple[Tensor, ...]:
            maps = self.network((x - self.mean) / self.std)
            return (*maps, maps[-1].mean((2, 3)))

    whole = Normalised().eval()
    x = torch.zeros(2, 3, _SIDE, _SIDE)
    with torch.no_grad():
        names = [f"map_{number}" for number in range(len(whole(x)) - 1)]
    axes = {name: {0: "batch", 2: "height", 3: "width"} for name in ("image", *names)}
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the tracing exporter is deprecated
        torch.onnx.export(
            whole,
            (x,),
            buffer,  # type: ignore[arg-type]  # the tracing exporter writes to any file object
            dynamo=False,
            opset_version=_OPSET,
            input_names=["image"],
            output_names=[*names, "descriptor"],
            dynamic_axes=axes | {"descriptor": {0: "batch"}},
        )
    return buffer.getvalue()
