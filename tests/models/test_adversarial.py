from __future__ import annotations

import pytest
import torch

from residua.errors import ConfigurationError
from residua.models import build_model

X = torch.rand(8, 1, 16, 16, generator=torch.Generator().manual_seed(0))


def test_deceiving_moves_the_encoder_and_not_the_discriminator() -> None:
    model = build_model("adversarial", (16, 16, 1), options={"prior_weight": 0.0})
    deceiving = build_model("adversarial", (16, 16, 1), options={"prior_weight": 1.0})
    deceiving.load_state_dict(model.state_dict())
    for network in (model, deceiving):
        torch.manual_seed(1)
        network.training_losses(X)["loss"].backward()
    own, other = (dict(network.named_parameters()) for network in (model, deceiving))
    for name, parameter in own.items():
        same = torch.allclose(parameter.grad, other[name].grad, rtol=1e-4, atol=1e-7)
        if name.startswith("discriminator"):
            assert same, name
        if name == "to_code.weight":
            assert not same


def test_discriminating_moves_the_discriminator_and_not_the_encoder() -> None:
    model = build_model("adversarial", (16, 16, 1), options={"prior_weight": 0.0})
    model.training_losses(X)["loss"].backward()
    with_adversary = model.to_code.weight.grad.clone()
    assert model.discriminator[0].weight.grad.abs().sum() > 0
    model.zero_grad()
    model.rebuilding_loss(model.decode(model.encode(X)), X).backward()
    torch.testing.assert_close(model.to_code.weight.grad, with_adversary)


def test_codes_that_start_far_from_the_prior_are_drawn_to_it() -> None:
    centres = []
    for prior_weight in (0.0, 0.005):
        torch.manual_seed(0)
        options = {"first_channels": 8, "prior_weight": prior_weight}
        model = build_model("adversarial", (8, 8, 1), latent_dim=2, options=options)
        torch.nn.init.constant_(model.to_code.bias, 3.0)
        rows = torch.arange(8.0)
        where = torch.rand(128, 2) * 4 + 2  # a soft spot, anywhere
        spots = [torch.exp(-((rows - where[:, i : i + 1]) ** 2) / 6) for i in (0, 1)]
        x = (spots[0].unsqueeze(2) * spots[1].unsqueeze(1)).unsqueeze(1)
        optimiser = torch.optim.Adam(model.parameters(), lr=5e-3)
        for _ in range(150):
            optimiser.zero_grad()
            model.training_losses(x)["loss"].backward()
            optimiser.step()
        with torch.inference_mode():
            codes = model.eval()(x).latent
        centres.append(float(codes.mean(0).norm()))
    assert centres[1] < 0.5 * centres[0]
    assert 0.5 < float(codes.std(0).mean()) < 1.5


def test_a_steep_discriminator_pays_for_its_slope() -> None:
    model = build_model("adversarial", (16, 16, 1))
    losses = []
    for _ in range(2):
        torch.manual_seed(0)
        losses.append({name: float(v.detach()) for name, v in model.training_losses(X).items()})
        with torch.no_grad():
            model.discriminator[-1].weight.mul_(100)
    rest = [found["loss"] - found["reconstruction"] - found["discrimination"] for found in losses]
    assert rest[1] > 100 * rest[0]


def test_the_discriminator_takes_no_part_in_scoring() -> None:
    model = build_model("adversarial", (16, 16, 1)).eval()
    before = model(X)
    with torch.no_grad():
        for parameter in model.discriminator.parameters():
            parameter.fill_(torch.nan)
    assert torch.equal(model(X).x_hat, before.x_hat)


def test_a_weight_below_nothing_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"prior_weight is -1"):
        build_model("adversarial", (16, 16, 1), options={"prior_weight": -1})
