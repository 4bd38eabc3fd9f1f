"""Reconstruction to error map to image score.

An error map says where a picture was not rebuilt; a reduction makes one number of it. Both are
``nn.Module``s, so that the very same arithmetic goes into the saved ONNX graph.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from residua.errors import ConfigurationError
from residua.scoring.expressions import build_named

# As in Keras: keeps the logarithm of a saturated pixel finite.
_EPSILON = 1e-7


class ErrorMap(nn.Module):
    """Base of the error maps."""

    degree = 1
    """How the error grows with the contrast of picture and reconstruction: twice the contrast
    gives 2 to this power times the error, exactly or nearly."""


class SquaredError(ErrorMap):
    """Squared difference, mean over the channels, in [0, 1]."""

    degree = 2

    def forward(self, x: Tensor, x_hat: Tensor) -> Tensor:
        """Compare (B, C, H, W) with (B, C, H, W); returns (B, H, W)."""
        return (x - x_hat).square().mean(1)


class AbsoluteError(ErrorMap):
    """Absolute difference, mean over the channels, in [0, 1]."""

    def forward(self, x: Tensor, x_hat: Tensor) -> Tensor:
        """Compare (B, C, H, W) with (B, C, H, W); returns (B, H, W)."""
        return (x - x_hat).abs().mean(1)


class CrossEntropy(ErrorMap):
    """Binary cross-entropy in nats, pixels read as probabilities, mean over the channels.

    A perfectly rebuilt grey pixel still costs its own entropy, up to 0.69 nats, so this map
    measures how much grey a picture has as well as what was not rebuilt. `ExcessCrossEntropy`
    takes that floor away.
    """

    def forward(self, x: Tensor, x_hat: Tensor) -> Tensor:
        """Compare (B, C, H, W) with (B, C, H, W); returns (B, H, W)."""
        x_hat = x_hat.clamp(_EPSILON, 1 - _EPSILON)
        return -(x * x_hat.log() + (1 - x) * (1 - x_hat).log()).mean(1)


class ExcessCrossEntropy(ErrorMap):
    """Cross-entropy less its floor, the pixel's own entropy: the Kullback-Leibler divergence.

    At least 0, and 0 exactly where the picture is rebuilt perfectly.
    """

    degree = 2

    def forward(self, x: Tensor, x_hat: Tensor) -> Tensor:
        """Compare (B, C, H, W) with (B, C, H, W); returns (B, H, W)."""
        x = x.clamp(_EPSILON, 1 - _EPSILON)
        x_hat = x_hat.clamp(_EPSILON, 1 - _EPSILON)
        excess = x * (x / x_hat).log() + (1 - x) * ((1 - x) / (1 - x_hat)).log()
        return excess.clamp_min(0).mean(1)


class StructuralDissimilarity(ErrorMap):
    """``(1 - SSIM) / 2`` in [0, 1], with the Gaussian window of the source.

    Parameters
    ----------
    sigma : float, default=1.5
        Standard deviation of the window, in pixels.

    References
    ----------
    Wang, Bovik, Sheikh and Simoncelli, "Image quality assessment: from error visibility to
    structural similarity", IEEE Transactions on Image Processing 13(4), 2004, equation 13.
    """

    degree = 0

    def __init__(self, sigma: float = 1.5) -> None:
        super().__init__()
        self.blur = GaussianBlur(sigma)

    def forward(self, x: Tensor, x_hat: Tensor) -> Tensor:
        """Compare (B, C, H, W) with (B, C, H, W); returns (B, H, W)."""
        c1, c2 = 0.01**2, 0.03**2
        mean_x, mean_y = self.blur(x), self.blur(x_hat)
        # Deviations are taken from 0.5 so that float32 keeps the digits of small variances.
        x, x_hat = x - 0.5, x_hat - 0.5
        off_x, off_y = mean_x - 0.5, mean_y - 0.5
        var_x = (self.blur(x * x) - off_x * off_x).clamp_min(0)
        var_y = (self.blur(x_hat * x_hat) - off_y * off_y).clamp_min(0)
        covariance = self.blur(x * x_hat) - off_x * off_y
        luminance = (2 * mean_x * mean_y + c1) / (mean_x.square() + mean_y.square() + c1)
        structure = (2 * covariance + c2) / (var_x + var_y + c2)
        dissimilarity: Tensor = (1 - luminance * structure) / 2
        return dissimilarity.mean(1)


class Mean(nn.Module):
    """Mean of the map."""

    def forward(self, error_map: Tensor) -> Tensor:
        """Reduce (B, H, W) to float64 (B,)."""
        return error_map.double().mean((1, 2))


class TopK(nn.Module):
    """Mean of the highest values of the map: sensitive to small defects, less to one noisy pixel.

    Parameters
    ----------
    share : float, default=0.05
        Share of the pixels, in (0, 1]; at least one pixel is taken.
    """

    def __init__(self, share: float = 0.05) -> None:
        super().__init__()
        if not 0 < share <= 1:
            raise ConfigurationError(f"topk: share is {share}; it must be in (0, 1]")
        self.share = float(share)

    def forward(self, error_map: Tensor) -> Tensor:
        """Reduce (B, H, W) to float64 (B,)."""
        # int(): a graph that is being exported holds the count as a constant.
        pixels = int(error_map.shape[1]) * int(error_map.shape[2])
        count = max(1, round(self.share * pixels))
        highest = error_map.flatten(1).topk(count, dim=1, sorted=False).values
        return highest.double().mean(1)


class SmoothedMaximum(nn.Module):
    """Maximum of the map after a Gaussian blur: the worst spot, not the worst pixel.

    Parameters
    ----------
    sigma : float, default=2.0
        Standard deviation of the blur, in pixels of the model's input size.
    """

    def __init__(self, sigma: float = 2.0) -> None:
        super().__init__()
        self.blur = GaussianBlur(sigma)

    def forward(self, error_map: Tensor) -> Tensor:
        """Reduce (B, H, W) to float64 (B,)."""
        smooth: Tensor = self.blur(error_map[:, None])
        return smooth.amax((1, 2, 3)).double()


class GaussianBlur(nn.Module):
    """Separable Gaussian blur of (B, C, H, W), borders replicated.

    Parameters
    ----------
    sigma : float
        Standard deviation in pixels; the window reaches 3.5 of it to each side.
    """

    kernel: Tensor

    def __init__(self, sigma: float) -> None:
        super().__init__()
        if not 0 < sigma <= 64:
            raise ConfigurationError(f"sigma is {sigma} pixels; it must be in (0, 64]")
        radius = max(1, int(3.5 * sigma + 0.5))
        offsets = torch.arange(-radius, radius + 1, dtype=torch.float64)
        kernel = torch.exp(-0.5 * (offsets / sigma).square())
        self.register_buffer("kernel", (kernel / kernel.sum()).float(), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Blur (B, C, H, W)."""
        radius = self.kernel.numel() // 2
        # Each channel is a picture of its own: one kernel, constant in an exported graph, serves.
        planes = images.reshape(-1, 1, images.shape[2], images.shape[3])
        planes = F.pad(planes, (radius, radius, radius, radius), mode="replicate")
        planes = F.conv2d(planes, self.kernel.reshape(1, 1, -1, 1))
        return F.conv2d(planes, self.kernel.reshape(1, 1, 1, -1)).reshape(images.shape)


