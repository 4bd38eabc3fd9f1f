"""What every network must satisfy; a new one is tested by being registered."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray

from residua.catalogue import CATALOGUE
from residua.errors import ConfigurationError, UnknownName
from residua.graph import ScoringGraph
from residua.models import MODELS, build_model
from residua.models.check import check_contract
from residua.scoring.errors import ImageScore
from residua.settings import FEATURES
from residua.training.config import TrainingConfig
from residua.training.fit import train

SHAPES = [(8, 8, 1), (28, 28, 1), (32, 20, 3), (64, 8, 2)]


def batch(shape: tuple[int, int, int], n: int = 3) -> torch.Tensor:
    height, width, channels = shape
    return torch.rand(n, channels, height, width, generator=torch.Generator().manual_seed(0))


class ErrorAlone(torch.nn.Module):
    """A score of nothing but what the network rebuilds."""

    def __init__(self) -> None:
        super().__init__()
        self.error = ImageScore("squared", "mean")

    def forward(self, x: torch.Tensor, x_hat: torch.Tensor, _latent: torch.Tensor) -> object:
        return self.error(x, x_hat)


@pytest.fixture(scope="module")
def digits() -> NDArray[np.uint8]:
    from sklearn.datasets import load_digits

    images: NDArray[np.uint8] = np.rint(load_digits().images * (255 / 16)).astype(np.uint8)
    return images[:1_200, :, :, None]


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
@pytest.mark.parametrize("shape", [(8, 8, 1), (32, 20, 3)])
def test_the_contract_of_plugins_holds_with_and_without_weights(
    name: str, shape: tuple[int, int, int]
) -> None:
    check_contract(build_model(name, shape))
    with torch.device("meta"):
        check_contract(build_model(name, shape))


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("loss", ["mse", "bce"])
def test_every_weight_gets_a_gradient(name: str, loss: str) -> None:
    model = build_model(name, (16, 16, 1), loss=loss)
    model.training_losses(batch((16, 16, 1)))["loss"].backward()
    for parameter_name, parameter in model.named_parameters():
        assert parameter.grad is not None, parameter_name
        assert torch.isfinite(parameter.grad).all(), parameter_name


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("level", [0.0, 1.0])
def test_constant_pictures_give_finite_losses_and_gradients(name: str, level: float) -> None:
    model = build_model(name, (16, 16, 3))
    loss = model.training_losses(torch.full((4, 3, 16, 16), level))["loss"]
    loss.backward()
    assert torch.isfinite(loss)
    assert all(torch.isfinite(p.grad).all() for p in model.parameters())


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("loss", ["mse", "bce"])
def test_losses_are_taken_in_float32_where_the_layers_compute_in_bf16(name: str, loss: str) -> None:
    model = build_model(name, (16, 16, 1), loss=loss)
    with torch.autocast("cpu", torch.bfloat16):
        losses = model.training_losses(batch((16, 16, 1)))
    assert all(value.dtype == torch.float32 and value.ndim == 0 for value in losses.values())
    losses["loss"].backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters())


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("in_bf16", [False, True])
def test_a_few_steps_lower_the_loss(name: str, in_bf16: bool) -> None:
    torch.manual_seed(0)
    model = build_model(name, (16, 16, 1))
    x = (batch((2, 2, 1), 16) > 0.5).float().repeat_interleave(8, 2).repeat_interleave(8, 3)
    optimiser = torch.optim.Adam(model.parameters(), lr=3e-3)
    losses = []
    for _ in range(40):
        with torch.autocast("cpu", torch.bfloat16, enabled=in_bf16):
            loss = model.training_losses(x)["loss"]
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.9 * losses[0]


# Those of the reports have recipes of their own, and tests with these.
@pytest.mark.filterwarnings("ignore::residua.errors.ResiduaWarning")
@pytest.mark.parametrize("name", [name for name in MODELS if not name.startswith("seed-")])
def test_a_short_fit_rebuilds_digits_far_better_than_their_mean(
    name: str, digits: NDArray[np.uint8]
) -> None:
    parts = np.arange(1_000), np.arange(1_000, 1_200)
    config = TrainingConfig(epochs=6, batch_size=32, precision="float32", device="cpu")
    checks = train(lambda: build_model(name, (8, 8, 1)), digits, *parts, config).checks
    assert checks.network_mse < 0.8 * checks.mean_image_mse


@pytest.mark.parametrize("name", MODELS)
def test_in_evaluation_nothing_is_drawn_at_random(name: str) -> None:
    model, x = build_model(name, (16, 16, 1)).eval(), batch((16, 16, 1))
    before = torch.get_rng_state()
    with torch.inference_mode():
        losses = [float(model.training_losses(x)["loss"]) for _ in range(2)]
        rebuilt = [model(x).x_hat for _ in range(2)]
    assert torch.equal(torch.get_rng_state(), before)
    assert losses[0] == losses[1]
    assert torch.equal(*rebuilt)


@pytest.mark.parametrize("name", MODELS)
def test_a_picture_is_rebuilt_the_same_alone_and_in_a_batch(name: str) -> None:
    model, x = build_model(name, (16, 16, 1)).eval(), batch((16, 16, 1), 4)
    with torch.inference_mode():
        torch.testing.assert_close(model(x).x_hat[2:3], model(x[2:3]).x_hat, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("shape", [(16, 16, 1), (32, 20, 3)])
def test_onnx_runtime_gives_the_score_of_torch_at_any_batch_size(
    name: str, shape: tuple[int, int, int]
) -> None:
    torch.manual_seed(0)
    graph = ScoringGraph(build_model(name, shape), ErrorAlone())
    images = (255 * batch(shape, 5)).to(torch.uint8).permute(0, 2, 3, 1).contiguous()
    for _ in range(3):  # the statistics of batch normalisation leave those of a fresh network
        graph.model.training_losses(images.permute(0, 3, 1, 2) / 255)
    session = onnxruntime.InferenceSession(graph.onnx(), providers=["CPUExecutionProvider"])
    for n in (1, 5):
        with torch.inference_mode():
            by_torch = [output.numpy() for output in graph.eval()(images[:n])]
        by_onnx = session.run(None, {"images": images[:n].numpy()})
        np.testing.assert_allclose(by_onnx[0], by_torch[0], rtol=1e-5)
        np.testing.assert_allclose(by_onnx[2], by_torch[2], atol=1e-5)


@pytest.mark.parametrize("name", MODELS)
def test_equal_seeds_give_equal_weights_and_losses(name: str) -> None:
    states, losses = [], []
    for _ in range(2):
        torch.manual_seed(7)
        model = build_model(name, (16, 16, 1))
        states.append(model.state_dict())
        losses.append(float(model.training_losses(batch((16, 16, 1)))["loss"].detach()))
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])
    assert losses[0] == losses[1]


@pytest.mark.parametrize("name", MODELS)
def test_unknown_losses_and_options_are_refused(name: str) -> None:
    with pytest.raises(UnknownName, match="bce"):
        build_model(name, (16, 16, 1), loss="bcee")
    with pytest.raises(ConfigurationError, match="depth_of_field"):
        build_model(name, (16, 16, 1), options={"depth_of_field": 3})


def test_an_unknown_model_offers_the_nearest_name() -> None:
    with pytest.raises(UnknownName, match="did you mean 'conv'"):
        build_model("convv", (16, 16, 1))


def test_the_catalogue_describes_the_registered_networks() -> None:
    assert [name for name in CATALOGUE if name != FEATURES] == list(MODELS)


@pytest.mark.parametrize("name", MODELS)
def test_the_catalogue_counts_weights_as_the_network_has_them(name: str) -> None:
    with torch.device("meta"):
        built = [build_model(name, shape) for shape in ((28, 28, 1), (128, 128, 3))]
    small, large = (sum(p.numel() for p in model.parameters()) for model in built)
    assert (CATALOGUE[name].weights_small, CATALOGUE[name].weights_large) == (small, large)
