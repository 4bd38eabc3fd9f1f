from __future__ import annotations

import numpy as np
import pytest
import torch

from residua.features.network import Layout
from residua.scoring.feature_score import DescriptorError, FeatureError, feature_score
from residua.scoring.parts import Seen

LAYOUT = Layout(channels=5, height=4, width=3, descriptor=6)


def rows(n: int = 8, seed: int = 0) -> torch.Tensor:
    draw = torch.Generator().manual_seed(seed)
    return torch.randn(n, LAYOUT.maps + LAYOUT.descriptor, generator=draw)


def test_the_error_of_a_position_is_relative_to_its_energy() -> None:
    x, x_hat = rows(), rows(seed=1)
    error_map, error = FeatureError(LAYOUT, "mean")(x, x_hat)
    maps, maps_hat = (LAYOUT.split(row)[0].numpy() for row in (x, x_hat))
    expected = np.square(maps - maps_hat).mean(1) / (np.square(maps).mean(1) + 0.01)
    np.testing.assert_allclose(error_map, expected, rtol=1e-5)
    np.testing.assert_allclose(error, expected.mean((1, 2)), rtol=1e-5)
    assert (error_map.dtype, error.dtype) == (torch.float32, torch.float64)


def test_the_error_of_the_map_does_not_look_at_the_descriptor() -> None:
    x, x_hat = rows(), rows(seed=1)
    other = x_hat.clone()
    other[:, LAYOUT.maps :] += 9
    error = FeatureError(LAYOUT, "topk(0.1)")
    assert torch.equal(error(x, x_hat)[1], error(x, other)[1])


def test_the_error_of_the_descriptor_is_relative_to_its_energy() -> None:
    x, x_hat = rows(), rows(seed=1)
    nothing = torch.zeros(8, 1)
    seen = Seen(x, x_hat, nothing, nothing, nothing)
    given, rebuilt = (LAYOUT.split(row)[1].double().numpy() for row in (x, x_hat))
    expected = np.square(given - rebuilt).mean(1) / (np.square(given).mean(1) + 0.01)
    np.testing.assert_allclose(DescriptorError(LAYOUT)(seen), expected, rtol=1e-6)


@pytest.mark.parametrize("level", [0.0, 1e3, -1e3])
def test_features_without_energy_or_with_all_of_it_have_finite_errors(level: float) -> None:
    x = torch.full((2, LAYOUT.maps + LAYOUT.descriptor), level)
    for x_hat in (x, -x, torch.zeros_like(x)):
        error_map, error = FeatureError(LAYOUT, "mean")(x, x_hat)
        assert torch.isfinite(error_map).all()
        part = DescriptorError(LAYOUT)(Seen(x, x_hat, x, error_map, error))
        assert torch.isfinite(part).all()
        assert (part >= 0).all()


@pytest.mark.parametrize("strange", ["maps", "descriptor"])
def test_features_that_are_strange_in_one_way_only_are_surprising(strange: str) -> None:
    x, wrong = rows(90), rows(90, seed=1)
    x_hat, latent = x + 0.1 * wrong, x[:, -3:].clone()

    def observe(chosen: np.ndarray) -> object:
        yield x[chosen], x_hat[chosen], latent[chosen]

    score = feature_score(LAYOUT, "mean", "surprise")
    score.fit(observe, np.arange(60), np.arange(60, 90), 0)  # type: ignore[arg-type]
    usual = score(x, x_hat, latent)[1][60:]
    rebuilt = x_hat.clone()
    if strange == "maps":
        rebuilt[:, : LAYOUT.maps] = (x + 3 * wrong)[:, : LAYOUT.maps]
    else:
        rebuilt[:, LAYOUT.maps :] = (x + 3 * wrong)[:, LAYOUT.maps :]
    assert score(x, rebuilt, latent)[1].median() > usual.max()


@pytest.mark.parametrize("score", ["surprise", "knn", "knn(3)"])
def test_of_codes_of_features_the_direction_counts(score: str) -> None:
    (part,) = [p for p in feature_score(LAYOUT, "mean", score).parts if p.needs_code]
    assert part.angular
