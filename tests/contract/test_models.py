"""What every network must satisfy; a new one is tested by being registered."""

from __future__ import annotations

import pytest
import torch

from residua.errors import ConfigurationError, UnknownName
from residua.models import MODELS, build_model

SHAPES = [(8, 8, 1), (28, 28, 1), (32, 20, 3), (64, 8, 2)]


def batch(shape: tuple[int, int, int], n: int = 3) -> torch.Tensor:
    height, width, channels = shape
    return torch.rand(n, channels, height, width, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("shape", SHAPES)
def test_the_reconstruction_has_the_pictures_shape_and_range(
    name: str, shape: tuple[int, int, int]
) -> None:
    x = batch(shape)
    with torch.inference_mode():
        x_hat, latent = build_model(name, shape).eval()(x)
    assert x_hat.shape == x.shape
    assert x_hat.dtype == torch.float32
    assert float(x_hat.min()) >= 0
    assert float(x_hat.max()) <= 1
    assert latent.ndim == 2
    assert len(latent) == len(x)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("shape", SHAPES)
def test_the_code_has_the_size_that_the_model_says(name: str, shape: tuple[int, int, int]) -> None:
    model = build_model(name, shape).eval()
    assert model(batch(shape)).latent.shape[1] == model.latent_dim


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("loss", ["mse", "bce"])
def test_every_weight_gets_a_gradient(name: str, loss: str) -> None:
    model = build_model(name, (16, 16, 1), loss=loss)
    model.training_losses(batch((16, 16, 1)))["loss"].backward()
    for parameter_name, parameter in model.named_parameters():
        assert parameter.grad is not None, parameter_name
        assert torch.isfinite(parameter.grad).all(), parameter_name


@pytest.mark.parametrize("name", MODELS)
def test_a_few_steps_lower_the_loss(name: str) -> None:
    torch.manual_seed(0)
    model = build_model(name, (16, 16, 1))
    x = (batch((2, 2, 1), 16) > 0.5).float().repeat_interleave(8, 2).repeat_interleave(8, 3)
    optimiser = torch.optim.Adam(model.parameters(), lr=3e-3)
    losses = []
    for _ in range(40):
        loss = model.training_losses(x)["loss"]
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.9 * losses[0]


@pytest.mark.parametrize("name", MODELS)
def test_a_picture_is_rebuilt_the_same_alone_and_in_a_batch(name: str) -> None:
    model, x = build_model(name, (16, 16, 1)).eval(), batch((16, 16, 1), 4)
    with torch.inference_mode():
        torch.testing.assert_close(model(x).x_hat[2:3], model(x[2:3]).x_hat, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", MODELS)
def test_equal_seeds_give_equal_weights(name: str) -> None:
    states = []
    for _ in range(2):
        torch.manual_seed(7)
        states.append(build_model(name, (16, 16, 1)).state_dict())
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])


@pytest.mark.parametrize("name", MODELS)
def test_unknown_losses_and_options_are_refused(name: str) -> None:
    with pytest.raises(UnknownName, match="bce"):
        build_model(name, (16, 16, 1), loss="bcee")
    with pytest.raises(ConfigurationError, match="depth_of_field"):
        build_model(name, (16, 16, 1), options={"depth_of_field": 3})


def test_an_unknown_model_offers_the_nearest_name() -> None:
    with pytest.raises(UnknownName, match="did you mean 'conv'"):
        build_model("convv", (16, 16, 1))
