"""What every error map and every reduction must satisfy."""

from __future__ import annotations

import itertools

import pytest
import torch

from residua.scoring.errors import ERROR_MAPS, REDUCTIONS, ImageScore

PAIRS = list(itertools.product(ERROR_MAPS, REDUCTIONS))


def pictures(n: int = 3, channels: int = 1, height: int = 16, width: int = 24) -> torch.Tensor:
    return torch.rand(n, channels, height, width, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(("error_map", "reduction"), PAIRS)
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("shape", [(8, 8), (16, 24)])
def test_maps_and_scores_have_their_shapes_and_types(
    error_map: str, reduction: str, channels: int, shape: tuple[int, int]
) -> None:
    x = pictures(3, channels, *shape)
    found, scores = ImageScore(error_map, reduction)(x, 1 - x)
    assert found.shape == (3, *shape)
    assert found.dtype == torch.float32
    assert scores.shape == (3,)
    assert scores.dtype == torch.float64


@pytest.mark.parametrize(("error_map", "reduction"), PAIRS)
def test_a_worse_reconstruction_scores_higher(error_map: str, reduction: str) -> None:
    x = pictures()
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(1))
    score = ImageScore(error_map, reduction)
    by_noise = [score(x, (x + s * noise).clamp(0, 1))[1] for s in (0.0, 0.1, 0.5)]
    assert (by_noise[0] < by_noise[1]).all()
    assert (by_noise[1] < by_noise[2]).all()


@pytest.mark.parametrize("error_map", sorted(set(ERROR_MAPS) - {"bce"}))
def test_a_perfect_copy_has_no_error(error_map: str) -> None:
    x = pictures()
    found, _ = ImageScore(error_map)(x, x)
    torch.testing.assert_close(found, torch.zeros_like(found), atol=1e-5, rtol=0)


@pytest.mark.parametrize(("error_map", "reduction"), PAIRS)
@pytest.mark.parametrize("values", [(0.0, 0.0), (1.0, 1.0), (0.0, 1.0), (1.0, 0.0)])
def test_black_and_white_pictures_have_finite_scores(
    error_map: str, reduction: str, values: tuple[float, float]
) -> None:
    x, x_hat = (torch.full((1, 1, 16, 16), value) for value in values)
    found, scores = ImageScore(error_map, reduction)(x, x_hat)
    assert torch.isfinite(found).all()
    assert torch.isfinite(scores).all()
    assert (found >= 0).all()


@pytest.mark.parametrize(("error_map", "reduction"), PAIRS)
def test_a_picture_has_the_same_score_alone_and_in_a_batch(error_map: str, reduction: str) -> None:
    x = pictures(5)
    score = ImageScore(error_map, reduction)
    together = score(x, 1 - x)[1]
    alone = torch.cat([score(x[i : i + 1], 1 - x[i : i + 1])[1] for i in range(5)])
    torch.testing.assert_close(together, alone, rtol=1e-6, atol=0)
