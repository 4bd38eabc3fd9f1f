from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from residua.features.assembly import Assembly


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def features(n: int = 40) -> list[torch.Tensor]:
    """Maps finer than, equal to and coarser than the grid (4, 4), and a descriptor."""
    return [
        5 * drawn(n, 3, 8, 8) + 2,
        drawn(n, 2, 4, 4) - 7,
        0.01 * drawn(n, 4, 2, 2),
        100 * drawn(n, 5),
    ]


def assembly() -> Assembly:
    return Assembly((3, 2, 4), 5, (4, 4))


def test_a_row_holds_all_maps_on_the_grid_and_the_descriptor() -> None:
    built = assembly()
    assert built.width == 9 * 16 + 5
    assert built(features()).shape == (40, built.width)


def test_every_channel_has_mean_0_and_deviation_1_over_what_it_was_fitted_on() -> None:
    built, given = assembly(), features()
    built.fit([[part[:25] for part in given], [part[25:] for part in given]])
    row = built(given)
    maps = row[:, : 9 * 16].reshape(40, 9, 16)
    for part, dims in ((maps, (0, 2)), (row[:, 9 * 16 :], (0,))):
        torch.testing.assert_close(
            part.mean(dims), torch.zeros_like(part.mean(dims)), atol=2e-3, rtol=0
        )
        deviation = part.std(dims, correction=0)
        torch.testing.assert_close(deviation, torch.ones_like(deviation), atol=2e-3, rtol=0)


def test_finer_maps_are_averaged_in_blocks_and_coarser_ones_interpolated() -> None:
    given = features(2)
    maps = assembly()(given)[:, : 9 * 16].reshape(2, 9, 4, 4)
    torch.testing.assert_close(maps[:, :3], F.avg_pool2d(given[0], 2), rtol=1e-3, atol=1e-2)
    torch.testing.assert_close(maps[:, 3:5], given[1], rtol=1e-3, atol=1e-2)
    larger = F.interpolate(given[2], size=(4, 4), mode="bilinear", align_corners=False)
    torch.testing.assert_close(maps[:, 5:], larger, rtol=1e-3, atol=1e-4)


def test_maps_of_odd_sizes_come_to_the_grid() -> None:
    built = Assembly((2, 3), 3, (3, 5))
    row = built([drawn(2, 2, 5, 9), drawn(2, 3, 3, 5), drawn(2, 3)])
    assert row.shape == (2, built.width)
    assert torch.isfinite(row).all()


def test_without_a_descriptor_the_mean_of_the_last_map_describes() -> None:
    built, maps = Assembly((3, 4), 4, (4, 4)), [drawn(2, 3, 8, 8), drawn(2, 4, 2, 2)]
    torch.testing.assert_close(built(maps)[:, -4:], maps[1].mean((2, 3)), rtol=1e-3, atol=1e-3)


def test_a_channel_that_never_varies_stays_at_0() -> None:
    built = Assembly((2,), 2, (2, 2))
    maps, descriptor = drawn(10, 2, 2, 2), drawn(10, 2)
    maps[:, 1], descriptor[:, 0] = 3.0, -5.0
    built.fit([[maps, descriptor]])
    row = built([maps, descriptor])
    assert torch.equal(row[:, 4:8], torch.zeros(10, 4))
    assert torch.equal(row[:, 8], torch.zeros(10))
    assert torch.isfinite(row).all()


@pytest.mark.parametrize("extreme", [1e30, -1e30, 7e4])
def test_rows_survive_half_precision_whatever_the_features(extreme: float) -> None:
    built, given = assembly(), features(2)
    built.fit([features()])
    given[0][0, 0] = extreme
    given[3][1, 2] = extreme
    row = built(given)
    assert torch.isfinite(row.half()).all()
    assert float(row.abs().max()) == 1e3
