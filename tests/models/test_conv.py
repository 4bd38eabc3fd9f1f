from __future__ import annotations

import pytest
import torch

from residua.errors import ConfigurationError
from residua.models import build_model
from residua.models.conv import halvings


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
    assert depths == [1, 2, 4, 6]  # the largest are divided by 4 at once


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


@pytest.mark.parametrize(("side", "stem"), [(128, 2), (129, 4), (256, 4)])
def test_pictures_above_128_pixels_are_divided_and_multiplied_by_4_at_once(
    side: int, stem: int
) -> None:
    model = build_model("conv", (side, 64, 1)).eval()
    assert model.encoder[0].stride == (stem, stem)
    assert model.decoder[-1].factor == stem
    with torch.inference_mode():
        assert model(torch.zeros(1, 1, side, 64)).x_hat.shape == (1, 1, side, 64)


@pytest.mark.parametrize("name", ["conv", "variational"])
def test_weights_saved_when_every_level_halved_still_load(name: str) -> None:
    saved, model = (build_model(name, (150, 200, 1)) for _ in range(2))
    saved._lay(halvings(150, 200, None), stem=2)
    model.load_state_dict(saved.state_dict())
    x = torch.rand(2, 1, 150, 200)
    with torch.inference_mode():
        assert torch.equal(model.eval()(x).x_hat, saved.eval()(x).x_hat)


@pytest.mark.parametrize("depth", [1, 2, 8])
def test_large_pictures_take_any_depth(depth: int) -> None:
    model = build_model("conv", (160, 200, 1), options={"depth": depth}).eval()
    assert model.depth == depth
    with torch.inference_mode():
        assert model(torch.zeros(1, 1, 160, 200)).x_hat.shape == (1, 1, 160, 200)


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
