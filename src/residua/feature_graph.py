"""The graph of a feature autoencoder: backbone, network, score, and a view of the code."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from residua.bundle import Bundle
from residua.errors import BundleAltered
from residua.features.assembly import Assembly
from residua.features.backbone import CHANNELS, Backbone
from residua.features.network import FeatureAutoencoder, Layout
from residua.features.record import BackboneRecord
from residua.graph import ScoringGraph, write_onnx
from residua.manifest import Manifest
from residua.models import Autoencoder, to_network
from residua.scoring.feature_score import feature_score
from residua.scoring.score import PictureScore
from residua.scoring.verdicts import ScoredBatch
from residua.vetting.onnx_file import read_onnx
from residua.vetting.sizes import size_of
from residua.vetting.text import shown

_PREFIX = "backbone/"
_IMAGES, _PREPARED = "images", "prepared"
# Pixels of the longer side of the picture that a code is viewed as.
_VIEW_SIDE = 32
# Weight of the ridge, as a share of the codes' mean variance.
_RIDGE = 0.1


class CodeView(nn.Module):
    """A small picture of what a code stands for: a linear read-out, enlarged.

    The network rebuilds features, which nobody can look at. This is the least-squares picture of
    the code, for the eye alone: no score depends on it.

    Parameters
    ----------
    shape : (int, int, int)
        Height, width and channels of the pictures.
    code : int
        Numbers in the code, D.
    """

    weight: Tensor
    bias: Tensor

    def __init__(self, shape: tuple[int, int, int], code: int) -> None:
        super().__init__()
        height, width, channels = shape
        factor = max(1, max(height, width) / _VIEW_SIDE)
        self.full = (height, width)
        self.small = (max(1, round(height / factor)), max(1, round(width / factor)))
        self.channels = channels
        size = channels * self.small[0] * self.small[1]
        self.register_buffer("weight", torch.zeros(code, size))
        self.register_buffer("bias", torch.zeros(size))

    def forward(self, latent: Tensor) -> Tensor:
        """Turn codes (B, D) into pictures (B, H, W, C) in [0, 1]."""
        pictures = (latent @ self.weight + self.bias).reshape(-1, self.channels, *self.small)
        pictures = F.interpolate(pictures, size=self.full, mode="bilinear", align_corners=False)
        return pictures.clamp(0, 1).permute(0, 2, 3, 1)

    def shrink(self, x: Tensor) -> Tensor:
        """Turn pictures (B, C, H, W) into rows of the small ones."""
        return F.interpolate(x, size=self.small, mode="area").flatten(1)


def fit_view(
    shape: tuple[int, int, int],
    codes: NDArray[np.float32],
    pixels: NDArray[np.uint8],
    rows: NDArray[np.int64],
) -> CodeView:
    """Fit the view by ridge regression of pictures on their codes.

    Parameters
    ----------
    shape : (int, int, int)
        Height, width and channels.
    codes : ndarray of shape (n, D)
    pixels : ndarray of shape (N, H, W, C), uint8
    rows : ndarray of shape (n,), int64
        Rows of ``pixels`` that the codes are of.
    """
    view = CodeView(shape, codes.shape[1])
    small = torch.cat(
        [
            view.shrink(to_network(torch.from_numpy(pixels[rows[start : start + 64]])))
            for start in range(0, len(rows), 64)
        ]
    ).double()
    known = torch.from_numpy(codes).double()
    centre, mean = known.mean(0), small.mean(0)
    known = known - centre
    gram = known.T @ known
    ridge = _RIDGE * gram.diagonal().mean().clamp_min(1e-12)
    weight = torch.linalg.solve(
        gram + ridge * torch.eye(len(gram), dtype=gram.dtype), known.T @ (small - mean)
    )
    view.weight.copy_(weight)
    view.bias.copy_(mean - centre @ weight)
    return view


class FeatureHead(nn.Module):
    """Everything behind the backbone: features in, all that is computed of a picture out."""

    def __init__(
        self, assembly: Assembly, model: Autoencoder, score: PictureScore, view: CodeView
    ) -> None:
        super().__init__()
        self.assembly, self.model, self.score, self.view = assembly, model, score, view

    def forward(self, *features: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Score features; see `ScoringGraph.forward` for what comes out."""
        row = self.assembly(features)
        x_hat, latent = self.model(row)
        error_map, scores = self.score(row, x_hat, latent)
        enlarged = F.interpolate(
            error_map[:, None], size=self.view.full, mode="bilinear", align_corners=False
        )
        return scores, enlarged[:, 0], self.view(latent), latent


