"""``features``: an autoencoder of the features of a frozen pretrained network.

What pixels do not tell a small network, a large one that has seen a million pictures has long
learned. Its features are rebuilt in two ways: the maps position by position, by convolutions
through a few channels, after Yang, Shi and Qi, "DFR: deep feature reconstruction for unsupervised
anomaly segmentation", Neurocomputing 424, 2021; and the descriptor of the whole picture through a
code. The error per position says where, the code says what.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from residua.errors import ConfigurationError
from residua.models.base import Autoencoder, Reconstruction

DEFAULT_CODE = 128
_SHARE_OF_CHANNELS = 5
_WIDEST = 512
# Distances between wider codes are not measured.
_WIDEST_CODE = 4_096


class Layout(NamedTuple):
    """How a row of features is laid out: the maps (C, h, w) first, the descriptor (D) behind."""

    channels: int
    height: int
    width: int
    descriptor: int

    @property
    def maps(self) -> int:
        """Numbers of the maps."""
        return self.channels * self.height * self.width

    def split(self, row: Tensor) -> tuple[Tensor, Tensor]:
        """Split rows (B, C·h·w + D) into maps (B, C, h, w) and descriptors (B, D)."""
        maps = row[:, : self.maps].reshape(-1, self.channels, self.height, self.width)
        return maps, row[:, self.maps :]


class FeatureAutoencoder(Autoencoder):
    """Rebuilds rows of standardised features.

    Parameters
    ----------
    layout : Layout
    latent_dim : int or None, default=None
        Numbers in the descriptor's code, below D. None: 128, or half of D where that is less.
    map_channels : int or None, default=None
        Channels through which each position of the maps goes, below C. None: a fifth of C.
    """

    def __init__(
        self, layout: Layout, latent_dim: int | None = None, *, map_channels: int | None = None
    ) -> None:
        descriptor, channels = layout.descriptor, layout.channels
        code = latent_dim or max(1, min(DEFAULT_CODE, descriptor // 2))
        narrow = map_channels or max(1, channels // _SHARE_OF_CHANNELS)
        super().__init__(channels, layout.height, layout.width, code, loss="mse")
        for name, given, limit in (
            ("latent_dim", code, min(descriptor, _WIDEST_CODE + 1)),
            ("map_channels", narrow, channels),
        ):
            if not 1 <= given < limit:
                raise ConfigurationError(
                    f"{name} is {given}; to be a bottleneck for {limit} features it must be from "
                    f"1 to {limit - 1}"
                )
        self.layout, self.map_channels = layout, narrow
        hidden = min(_WIDEST, 2 * narrow)
        self.narrow = nn.Sequential(  # (B, C, h, w) -> (B, narrow, h, w)
            nn.Conv2d(channels, hidden, 1),
            nn.BatchNorm2d(hidden),
            nn.LeakyReLU(0.1),
            nn.Conv2d(hidden, narrow, 1),
        )
        self.widen = nn.Sequential(
            nn.Conv2d(narrow, hidden, 1),
            nn.BatchNorm2d(hidden),
            nn.LeakyReLU(0.1),
            nn.Conv2d(hidden, channels, 1),
        )
        # A straight way beside the bent one: the network begins as good as a linear one.
        self.narrow_straight = nn.Conv2d(channels, narrow, 1, bias=False)
        self.widen_straight = nn.Conv2d(narrow, channels, 1)
        self.to_code = nn.Linear(descriptor, code)
        self.from_code = nn.Linear(code, descriptor)
        bent = min(_WIDEST, 2 * code)
        self.bend = nn.Sequential(
            nn.Linear(code, bent), nn.LeakyReLU(0.1), nn.Linear(bent, descriptor)
        )
        for way in (self.narrow, self.widen, self.bend):
            for parameter in way[-1].parameters():
                nn.init.zeros_(parameter)

    def start_from(self, positions: Tensor, descriptors: Tensor) -> None:
        """Take main directions as the straight ways: the linear autoencoder of least error.

        Parameters
        ----------
        positions : Tensor of shape (C, C)
            Directions of the maps' positions, as columns, those of most variance first.
        descriptors : Tensor of shape (D, D)
            Those of the descriptors.
        """
        kept = positions[:, : self.map_channels]
        code = descriptors[:, : self.latent_dim]
        with torch.no_grad():
            self.narrow_straight.weight.copy_(kept.T[:, :, None, None])
            self.widen_straight.weight.copy_(kept[:, :, None, None])
            self.to_code.weight.copy_(code.T)
            self.from_code.weight.copy_(code)
            for bias in (self.widen_straight.bias, self.to_code.bias, self.from_code.bias):
                assert bias is not None
                bias.zero_()

    def encode(self, x: Tensor) -> Tensor:
        """Turn rows (B, C·h·w + D) into the codes of their descriptors (B, latent_dim)."""
        code: Tensor = self.to_code(self.layout.split(x)[1])
        return code

    def decode(self, latent: Tensor) -> Tensor:
        """Turn codes (B, latent_dim) into descriptors (B, D); maps are not made of them."""
        descriptor: Tensor = self.from_code(latent) + self.bend(latent)
        return descriptor

    def forward(self, x: Tensor) -> Reconstruction:
        """Rebuild rows of features; the code is the descriptor's."""
        maps, _ = self.layout.split(x)
        narrow = self.narrow_straight(maps) + self.narrow(maps)
        rebuilt = self.widen_straight(narrow) + self.widen(narrow)
        latent = self.encode(x)
        row = torch.cat([rebuilt.flatten(1), self.decode(latent)], dim=1)
        return Reconstruction(row.float(), latent.float())

    def training_losses(self, x: Tensor) -> dict[str, Tensor]:
        """Mean squared errors of maps and of descriptor, each of deviation 1, added up."""
        maps, descriptor = self.layout.split(x)
        maps_hat, descriptor_hat = self.layout.split(self(x).x_hat)
        in_maps = F.mse_loss(maps_hat, maps)
        in_descriptor = F.mse_loss(descriptor_hat, descriptor)
        return {"loss": in_maps + in_descriptor, "maps": in_maps, "descriptor": in_descriptor}
