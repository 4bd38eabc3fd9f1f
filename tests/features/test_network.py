from __future__ import annotations

import numpy as np
import pytest
import torch

from residua.errors import ConfigurationError
from residua.features.network import FeatureAutoencoder, Layout

LAYOUT = Layout(channels=10, height=4, width=3, descriptor=12)
WIDTH = LAYOUT.maps + LAYOUT.descriptor


def rows(n: int = 300) -> torch.Tensor:
    """Standardised rows whose positions and descriptors are correlated, and a little bent."""
    rng = np.random.default_rng(0)
    mixed = rng.normal(size=(n * 12, 4)) @ rng.normal(size=(4, 10))
    positions = mixed + 0.5 * mixed**2 + 0.3 * rng.normal(size=mixed.shape)
    mixed = rng.normal(size=(n, 3)) @ rng.normal(size=(3, 12))
    descriptors = np.tanh(mixed) + 0.1 * rng.normal(size=mixed.shape)
    positions = (positions - positions.mean(0)) / positions.std(0)
    descriptors = (descriptors - descriptors.mean(0)) / descriptors.std(0)
    maps = positions.reshape(n, 4, 3, 10).transpose(0, 3, 1, 2)
    row = np.concatenate([maps.reshape(n, -1), descriptors], axis=1)
    return torch.from_numpy(row.astype(np.float32))


def main_directions(part: torch.Tensor) -> torch.Tensor:
    return torch.linalg.eigh(part.T @ part).eigenvectors.flip(1)


def parts(row: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    maps, descriptors = LAYOUT.split(row)
    return maps.permute(0, 2, 3, 1).reshape(-1, LAYOUT.channels), descriptors


def pca_error(part: torch.Tensor, kept: int) -> float:
    values = np.linalg.eigvalsh((part.T @ part).double().numpy() / len(part))
    return float(values[: part.shape[1] - kept].sum() / part.shape[1])


def started(row: torch.Tensor, code: int = 3, narrow: int = 4) -> FeatureAutoencoder:
    torch.manual_seed(0)
    model = FeatureAutoencoder(LAYOUT, code, map_channels=narrow)
    model.start_from(*(main_directions(part) for part in parts(row)))
    return model


def test_a_row_is_split_into_maps_and_descriptor() -> None:
    row = torch.arange(2.0 * WIDTH).reshape(2, WIDTH)
    maps, descriptor = LAYOUT.split(row)
    assert (maps.shape, descriptor.shape) == ((2, 10, 4, 3), (2, 12))
    assert torch.equal(torch.cat([maps.flatten(1), descriptor], 1), row)


def test_rows_are_rebuilt_and_the_code_is_that_of_the_descriptor() -> None:
    model, row = FeatureAutoencoder(LAYOUT, 5).eval(), rows(6)
    x_hat, latent = model(row)
    assert (x_hat.shape, latent.shape) == (row.shape, (6, 5))
    assert model.latent_dim == 5
    other = row.clone()
    other[:, : LAYOUT.maps] = 0
    assert torch.equal(model(other).latent, latent)
    assert torch.equal(model(other).x_hat[:, LAYOUT.maps :], x_hat[:, LAYOUT.maps :])


@pytest.mark.parametrize("training", [True, False])
def test_it_starts_as_good_as_pca(training: bool) -> None:
    row = rows()
    model = started(row).train(training)
    with torch.no_grad():
        losses = model.training_losses(row)
    positions, descriptors = parts(row)
    assert float(losses["maps"]) == pytest.approx(pca_error(positions, 4), rel=1e-4)
    assert float(losses["descriptor"]) == pytest.approx(pca_error(descriptors, 3), rel=1e-4)
    assert float(losses["loss"]) == float(losses["maps"] + losses["descriptor"])


def test_training_makes_it_better_than_pca() -> None:
    row = rows()
    model = started(row)
    before = float(model.eval().training_losses(row)["loss"].detach())
    optimiser = torch.optim.Adam(model.train().parameters(), lr=3e-3)
    for _ in range(100):
        optimiser.zero_grad()
        model.training_losses(row)["loss"].backward()
        optimiser.step()
    assert float(model.eval().training_losses(row)["loss"].detach()) < 0.9 * before


def test_a_start_keeps_the_whole_gradient_alive() -> None:
    model = started(rows())
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
    for _ in range(5):  # the bent ways begin at 0: their first layers move after their last ones
        optimiser.zero_grad()
        model.training_losses(rows())["loss"].backward()
        optimiser.step()
    # A shift before batch normalisation has none, and is the only one.
    without = {
        name
        for name, parameter in model.named_parameters()
        if parameter.grad is None or float(parameter.grad.abs().max()) < 1e-9
    }
    assert without <= {"narrow.0.bias", "widen.0.bias"}


def test_without_numbers_the_code_is_half_the_descriptor_and_a_fifth_of_the_channels() -> None:
    model = FeatureAutoencoder(LAYOUT)
    assert (model.latent_dim, model.map_channels) == (6, 2)
    wide = FeatureAutoencoder(Layout(100, 2, 2, 1_000))
    assert (wide.latent_dim, wide.map_channels) == (128, 20)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"latent_dim": 12}, "latent_dim is 12; .* from 1 to 11"),
        ({"latent_dim": 500}, "latent_dim is 500"),
        ({"map_channels": 10}, "map_channels is 10; .* from 1 to 9"),
        ({"map_channels": -1}, "map_channels is -1"),
    ],
)
def test_what_is_no_bottleneck_is_refused(options: dict[str, int], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        FeatureAutoencoder(LAYOUT, **options)


def test_in_evaluation_a_row_is_rebuilt_the_same_alone_and_in_a_batch() -> None:
    model, row = started(rows()).eval(), rows(5)
    with torch.inference_mode():
        torch.testing.assert_close(model(row).x_hat[2:3], model(row[2:3]).x_hat)
