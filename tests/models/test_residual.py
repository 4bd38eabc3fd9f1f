from __future__ import annotations

import pytest
import torch
from torch import nn

from residua.errors import ConfigurationError
from residua.models import build_model
from residua.models.residual import ResidualBlock, ResidualUp


def convolutions(model: nn.Module) -> int:
    return sum(isinstance(layer, nn.Conv2d) for layer in model.modules())


def test_it_is_several_times_as_deep_as_conv_at_an_equal_code() -> None:
    conv, residual = (build_model(name, (64, 64, 1)) for name in ("conv", "residual"))
    assert convolutions(residual) > 3 * convolutions(conv)
    assert residual.latent_dim == conv.latent_dim
    assert residual.grid == conv.grid


def test_a_block_adds_to_what_passes_around_it() -> None:
    block = ResidualBlock(4, 4).eval()
    nn.init.zeros_(block.layers[-1].weight)
    x = torch.rand(2, 4, 6, 6)
    assert torch.equal(block(x), x)


def test_a_block_that_doubles_adds_to_the_doubled_picture() -> None:
    block = ResidualUp(4, 2, (11, 12)).eval()
    nn.init.zeros_(block.layers[-1].weight)
    x = torch.rand(2, 4, 6, 6)
    around = block.around(x)[:, :, :11]
    torch.testing.assert_close(block(x), around.relu())


@pytest.mark.parametrize("depth", [1, 2, 5])
@pytest.mark.parametrize("blocks", [1, 3])
def test_depth_and_blocks_can_be_set(depth: int, blocks: int) -> None:
    options = {"depth": depth, "blocks": blocks, "first_channels": 8}
    model = build_model("residual", (28, 20, 1), options=options).eval()
    assert model.depth == depth
    with torch.inference_mode():
        assert model(torch.zeros(1, 1, 28, 20)).x_hat.shape == (1, 1, 28, 20)


def test_a_level_without_a_block_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="blocks is 0"):
        build_model("residual", (16, 16, 1), options={"blocks": 0})
