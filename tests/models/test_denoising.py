from __future__ import annotations

import pytest
import torch

from residua.errors import ConfigurationError
from residua.models import build_model

X = torch.full((4, 1, 32, 32), 0.5)


def test_noise_is_gaussian_and_masks_a_share_of_the_values() -> None:
    torch.manual_seed(0)
    options = {"noise_std": 0.1, "masked_share": 0.25}
    noisy = build_model("denoising", (32, 32, 1), options=options).corrupt(X)
    masked = noisy == 0
    assert float(masked.float().mean()) == pytest.approx(0.25, abs=0.03)
    assert float(noisy[~masked].std()) == pytest.approx(0.1, abs=0.01)
    assert float(noisy[~masked].mean()) == pytest.approx(0.5, abs=0.01)


def test_without_noise_it_is_conv() -> None:
    options = {"noise_std": 0.0, "masked_share": 0.0}
    losses = []
    for name, own in (("denoising", options), ("conv", {})):
        torch.manual_seed(0)
        model = build_model(name, (16, 16, 1), options=own)
        losses.append(float(model.training_losses(X[:, :, :16, :16])["loss"].detach()))
    assert losses[0] == losses[1]


def test_the_clean_picture_is_the_target() -> None:
    model = build_model("denoising", (16, 16, 1))
    x = torch.rand(4, 1, 16, 16)
    model.decode = lambda latent: torch.logit(x)  # type: ignore[method-assign]
    assert float(model.training_losses(x)["loss"]) < 1e-9


@pytest.mark.parametrize(
    "options", [{"noise_std": -0.1}, {"masked_share": 1.0}, {"masked_share": -0.1}]
)
def test_noise_out_of_range_is_refused(options: dict[str, float]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(options))):
        build_model("denoising", (16, 16, 1), options=options)
