from __future__ import annotations

import math

import pytest
import torch

from residua.errors import ConfigurationError, UnknownName
from residua.scoring.errors import GaussianBlur, ImageScore, SmoothedMaximum, TopK


def maps_of(name: str, x: torch.Tensor, x_hat: torch.Tensor) -> torch.Tensor:
    error_map, _ = ImageScore(name)(x, x_hat)
    return error_map


def full(value: float) -> torch.Tensor:
    return torch.full((1, 1, 16, 16), value)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("squared", 0.25),
        ("absolute", 0.5),
        ("bce", -(0.75 * math.log(0.25) + 0.25 * math.log(0.75))),
        ("bce_excess", 0.5 * math.log(3)),
    ],
)
def test_pixel_errors_equal_the_hand_computed(name: str, expected: float) -> None:
    found = maps_of(name, full(0.75), full(0.25))
    torch.testing.assert_close(found, torch.full((1, 16, 16), expected))


def test_cross_entropy_of_a_perfect_copy_is_the_pixels_own_entropy() -> None:
    assert float(maps_of("bce", full(0.5), full(0.5)).mean()) == pytest.approx(math.log(2))
    assert float(maps_of("bce_excess", full(0.5), full(0.5)).mean()) == pytest.approx(0, abs=1e-7)


def test_ssim_of_two_flat_pictures_is_the_luminance_term() -> None:
    c1 = 0.01**2
    luminance = (2 * 0.8 * 0.2 + c1) / (0.8**2 + 0.2**2 + c1)
    found = maps_of("ssim", full(0.8), full(0.2))
    torch.testing.assert_close(
        found, torch.full((1, 16, 16), (1 - luminance) / 2), rtol=1e-4, atol=1e-4
    )


def test_ssim_sees_lost_structure_where_the_mean_is_kept() -> None:
    stripes = full(0.5)
    stripes[..., ::2] = 0.9
    stripes[..., 1::2] = 0.1
    assert float(maps_of("ssim", stripes, full(0.5)).mean()) > 0.4


def test_errors_are_averaged_over_channels() -> None:
    x, x_hat = torch.zeros(1, 2, 8, 8), torch.zeros(1, 2, 8, 8)
    x_hat[:, 0] = 1
    assert float(maps_of("squared", x, x_hat).mean()) == 0.5


def test_topk_is_the_mean_of_the_highest_share() -> None:
    values = torch.arange(100.0).reshape(1, 10, 10)
    assert float(TopK(0.05)(values)) == pytest.approx((95 + 96 + 97 + 98 + 99) / 5)


def test_topk_takes_at_least_one_pixel() -> None:
    values = torch.arange(100.0).reshape(1, 10, 10)
    assert float(TopK(1e-6)(values)) == 99


def test_smoothed_maximum_prefers_a_spot_to_a_lone_pixel() -> None:
    lone, spot = torch.zeros(1, 32, 32), torch.zeros(1, 32, 32)
    lone[0, 16, 16] = 1
    spot[0, 13:20, 13:20] = 0.5
    assert SmoothedMaximum(2)(spot) > SmoothedMaximum(2)(lone)


def test_blur_keeps_a_flat_picture_up_to_the_border() -> None:
    torch.testing.assert_close(GaussianBlur(3)(full(0.3)), full(0.3))


@pytest.mark.parametrize("text", ["topk(0)", "topk(1.5)", "max(0)", "max(1000)", "mean(3)"])
def test_reductions_out_of_range_are_refused(text: str) -> None:
    with pytest.raises(ConfigurationError):
        ImageScore("squared", text)


def test_an_unknown_map_offers_the_nearest_name() -> None:
    with pytest.raises(UnknownName, match="squared"):
        ImageScore("square")