class FeatureGraph(ScoringGraph):
    """All that is computed of a batch of pictures where features are rebuilt.

    The maps' error is enlarged to the pictures' size; what stands for the reconstruction is the
    `CodeView`.
    """

    def __init__(
        self,
        backbone: Backbone,
        record: BackboneRecord,
        assembly: Assembly,
        model: Autoencoder,
        score: PictureScore,
        view: CodeView,
    ) -> None:
        super().__init__(model, score)
        self.backbone, self.record = backbone, record
        self.head = FeatureHead(assembly, model, score, view)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Score uint8 pictures (B, H, W, C); see `ScoringGraph.forward`."""
        device = images.device
        found = self.backbone.run(images.cpu().numpy(), self.record.outputs)
        result: tuple[Tensor, Tensor, Tensor, Tensor] = self.head(
            *(torch.from_numpy(part).to(device) for part in found)
        )
        return result

    def under(self, score: PictureScore) -> ScoringGraph:
        """Return the same network under another score."""
        head = self.head
        return FeatureGraph(
            self.backbone, self.record, head.assembly, self.model, score, head.view
        ).eval()

    def further_state(self) -> dict[str, Tensor]:
        """Return what stands behind the network besides it and the score."""
        return _further(self.head.assembly, self.head.view)

    def onnx(self) -> bytes:
        """Write the graph as ONNX, the backbone in it."""
        import onnx
        from onnx import compose

        backbone = compose.add_prefix(onnx.load_from_string(self.backbone.graph), _PREFIX)
        opset = next(o.version for o in backbone.opset_import if o.domain in ("", "ai.onnx"))
        height, width = self.head.view.full
        images = torch.zeros((2, height, width, self.head.view.channels), dtype=torch.uint8)
        features = tuple(
            torch.from_numpy(part)
            for part in self.backbone.run(images.numpy(), self.record.outputs)
        )
        names = [f"feature_{number}" for number in range(len(features))]
        parts = [
            onnx.load_from_string(write_onnx(Prepare(), (images,), [_IMAGES], [_PREPARED], opset)),
            backbone,
            onnx.load_from_string(
                write_onnx(self.head, features, names, list(ScoredBatch._fields), opset)
            ),
        ]
        for part in parts:
            part.ir_version = backbone.ir_version
        whole = compose.merge_models(
            compose.add_prefix(parts[0], "in/", rename_inputs=False, rename_outputs=False),
            backbone,
            io_map=[(_PREPARED, f"{_PREFIX}{self.backbone.input}")],
        )
        whole = compose.merge_models(
            whole,
            compose.add_prefix(parts[2], "out/", rename_inputs=False, rename_outputs=False),
            io_map=[
                (f"{_PREFIX}{output}", name)
                for output, name in zip(self.record.outputs, names, strict=True)
            ],
            outputs=list(ScoredBatch._fields),
        )
        written: bytes = whole.SerializeToString()
        return written

    def __deepcopy__(self, memo: dict[int, Any]) -> FeatureGraph:
        # The backbone is frozen, and its session cannot be copied.
        head = deepcopy(self.head, memo)
        return FeatureGraph(
            self.backbone, self.record, head.assembly, head.model, head.score, head.view
        ).train(self.training)


class Prepare(nn.Module):
    """uint8 pictures (B, H, W, C) to what a backbone takes, (B, 3, H, W) in [0, 1]."""

    def forward(self, images: Tensor) -> Tensor:
        """Scale, and repeat grey."""
        x = to_network(images)
        return x.repeat(1, CHANNELS, 1, 1) if x.shape[1] == 1 else x


def feature_layout(record: BackboneRecord) -> Layout:
    """Return how rows of this backbone's features are laid out."""
    return Layout(sum(record.channels), *record.grid, record.width)


def feature_graph_of(bundle: Bundle) -> FeatureGraph:
    """Build the graph of a saved feature autoencoder, its numbers yet to be read.

    Raises
    ------
    BundleAltered
        The saved graph has no backbone in it.
    """
    manifest = bundle.manifest
    settings, record = manifest.settings, manifest.model.backbone
    assert record is not None
    backbone = _backbone_within(bundle, record)
    assembly, model, view = _parts(manifest, record)
    score = feature_score(feature_layout(record), settings.reduction, settings.score)
    return FeatureGraph(backbone, record, assembly, model, score, view)


def blank_parts(manifest: Manifest) -> dict[str, Tensor]:
    """Return what is saved of a feature autoencoder besides backbone and score, by name."""
    assert manifest.model.backbone is not None
    assembly, model, view = _parts(manifest, manifest.model.backbone)
    return dict(model.state_dict()) | _further(assembly, view)


def _parts(
    manifest: Manifest, record: BackboneRecord
) -> tuple[Assembly, FeatureAutoencoder, CodeView]:
    options = {k: v for k, v in (manifest.settings.model_options or {}).items() if k != "backbone"}
    model = FeatureAutoencoder(feature_layout(record), manifest.model.latent_dim, **options)
    return (
        Assembly(record.channels, record.width, record.grid),
        model,
        CodeView(manifest.input.shape, model.latent_dim),
    )


def _further(assembly: Assembly, view: CodeView) -> dict[str, Tensor]:
    return {
        f"{room}.{name}": value
        for room, part in (("assembly", assembly), ("view", view))
        for name, value in part.state_dict().items()
    }


def _backbone_within(bundle: Bundle, record: BackboneRecord) -> Backbone:
    """Take the backbone out of the graph of a saved model."""
    import onnx
    from onnx.utils import Extractor

    outputs = [f"{_PREFIX}{output}" for output in record.outputs]
    try:
        whole = onnx.load_from_string(bundle.read_graph())
        part = Extractor(whole).extract_model([_PREPARED], outputs)
        _take_prefix_off(part.graph)
        graph = part.SerializeToString()
        # Cut out, it gets what it is given here, and not what it was given in the whole.
        height, width, _ = bundle.manifest.input.shape
        size_of(read_onnx(graph), {_PREPARED: (1, CHANNELS, height, width)}, {})
        return Backbone(graph, record.name)
    except Exception as error:
        raise BundleAltered(
            f"{bundle.graph} holds no backbone {record.name}: {shown(str(error))}"
        ) from error


def _take_prefix_off(graph: Any) -> None:
    """Give a graph, and those within it, the names that it had before it became a part."""
    for node in graph.node:
        node.input[:] = [name.removeprefix(_PREFIX) for name in node.input]
        node.output[:] = [name.removeprefix(_PREFIX) for name in node.output]
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                _take_prefix_off(inner)
    for named in (*graph.initializer, *graph.input, *graph.output, *graph.value_info):
        named.name = named.name.removeprefix(_PREFIX)
