from __future__ import annotations

import pytest
import torch

from residua.errors import ConfigurationError
from residua.models import build_model


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((8, 8, 1), 16), ((28, 28, 1), 16), ((128, 128, 1), 64), ((256, 256, 3), 128)],
)
def test_the_default_code_is_about_half_the_root_of_the_pictures_values(
    shape: tuple[int, int, int], expected: int
) -> None:
    assert build_model("conv", shape).latent_dim == expected


@pytest.mark.parametrize("shape", [(8, 8, 1), (9, 31, 2), (28, 28, 1), (100, 1024, 1)])
def test_the_code_is_a_true_bottleneck(shape: tuple[int, int, int]) -> None:
    height, width, channels = shape
    assert build_model("conv", shape).latent_dim * 4 <= height * width * channels


@pytest.mark.parametrize("side", [8, 9, 15, 17, 33, 1024])
def test_any_side_from_8_to_1024_is_taken(side: int) -> None:
    model = build_model("conv", (side, 8, 1)).eval()
    with torch.inference_mode():
        assert model(torch.zeros(1, 1, side, 8)).x_hat.shape == (1, 1, side, 8)


def test_depth_follows_from_the_size() -> None:
    depths = [
        sum(isinstance(layer, torch.nn.Conv2d) for layer in build_model("conv", s).encoder)
        for s in [(8, 8, 1), (28, 28, 1), (128, 128, 1), (1024, 1024, 1)]
    ]
    assert depths == [1, 2, 4, 7]


def test_the_code_size_can_be_set() -> None:
    assert build_model("conv", (28, 28, 1), latent_dim=5).latent_dim == 5
    with pytest.raises(ConfigurationError, match="at least 1"):
        build_model("conv", (28, 28, 1), latent_dim=-1)


@pytest.mark.parametrize("depth", [1, 2, 3, 4, 5])
def test_the_depth_can_be_set(depth: int) -> None:
    model = build_model("conv", (28, 20, 1), options={"depth": depth}).eval()
    assert model.depth == depth == sum(isinstance(m, torch.nn.Conv2d) for m in model.encoder)
    with torch.inference_mode():
        assert model(torch.zeros(1, 1, 28, 20)).x_hat.shape == (1, 1, 28, 20)


@pytest.mark.parametrize(("height", "width"), [(28, 20), (150, 201)])
def test_pictures_can_be_divided_and_multiplied_by_4_at_once(height: int, width: int) -> None:
    model = build_model("conv", (height, width, 1), options={"stem": 4}).eval()
    plain = build_model("conv", (height, width, 1))
    assert model.depth == plain.depth
    assert model.grid[1:] == plain.grid[1:]
    assert len(model.encoder) < len(plain.encoder)
    with torch.inference_mode():
        assert model(torch.zeros(1, 1, height, width)).x_hat.shape == (1, 1, height, width)


@pytest.mark.parametrize("options", [{"stem": 3}, {"stem": 4, "depth": 1}])
def test_a_stem_that_the_picture_does_not_have_is_refused(options: dict[str, int]) -> None:
    with pytest.raises(ConfigurationError, match=r"stem is \d with"):
        build_model("conv", (28, 20, 1), options=options)


@pytest.mark.parametrize("depth", [-1, 0, 6])
def test_a_depth_that_the_picture_does_not_have_is_refused(depth: int) -> None:
    with pytest.raises(ConfigurationError, match=f"depth is {depth}; .* from 1 to 5 times"):
        build_model("conv", (28, 20, 1), options={"depth": depth})


def test_without_a_depth_the_weights_are_those_of_the_depth_that_follows_from_the_size() -> None:
    states = []
    for options in ({}, {"depth": 3}):
        torch.manual_seed(0)
        states.append(build_model("conv", (64, 64, 1), options=options).state_dict())
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())
