from __future__ import annotations

import math

import pytest
import torch

from residua.errors import ConfigurationError
from residua.models import build_model
from residua.models.defects import perlin_noise, with_defects

CPU = torch.device("cpu")


def test_defects_lie_where_the_mask_says_and_nowhere_else() -> None:
    torch.manual_seed(0)
    x = torch.rand(64, 3, 24, 40)
    defective, mask = with_defects(x, 1.0)
    assert mask.shape == (64, 1, 24, 40)
    inside = mask.bool().expand_as(x)
    assert torch.equal(defective[~inside], x[~inside])
    assert float((defective[inside] != x[inside]).float().mean()) > 0.95
    assert float(defective.min()) >= 0
    assert float(defective.max()) <= 1


def test_about_the_given_share_of_the_pictures_gets_a_defect() -> None:
    torch.manual_seed(0)
    x = torch.rand(400, 1, 16, 16)
    for share in (0.0, 0.5):
        hit = with_defects(x, share)[1].flatten(1).any(1).float().mean()
        assert float(hit) == pytest.approx(share, abs=0.1)


def test_defects_cover_a_small_part_of_a_picture() -> None:
    torch.manual_seed(0)
    covered = [float(with_defects(torch.rand(64, 1, 32, 32), 1.0)[1].mean()) for _ in range(10)]
    assert 0.02 < sum(covered) / 10 < 0.25


def test_pictures_get_defects_of_their_own() -> None:
    torch.manual_seed(0)
    mask = with_defects(torch.rand(32, 1, 32, 32), 1.0)[1].flatten(1)
    assert len(torch.unique(mask, dim=0)) > 24


@pytest.mark.parametrize("size", [(8, 8), (9, 31), (64, 200)])
def test_noise_is_smooth_centred_and_within_its_range(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    draws = [perlin_noise(200, *size, CPU) for _ in range(8)]
    for noise in draws:
        assert noise.shape == (200, *size)
        assert float(noise.abs().max()) <= 1
        steps = (noise[:, :, 1:] - noise[:, :, :-1]).square().mean().sqrt()
        assert float(steps) < 0.9 * float(noise.std()) * math.sqrt(2)
    assert abs(float(torch.stack([noise.mean() for noise in draws]).mean())) < 0.02


def test_one_picture_alone_gets_defects_too() -> None:
    torch.manual_seed(0)
    x = torch.rand(1, 1, 16, 16)
    changed = [not torch.equal(with_defects(x, 1.0)[0], x) for _ in range(20)]
    assert sum(changed) > 10


def test_the_sound_picture_is_the_target() -> None:
    model = build_model("restoring", (16, 16, 1), options={"defective_share": 1.0})
    x = torch.rand(4, 1, 16, 16)
    model.decode = lambda latent: torch.logit(x)  # type: ignore[method-assign]
    assert float(model.training_losses(x)["loss"]) < 1e-9


def test_without_defects_it_is_conv() -> None:
    x = torch.rand(4, 1, 16, 16)
    losses = []
    for name, options in (("restoring", {"defective_share": 0.0}), ("conv", {})):
        torch.manual_seed(0)
        model = build_model(name, (16, 16, 1), options=options)
        losses.append(float(model.training_losses(x)["loss"].detach()))
    assert losses[0] == losses[1]


def test_a_share_out_of_range_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"defective_share is 1\.5"):
        build_model("restoring", (16, 16, 1), options={"defective_share": 1.5})
