from __future__ import annotations

import sys
import textwrap
import warnings
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import residua.plugins
from residua import AutoencoderDetector, BundleScorer, load
from residua.bundle import open_bundle
from residua.errors import (
    ConfigurationError,
    NetworkNotInstalled,
    PluginFailed,
    ResiduaWarning,
    UnknownName,
)
from residua.models import build_model
from residua.models.check import check_contract
from residua.models.conv import ConvAutoencoder
from residua.plugins import GROUP, find_plugin, installed_plugins

SHAPE = (16, 12, 1)
NETWORK = """
    import torch
    from torch import nn
    from residua.models import Reconstruction

    class Flat(nn.Module):
        '''A linear autoencoder, of nothing that Residua has.'''

        def __init__(self, channels, height, width, latent_dim=None, *, loss="mse", gain=1.0):
            super().__init__()
            self.channels, self.height, self.width = channels, height, width
            self.latent_dim, self.loss, self.gain = latent_dim or 4, loss, gain
            self.down = nn.Linear(channels * height * width, self.latent_dim)
            self.up = nn.Linear(self.latent_dim, channels * height * width)

        def encode(self, x):
            return self.gain * self.down(x.flatten(1))

        def decode(self, latent):
            return self.up(latent).reshape(-1, self.channels, self.height, self.width)

        def forward(self, x):
            latent = self.encode(x)
            return Reconstruction(torch.sigmoid(self.decode(latent)), latent)

        def training_losses(self, x):
            return {"loss": (self(x).x_hat - x).square().mean()}
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package of its own with its metadata, as an installer leaves them."""
    name = "flat_networks"
    (tmp_path / f"{name}.py").write_text(textwrap.dedent(NETWORK))
    (tmp_path / f"{name}_broken.py").write_text("import a_module_that_is_not_there\n")
    metadata = tmp_path / f"{name}-1.2.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: flat-networks\nVersion: 1.2\n")
    (metadata / "entry_points.txt").write_text(
        f"[{GROUP}]\nflat = {name}:Flat\nconv = {name}:Flat\nbroken = {name}_broken:Net\n"
        f"lost = {name}:Nothing\nversionless = {name}:__name__\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for module in (name, f"{name}_broken"):
        sys.modules.pop(module, None)


def test_a_network_of_an_installed_package_is_built_by_its_name(package: Path) -> None:
    model = build_model("flat", SHAPE, latent_dim=3, loss="bce", options={"gain": 2.0})
    assert type(model).__module__ == "flat_networks"
    assert (model.latent_dim, model.loss, model.gain) == (3, "bce", 2.0)
    assert model(torch.rand(2, 1, 16, 12)).x_hat.shape == (2, 1, 16, 12)
    check_contract(model)


def test_an_option_that_it_does_not_have_is_refused_as_with_built_in_ones(package: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"'flat' does not take .*'depth'"):
        build_model("flat", SHAPE, options={"depth": 3})


def test_it_is_listed_with_its_package_and_not_imported(package: Path) -> None:
    plugin = {plugin.name: plugin for plugin in installed_plugins()}["flat"]
    assert (plugin.target, plugin.package) == ("flat_networks:Flat", "flat-networks 1.2")
    assert "flat_networks" not in sys.modules


def test_a_built_in_network_wins_over_a_packages_of_its_name(package: Path) -> None:
    assert type(build_model("conv", SHAPE)) is ConvAutoencoder
    assert "flat_networks" not in sys.modules


@pytest.mark.parametrize(
    ("name", "cause"),
    [
        ("broken", "ModuleNotFoundError: .*a_module_that_is_not_there"),
        ("lost", "AttributeError: .*Nothing"),
        ("versionless", "wanted a class"),
    ],
)
def test_what_cannot_be_imported_names_the_package_and_the_cause(
    package: Path, name: str, cause: str
) -> None:
    with pytest.raises(PluginFailed, match=rf"'{name}' of the package flat-networks 1\.2.*{cause}"):
        build_model(name, SHAPE)


def test_a_broken_network_of_a_package_leaves_the_others_usable(package: Path) -> None:
    with pytest.raises(PluginFailed):
        build_model("broken", SHAPE)
    assert build_model("flat", SHAPE).latent_dim == 4


def test_a_wrong_name_is_offered_the_packages_too(package: Path) -> None:
    with pytest.raises(UnknownName, match="did you mean 'flat'"):
        build_model("flatt", SHAPE)


def test_two_networks_of_one_name_are_refused_by_name_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    entries = [
        EntryPoint("twice", "first.networks:Net", GROUP),
        EntryPoint("twice", "second:Net", GROUP),
        EntryPoint("once", "collections:OrderedDict", GROUP),
    ]
    monkeypatch.setattr(residua.plugins, "entry_points", lambda group: entries)
    with pytest.raises(PluginFailed, match=r"first and second each offer a model called 'twice'"):
        find_plugin("twice")
    assert find_plugin("once") is not None
    assert find_plugin("never") is None


@pytest.fixture
def saved(package: Path, blobs: NDArray[np.uint8], tmp_path: Path) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResiduaWarning)
        detector = AutoencoderDetector("flat", epochs=2, on_failed_fit="warn").fit(blobs)
    return detector.save(tmp_path / "flat.residua")


def test_a_bundle_names_the_package_and_loads_with_it(
    saved: Path, blobs: NDArray[np.uint8]
) -> None:
    assert open_bundle(saved).manifest.model.package == "flat-networks 1.2"
    by_torch = load(saved).anomaly_scores(blobs[:5])
    by_onnx = [verdict.score for verdict in BundleScorer(saved).verdicts(blobs[:5])]
    np.testing.assert_allclose(by_onnx, by_torch, rtol=1e-4, atol=1e-4)


def test_without_the_package_a_bundle_still_scores_and_loading_says_what_is_missing(
    saved: Path, package: Path, blobs: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry != str(package)])
    with pytest.raises(NetworkNotInstalled, match=r"'flat' .*flat-networks 1\.2.*residua score"):
        load(saved)
    assert all(verdict.score for verdict in BundleScorer(saved).verdicts(blobs[:5]))
