from __future__ import annotations

import math

import pytest
import torch

from residua.errors import ConfigurationError
from residua.models import build_model

X = torch.rand(8, 1, 16, 16, generator=torch.Generator().manual_seed(0))


def test_training_decodes_a_draw_and_scoring_the_mean() -> None:
    model = build_model("variational", (16, 16, 1))
    mean, _ = model.eval().posterior(X)
    torch.testing.assert_close(model(X).latent, mean)
    model.train()
    losses = {float(model.training_losses(X)["reconstruction"]) for _ in range(3)}
    assert len(losses) == 3


@pytest.mark.parametrize("loss", ["mse", "bce"])
def test_the_loss_is_the_reconstruction_and_the_divergence_shared_among_the_pixels(
    loss: str,
) -> None:
    model = build_model("variational", (16, 16, 1), loss=loss, options={"beta": 0.7}).eval()
    losses = model.training_losses(X)
    mean, log_variance = model.posterior(X)
    prior = torch.distributions.Normal(0.0, 1.0)
    codes = torch.distributions.Normal(mean, (0.5 * log_variance).exp())
    divergence = torch.distributions.kl_divergence(codes, prior).sum(1).mean()
    torch.testing.assert_close(losses["divergence"], divergence)
    torch.testing.assert_close(losses["loss"], losses["reconstruction"] + 0.7 * divergence / 256)


def test_no_variance_overflows() -> None:
    model = build_model("variational", (16, 16, 1))
    with torch.no_grad():
        model.to_log_variance.bias.fill_(1e6)
    _, log_variance = model.posterior(X)
    assert float(log_variance.detach().max()) == 10
    assert math.isfinite(float(model.training_losses(X)["loss"].detach()))


def test_the_code_does_not_collapse_at_the_default_weight() -> None:
    torch.manual_seed(0)
    # A faint square in one of nine places: some two numbers of a code say all.
    x = torch.zeros(90, 1, 16, 16)
    for number, picture in enumerate(x):
        row, column = divmod(number % 9, 3)
        picture[:, 5 * row : 5 * row + 5, 5 * column : 5 * column + 5] = 0.25
    model = build_model("variational", (16, 16, 1))
    optimiser = torch.optim.Adam(model.parameters(), lr=5e-3)
    for _ in range(60):
        optimiser.zero_grad()
        model.training_losses(x)["loss"].backward()
        optimiser.step()
    mean, log_variance = model.eval().posterior(x)
    # A number is used where its mean varies and its draw does not drown it.
    used = (mean.var(0) > 0.1) & (log_variance.exp().mean(0) < 0.5)
    assert int(used.sum()) >= 2


def test_a_weight_below_nothing_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"beta is -1"):
        build_model("variational", (16, 16, 1), options={"beta": -1})
