"""Each form is held to torch's own, in what it returns and in every gradient."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from residua.models.layers import (
    Doubling,
    StridedConv2d,
    mean_squared_error,
    sub_pixel,
    to_grid,
    to_rows,
)

LAST = torch.channels_last


def drawn(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(len(shape)))


def gradients(result: Tensor, *of: Tensor) -> list[Tensor]:
    weights = drawn(*result.shape).to(memory_format=LAST) if result.ndim == 4 else 1.0
    return list(torch.autograd.grad((result * weights).sum(), of))


def assert_alike(
    ours: Callable[[Tensor], Tensor], theirs: Callable[[Tensor], Tensor], layer: nn.Module
) -> None:
    x = drawn(2, 6, 5, 7).to(memory_format=LAST).requires_grad_()
    torch.testing.assert_close(ours(x), theirs(x))
    inputs = (x, *layer.parameters())
    for own, other in zip(gradients(ours(x), *inputs), gradients(theirs(x), *inputs), strict=True):
        torch.testing.assert_close(own, other, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("factor", [2, 4])
@pytest.mark.parametrize("c_out", [1, 3])
def test_a_sub_pixel_convolution_is_a_convolution_and_a_pixel_shuffle(
    factor: int, c_out: int
) -> None:
    conv = nn.Conv2d(6, c_out * factor**2, 3, padding=1)
    assert_alike(
        lambda x: sub_pixel(conv, x, factor), lambda x: F.pixel_shuffle(conv(x), factor), conv
    )


def test_doubling_is_a_transposed_convolution() -> None:
    layer = Doubling(6, 3)
    assert_alike(layer, lambda x: nn.ConvTranspose2d.forward(layer, x), layer)


def test_what_was_doubled_can_be_changed_in_place() -> None:
    layer, x = Doubling(6, 3), drawn(2, 6, 5, 7)
    changed = gradients(F.relu_(layer(x)), *layer.parameters())
    for own, other in zip(changed, gradients(F.relu(layer(x)), *layer.parameters()), strict=True):
        torch.testing.assert_close(own, other)


def test_rows_and_grids_hold_the_values_in_the_order_channel_row_column() -> None:
    features = drawn(2, 3, 4, 5).to(memory_format=LAST)
    rows = to_rows(features)
    assert torch.equal(rows, features.contiguous().reshape(2, 60))
    assert torch.equal(to_grid(rows, (3, 4, 5)), features)


def test_tensors_and_gradients_of_grids_lie_channels_last() -> None:
    leaf = drawn(2, 3, 4, 5).to(memory_format=LAST).requires_grad_()
    features = leaf * 1
    seen: list[Tensor] = []
    rows = to_rows(features)
    features.register_hook(seen.append)
    assert to_grid(rows, (3, 4, 5)).is_contiguous(memory_format=LAST)
    rows.square().sum().backward()
    assert seen[0].is_contiguous(memory_format=LAST)
    assert leaf.grad is not None
    torch.testing.assert_close(leaf.grad, 2 * leaf.detach())


@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (2, 3, 4)])
def test_the_squared_error_is_the_mean_over_all_values(shape: tuple[int, ...]) -> None:
    x, target = drawn(*shape).requires_grad_(), torch.rand(shape)
    loss = mean_squared_error(x, target)
    torch.testing.assert_close(loss, F.mse_loss(x, target))
    (gradient,) = torch.autograd.grad(loss, x)
    torch.testing.assert_close(gradient, 2 * (x.detach() - target) / x.numel())


def test_the_gradient_of_the_squared_error_lies_as_the_pictures_do() -> None:
    x = drawn(2, 3, 4, 5).to(memory_format=LAST).requires_grad_()
    (gradient,) = torch.autograd.grad(mean_squared_error(x, torch.zeros_like(x)), x)
    assert gradient.is_contiguous(memory_format=LAST)


@pytest.mark.parametrize("size", [(25, 2), (13, 1), (64, 2)])
@pytest.mark.parametrize("kind", ["strided", "doubling"])
def test_in_bf16_a_last_column_and_its_gradients_are_what_they_are_in_float32(
    kind: str, size: tuple[int, int]
) -> None:
    torch.manual_seed(0)
    layer = StridedConv2d(16, 32, 3, stride=2, padding=1) if kind == "strided" else Doubling(16, 32)
    layer.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    for _ in range(6):  # memory that is not written holds something else each time
        junk = [torch.full((12 * 16 * size[0] * size[1],), float("nan")) for _ in range(4)]
        del junk
        x = torch.rand(12, 16, *size).contiguous(memory_format=torch.channels_last)
        found = []
        for in_bf16 in (True, False):
            layer.zero_grad()
            given = (x.bfloat16() if in_bf16 else x.clone()).requires_grad_()
            with torch.autocast("cpu", torch.bfloat16, enabled=in_bf16):
                result = layer(given)
            result.float().sum().backward()
            assert given.grad is not None
            assert layer.weight.grad is not None
            found.append((result.float(), given.grad.float(), layer.weight.grad.clone()))
        for one, other in zip(*found, strict=True):
            assert (one - other).abs().max() <= 0.03 * other.abs().max()