ERROR_MAPS: Mapping[str, type[ErrorMap]] = MappingProxyType(
    {
        "squared": SquaredError,
        "absolute": AbsoluteError,
        "bce": CrossEntropy,
        "bce_excess": ExcessCrossEntropy,
        "ssim": StructuralDissimilarity,
    }
)

REDUCTIONS: Mapping[str, type[nn.Module]] = MappingProxyType(
    {"mean": Mean, "topk": TopK, "max": SmoothedMaximum}
)


class ImageScore(nn.Module):
    """An error map with its reduction.

    Parameters
    ----------
    error_map : str, default="absolute"
        A name from `ERROR_MAPS`, with arguments where it takes any: ``"ssim(1.5)"``.
    reduction : str, default="mean"
        A name from `REDUCTIONS`: ``"mean"``, ``"topk(0.02)"``, ``"max(2)"``.
    """

    def __init__(self, error_map: str = "absolute", reduction: str = "mean") -> None:
        super().__init__()
        self.error_map = build_named("error map", error_map, ERROR_MAPS)
        self.reduction = build_named("reduction", reduction, REDUCTIONS)

    def forward(self, x: Tensor, x_hat: Tensor) -> tuple[Tensor, Tensor]:
        """Compare (B, C, H, W) with (B, C, H, W).

        Returns
        -------
        error_map : Tensor of shape (B, H, W), float32
        scores : Tensor of shape (B,), float64. The higher, the more anomalous.
        """
        error_map = self.error_map(x, x_hat)
        return error_map, self.reduction(error_map)
