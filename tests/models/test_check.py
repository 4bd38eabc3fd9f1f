from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn

from residua.errors import BrokenContract
from residua.models import Reconstruction, build_model
from residua.models.check import check_contract


class Loose(nn.Module):
    """A network that keeps the contract, each part of which a test can break."""

    def __init__(self, **broken: Any) -> None:
        super().__init__()
        self.channels, self.height, self.width, self.latent_dim = 2, 10, 8, 3
        self.loss = "mse"
        self.down, self.up = nn.Linear(160, 3), nn.Linear(3, 160)
        for name, value in broken.items():
            setattr(self, name, value)

    def encode(self, x: Tensor) -> Tensor:
        return self.down(x.flatten(1))

    def decode(self, latent: Tensor) -> Tensor:
        return self.up(latent).reshape(-1, 2, 10, 8)

    def forward(self, x: Tensor) -> Reconstruction:
        latent = Loose.encode(self, x)
        return Reconstruction(torch.sigmoid(Loose.decode(self, latent)), latent)

    def training_losses(self, x: Tensor) -> dict[str, Tensor]:
        return {"loss": (Loose.forward(self, x).x_hat - x).square().mean()}


class Other(NamedTuple):
    x_hat: Any
    latent: Any = torch.zeros(5, 3)


def rebuilding(change: Callable[[Tensor], Any]) -> Any:
    return lambda x: Other(change(x))


def test_a_module_of_no_known_class_that_keeps_the_contract_is_taken() -> None:
    check_contract(Loose())
    check_contract(Loose(forward=rebuilding(lambda x: x)))


@pytest.mark.parametrize(
    ("broken", "found", "wanted"),
    [
        ({"latent_dim": None}, "has latent_dim = None", "at least 1"),
        ({"height": 0}, "has height = 0", "at least 1"),
        ({"loss": None}, "has loss = None", "name"),
        ({"encode": None}, "has no method 'encode'", "training_losses"),
        ({"forward": lambda x: x}, r"gives NoneType for forward.*x_hat", r"\(5, 2, 10, 8\)"),
        (
            {"forward": rebuilding(lambda x: x[..., :4])},
            r"x_hat of shape \(5, 2, 10, 4\) for pictures \(5, 2, 10, 8\)",
            r"\(5, 2, 10, 8\)",
        ),
        ({"forward": rebuilding(lambda x: x * 2 - 0.5)}, "values from -0", r"\[0, 1\]"),
        ({"forward": rebuilding(lambda x: x / 0)}, "not finite", "finite"),
        (
            {"forward": rebuilding(lambda x: x.double())},
            "gives torch.float64 for forward.*x_hat",
            "float32",
        ),
        (
            {"forward": lambda x: Other(x, torch.zeros(5, 3, 1))},
            r"latent of shape \(5, 3, 1\)",
            r"\(5, 3\)",
        ),
        (
            {"forward": lambda x: Other(x, torch.full((5, 3), torch.nan))},
            "latent with values that are not finite",
            "finite",
        ),
        ({"latent_dim": 4}, r"latent of shape \(5, 3\)", r"\(5, 4\)"),
        ({"encode": lambda x: x}, r"encode.* of shape \(5, 2, 10, 8\)", r"\(5, 3\)"),
        ({"decode": lambda z: z}, r"decode.* of shape \(5, 3\)", r"\(5, 2, 10, 8\)"),
        ({"training_losses": lambda x: x.mean()}, "gives Tensor for training_losses", "'loss'"),
        ({"training_losses": lambda x: {"mse": x.mean()}}, r"gives \['mse'\]", "'loss'"),
        ({"training_losses": lambda x: {"loss": x.mean(0)}}, r"shape \(2, 10, 8\)", r"\(\)"),
        ({"training_losses": lambda x: {"loss": x.mean()}}, "without a gradient", "weights"),
    ],
)
def test_a_broken_contract_names_what_was_found_and_what_was_wanted(
    broken: dict[str, Any], found: str, wanted: str
) -> None:
    with pytest.raises(BrokenContract, match=rf"'Loose' .*{found}.*; wanted .*{wanted}"):
        check_contract(Loose(**broken))


def test_what_fails_inside_a_network_is_named_with_the_shape_that_it_was_given() -> None:
    with pytest.raises(
        BrokenContract, match=r"'mine' fails in forward of a tensor \(5, 2, 10, 8\): RuntimeError"
    ):
        check_contract(Loose(down=nn.Linear(7, 3)), "mine")


def test_no_module_at_all_is_refused() -> None:
    with pytest.raises(BrokenContract, match=r"'object' is object; wanted a torch\.nn\.Module"):
        check_contract(object())


def test_shapes_are_checked_without_weights() -> None:
    with torch.device("meta"):
        check_contract(Loose())
        with pytest.raises(BrokenContract, match="x_hat of shape"):
            check_contract(Loose(forward=rebuilding(lambda x: x[:, :1])))


def test_weights_statistics_mode_and_random_state_stay_as_they_are() -> None:
    model = build_model("adversarial", (16, 16, 1)).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state = torch.get_rng_state()
    check_contract(model)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state)
    assert model.training
    assert all(parameter.grad is None for parameter in model.parameters())
