from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from residua.errors import ConfigurationError
from residua.features.backbone import Backbone

MEAN, STD = (0.5, 0.4, 0.3), (0.2, 0.25, 0.5)


class Pyramid(nn.Module):
    """Three maps, as timm gives them with features_only."""

    default_cfg = {"mean": MEAN, "std": STD}  # noqa: RUF012

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.steps = nn.ModuleList(
            [nn.Conv2d(3, 4, 8, 8), nn.Conv2d(4, 6, 2, 2), nn.Conv2d(6, 5, 2, 2)]
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        maps = []
        for step in self.steps:
            x = step(x)
            maps.append(x)
        return maps


@pytest.fixture
def timm(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A package of that name with one network: the real one needs torchvision and a network."""
    module: Any = ModuleType("timm")

    def create_model(name: str, *, pretrained: bool, features_only: bool) -> nn.Module:
        assert pretrained
        assert features_only
        if name != "pyramid":
            raise RuntimeError(f"Unknown model ({name})")
        return Pyramid()

    module.create_model = create_model
    monkeypatch.setitem(sys.modules, "timm", module)
    return module


@pytest.mark.usefixtures("timm")
def test_a_network_of_timm_gives_its_maps_with_its_own_normalisation() -> None:
    backbone = Backbone.open("timm:pyramid")
    images = np.random.default_rng(0).integers(0, 256, (3, 64, 96, 3), dtype=np.uint8)
    record = backbone.record(64, 96)
    found = backbone.run(images, record.outputs)

    x = torch.from_numpy(images).permute(0, 3, 1, 2) / 255
    x = (x - torch.tensor(MEAN).reshape(1, 3, 1, 1)) / torch.tensor(STD).reshape(1, 3, 1, 1)
    with torch.no_grad():
        maps = Pyramid()(x)
    assert record.name == "timm:pyramid"
    assert record.grid == (4, 6)
    for part, expected in zip(found, [*maps, maps[-1].mean((2, 3))], strict=True):
        np.testing.assert_allclose(part, expected.numpy(), atol=1e-4)


@pytest.mark.usefixtures("timm")
def test_a_network_that_timm_does_not_have_is_refused_with_its_words() -> None:
    with pytest.raises(ConfigurationError, match=r"'resnet0'.*Unknown model"):
        Backbone.open("timm:resnet0")


def test_without_timm_the_error_says_how_to_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(ConfigurationError, match="pip install timm"):
        Backbone.open("timm:resnet18")
