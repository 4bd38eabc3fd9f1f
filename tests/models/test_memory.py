from __future__ import annotations

import pytest
import torch

from residua.errors import ConfigurationError
from residua.models import build_model

X = torch.rand(8, 1, 16, 16, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("shrinkage", [0.0, 1.0, 2.0, 3.0])
def test_weights_of_the_items_are_positive_and_add_up_to_one(shrinkage: float) -> None:
    model = build_model("memory", (16, 16, 1), options={"shrinkage": shrinkage})
    weights = model.address(torch.randn(50, model.latent_dim))
    assert weights.shape == (50, 500)
    assert float(weights.detach().min()) >= 0
    torch.testing.assert_close(weights.sum(1), torch.ones(50))


def test_shrinkage_leaves_few_items_and_none_is_without_it() -> None:
    query = torch.randn(50, 8)
    used = []
    for shrinkage in (0.0, 1.0, 3.0):
        torch.manual_seed(0)
        options = {"shrinkage": shrinkage}
        model = build_model("memory", (8, 8, 1), latent_dim=8, options=options)
        used.append(float((model.address(query) > 0).sum(1).float().mean()))
    assert used[0] == 500
    assert used[0] > 1.5 * used[1] > 3 * used[2]


def test_a_query_like_an_item_finds_that_item() -> None:
    model = build_model("memory", (16, 16, 1))
    found = model.address(7 * model.items[:20]).argmax(1)
    assert found.tolist() == list(range(20))


def test_an_undecided_query_still_finds_an_item() -> None:
    model = build_model("memory", (16, 16, 1), options={"shrinkage": 3.0})
    with torch.no_grad():
        model.items.copy_(model.items[:1].expand_as(model.items))
    weights = model.address(torch.randn(3, model.latent_dim))
    torch.testing.assert_close(weights.sum(1), torch.ones(3))


def test_the_addressing_has_no_jump() -> None:
    model = build_model("memory", (8, 8, 1), latent_dim=2, options={"items": 10})
    angle = torch.linspace(0, 6.283, 20_001).unsqueeze(1)
    weights = model.address(torch.cat([angle.sin(), angle.cos()], 1)).detach()
    assert float((weights[1:] - weights[:-1]).abs().max()) < 0.05


def test_the_code_is_the_query_and_the_decoder_sees_the_memory_alone() -> None:
    model = build_model("memory", (16, 16, 1)).eval()
    latent = model(X).latent
    torch.testing.assert_close(latent, model.to_code(model.encoder(X).flatten(1)))
    with torch.no_grad():
        model.items.zero_()
    x_hat = model(X).x_hat
    torch.testing.assert_close(x_hat, x_hat[:1].expand_as(x_hat))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"items": 1}, "items is 1"),
        ({"shrinkage": 4.0}, "shrinkage is 4.0"),
        ({"entropy_weight": -1.0}, "entropy_weight is -1.0"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        build_model("memory", (16, 16, 1), options=options)
