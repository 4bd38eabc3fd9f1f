"""Steps of the networks in the form that a processor takes fastest; the sums are torch's own.

Convolutions are fastest where the channels of a pixel lie side by side ("channels last"), and an
operator slows down several times over where one of its tensors lies so and another does not. What
is here keeps gradients in the layout of what they belong to, moves pixels in long runs, and keeps
clear of slow paths. ``benchmarks/roofline.py`` measures the step that comes of it.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class StridedConv2d(nn.Conv2d):
    """A convolution whose results are right in bf16 on a processor, also where one column is left.

    There oneDNN, as of torch 2.13, reads memory that nobody has written: the loss is NaN, or
    merely wrong. Such a convolution is a small one, and is computed in float32.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Convolve (B, c_in, h, w)."""
        padding = self.padding
        assert not isinstance(padding, str)
        room = 2 * padding[1] - self.kernel_size[1] + 1  # beside the input's columns
        if not _misreckoned(input, self.stride[1] - room):
            return super().forward(input)
        with torch.autocast("cpu", enabled=False):
            return super().forward(input.float())


def to_rows(features: Tensor) -> Tensor:
    """Flatten features (B, C, h, w) to (B, C·h·w); their gradient comes back channels last."""
    if features.requires_grad:
        features.register_hook(_channels_last)  # type: ignore[no-untyped-call]
    return features.flatten(1)


def to_grid(rows: Tensor, grid: tuple[int, int, int]) -> Tensor:
    """Fold rows (B, C·h·w) to a grid (B, C, h, w) that lies channels last."""
    return _channels_last(rows.reshape(-1, *grid))


def sub_pixel(conv: nn.Conv2d, x: Tensor, factor: int) -> Tensor:
    """Convolve (B, c_in, h, w) and spread the result over ``factor`` times the rows and columns.

    The sub-pixel convolution of Shi et al. (CVPR 2016), equation 4: ``conv`` has c·factor² output
    channels, of which each factor² in turn are the pixels of one channel.

    Returns
    -------
    Tensor of shape (B, c, factor·h, factor·w)
    """
    if not _by_own_means(x):
        return F.pixel_shuffle(conv(x), factor)
    # With the outputs in the order row, column, channel, whole pixels move, and not lone values.
    c_out = conv.out_channels // factor**2
    weight = conv.weight.view(c_out, -1, *conv.weight.shape[1:]).transpose(0, 1).flatten(0, 1)
    assert conv.bias is not None
    bias = conv.bias.view(c_out, -1).T.reshape(-1)
    fine = F.conv2d(x, weight, bias, conv.stride, conv.padding)
    batch, _, h, w = fine.shape
    pixels = fine.permute(0, 2, 3, 1).reshape(batch, h, w, factor, factor * c_out)
    pixels = pixels.transpose(2, 3).reshape(batch, factor * h, factor * w, c_out)
    return pixels.permute(0, 3, 1, 2)


class Doubling(nn.ConvTranspose2d):
    """A transposed convolution of 3 x 3 that doubles height and width.

    Parameters
    ----------
    c_in, c_out : int
        Channels before and after.
    """

    def __init__(self, c_in: int, c_out: int) -> None:
        super().__init__(c_in, c_out, 3, stride=2, padding=1, output_padding=1)

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        """Turn (B, c_in, h, w) into (B, c_out, 2h, 2w)."""
        if _misreckoned(x, 1):  # in the gradient, which is a convolution of stride 2
            with torch.autocast("cpu", enabled=False):
                return super().forward(x.float(), output_size)
        if not (torch.is_grad_enabled() and _by_own_means(x)):
            return super().forward(x, output_size)
        assert self.bias is not None
        # oneDNN takes the bias's gradient four times as slowly as all the rest of the layer.
        doubled = F.conv_transpose2d(x, self.weight, self.bias.detach(), 2, 1, 1)
        credited: Tensor = _CreditBias.apply(doubled, self.bias)  # type: ignore[no-untyped-call]
        return credited


class _CreditBias(torch.autograd.Function):
    """Passes on what a bias (C,) has been added to, (B, C, h, w), and the bias its gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, bias: Tensor) -> Tensor:
        ctx.dtype = bias.dtype
        ctx.mark_dirty(x)  # not a view, which could not be changed in place later
        return x

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor]:
        (gradient,) = gradients
        return gradient, gradient.sum((0, 2, 3)).to(ctx.dtype)


def mean_squared_error(x: Tensor, target: Tensor) -> Tensor:
    """Return the mean of the squared differences over all values of two tensors of one shape."""
    if x.ndim == 4:
        # The gradient comes in rows whatever the layout; seen so, they are rows of whole pixels.
        x, target = x.permute(0, 2, 3, 1), target.permute(0, 2, 3, 1)
    return F.mse_loss(x, target)


def _misreckoned(x: Tensor, columns: int) -> bool:
    """Say whether x is given to a processor's bf16 and has at most so many columns."""
    in_bf16 = x.device.type == "cpu" and torch.is_autocast_enabled("cpu")
    return in_bf16 and x.shape[3] <= columns


def _by_own_means(x: Tensor) -> bool:
    """Say whether torch runs this on a processor; cards and ONNX Runtime have their own ways."""
    return x.device.type == "cpu" and not torch.onnx.is_in_onnx_export()


def _channels_last(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last)
