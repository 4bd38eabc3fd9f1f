"""``masked``: each patch of a picture is predicted from the others, by a small transformer.

He, Chen, Xie, Li, Dollár and Girshick, "Masked autoencoders are scalable vision learners",
CVPR 2022 (MAE), with a stem of convolutions instead of cut-out patches (Xiao, Singh, Mintun,
Darrell, Dollár and Girshick, "Early convolutions help transformers see better", NeurIPS 2021),
which learns from few pictures and bears the learning rates of the other networks here.

In training, patches drawn at random are hidden and rebuilt from the rest. In scoring, fixed masks
hide each patch exactly once; what is put together has no patch that was seen when it was rebuilt,
so the error is one of prediction and not of copying. A picture costs as many passes as masks.

Two differences from the source. All positions, hidden ones as a learned token, go through one
transformer: so few are they that leaving the hidden out of an encoder saves nothing. And each
patch is rebuilt from a code of few numbers, of which `encode` returns all.
"""

from __future__ import annotations

from math import ceil, log2

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from residua.errors import ConfigurationError
from residua.models.base import Autoencoder, Loss
from residua.models.layers import StridedConv2d

_GRID = 8
_MAX_PATCH_CODE = 32
_NARROWEST_STEM = 16
# Beyond, a saved model could ask for any time and memory: each patch looks at every other one.
_MOST_PATCHES, _MOST_MASKS, _MOST_LAYERS, _MOST_HEADS = 4_096, 256, 100, 64


class MaskedAutoencoder(Autoencoder):
    """Predicts each patch of a picture from the others.

    Parameters
    ----------
    channels, height, width : int
        Shape of the pictures; any channels, sides of 8 to 1024 pixels.
    latent_dim : int or None, default=None
        Numbers in the code of all patches together, a multiple of the number of patches. None:
        half as many a patch as it has values, at most 32.
    loss : {"mse", "bce"}, default="mse"
        Training loss, taken over the hidden patches.
    patch : int or None, default=None
        Side of a patch in pixels, a power of two from 2. None: such that at most 8 patches make
        the longer side.
    masks : int, default=2
        Masks that together hide each patch once, at least 2. Each hides one patch in so many, in
        training too.
    features : int, default=96
        Width of the transformer, a multiple of ``heads``.
    layers : int, default=2
        Blocks of the transformer.
    heads : int, default=4
        Heads of its attention.
    """

    hidden: Tensor

    def __init__(
        self,
        channels: int,
        height: int,
        width: int,
        latent_dim: int | None = None,
        *,
        loss: Loss = "mse",
        patch: int | None = None,
        masks: int = 2,
        features: int = 96,
        layers: int = 2,
        heads: int = 4,
    ) -> None:
        longer = max(height, width)
        patch = patch or max(2, 1 << ceil(log2(longer / _GRID)))
        if patch < 2 or patch & (patch - 1) or patch >= longer:
            raise ConfigurationError(
                f"patch is {patch}; it must be a power of two from 2 to below the longer side of "
                f"{longer} pixels"
            )
        rows, columns = ceil(height / patch), ceil(width / patch)
        count = rows * columns
        if count > _MOST_PATCHES:
            raise ConfigurationError(
                f"patch is {patch}, which makes {count:,} patches of pictures of {height} x "
                f"{width}; at most {_MOST_PATCHES:,} are looked at: choose a larger patch"
            )
        if not 2 <= masks <= min(count, _MOST_MASKS):
            raise ConfigurationError(
                f"masks is {masks}; with {count} patches of {patch} pixels it must be from 2 to "
                f"{min(count, _MOST_MASKS)}"
            )
        if features < 1 or heads < 1 or features % heads or layers < 1:
            raise ConfigurationError(
                f"features is {features}, heads {heads} and layers {layers}; all must be at least "
                f"1, and features a multiple of heads"
            )
        if heads > _MOST_HEADS or layers > _MOST_LAYERS:
            raise ConfigurationError(
                f"heads is {heads} and layers {layers}; they may be up to {_MOST_HEADS} and "
                f"{_MOST_LAYERS}"
            )
        values = channels * patch**2
        if latent_dim is None:
            latent_dim = count * max(1, min(values // 2, _MAX_PATCH_CODE))
        if latent_dim > 0 and latent_dim % count:
            raise ConfigurationError(
                f"latent_dim is {latent_dim}; at {height} x {width} the model 'masked' has {count} "
                f"patches, and the size of its code must be a multiple of that, such as "
                f"{count * ceil(latent_dim / count)}"
            )
        super().__init__(channels, height, width, latent_dim, loss=loss)
        self.patch, self.grid, self.count = patch, (rows, columns), count
        self.register_buffer("hidden", _complementary(rows, columns, masks), persistent=False)

        levels = patch.bit_length() - 1
        widths = [max(_NARROWEST_STEM, features >> (levels - 1 - i)) for i in range(levels - 1)]
        stem: list[nn.Module] = []
        c_in = channels + 1  # the mask goes in with the picture
        for c_out in widths:
            stem += [StridedConv2d(c_in, c_out, 3, stride=2, padding=1), nn.BatchNorm2d(c_out)]
            stem += [nn.LeakyReLU(0.1)]
            c_in = c_out
        stem += [StridedConv2d(c_in, features, 3, stride=2, padding=1)]
        self.stem = nn.Sequential(*stem)  # (B, C + 1, H, W) -> (B, F, rows, columns)
        self.mask_token = nn.Parameter(0.02 * torch.randn(features))
        self.position = nn.Parameter(_waves(rows, columns, features))
        self.blocks = nn.Sequential(
            *(TransformerBlock(features, heads, self.grid) for _ in range(layers))
        )
        self.to_code = nn.Sequential(
            nn.LayerNorm(features), nn.Linear(features, latent_dim // count)
        )
        # A patch is decoded from its own code alone: its neighbours' codes have seen it.
        self.decoder = nn.Sequential(
            nn.Linear(latent_dim // count, features), nn.GELU(), nn.Linear(features, values)
        )

    def encode(self, x: Tensor) -> Tensor:
        """Predict the code of each patch of pictures (B, C, H, W) from the others: (B, D)."""
        masks = self.hidden.to(x.dtype)  # (K, n)
        padded, k = self._pad(x), len(masks)
        b = x.shape[0]  # unlike len(x), no constant of the exported graph
        repeated = padded.unsqueeze(1).expand(-1, k, -1, -1, -1).reshape(-1, *padded.shape[1:])
        hidden = masks.unsqueeze(0).expand(b, -1, -1).reshape(-1, self.count)  # (B·K, n)
        codes = self._predict(repeated, hidden).reshape(-1, k, self.count, self._per_patch)
        return (codes * masks.unsqueeze(-1)).sum(1).flatten(1)

    def decode(self, latent: Tensor) -> Tensor:
        """Turn codes (B, D) into logits of pictures (B, C, H, W)."""
        patches: Tensor = self.decoder(latent.reshape(-1, self.count, self._per_patch))
        (rows, columns), side = self.grid, self.patch
        split = patches.reshape(-1, rows, columns, self.channels, side, side)
        joined = split.permute(0, 3, 1, 4, 2, 5)  # (B, C, rows, side, columns, side)
        logits = joined.reshape(-1, self.channels, rows * side, columns * side)
        return logits[:, :, : self.height, : self.width]

    def training_losses(self, x: Tensor) -> dict[str, Tensor]:
        """Loss of pictures (B, C, H, W): in training over hidden patches, else as in scoring."""
        if not self.training:
            return super().training_losses(x)
        padded = self._pad(x)
        n_hidden = max(1, round(self.count / len(self.hidden)))
        order = torch.rand(len(x), self.count, device=x.device).argsort(1)[:, :n_hidden]
        hidden = torch.zeros(len(x), self.count, device=x.device, dtype=x.dtype)
        codes = self._predict(padded, hidden.scatter(1, order, 1.0))
        logits = self.decoder(_taken(codes, order))  # (B, n_hidden, C·side²)
        return {"loss": self.rebuilding_loss(logits, _taken(self._patches(padded), order))}

    @property
    def _per_patch(self) -> int:
        return self.latent_dim // self.count

    def _pad(self, x: Tensor) -> Tensor:
        """Extend pictures by their last row and column to whole patches."""
        (rows, columns), side = self.grid, self.patch
        below, right = rows * side - self.height, columns * side - self.width
        return F.pad(x, (0, right, 0, below), mode="replicate") if below or right else x

    def _patches(self, padded: Tensor) -> Tensor:
        """Cut pictures into patches, (B, n, C·side²)."""
        (rows, columns), side = self.grid, self.patch
        split = padded.reshape(-1, self.channels, rows, side, columns, side)
        return split.permute(0, 2, 4, 1, 3, 5).reshape(-1, self.count, self.channels * side**2)

    def _predict(self, padded: Tensor, hidden: Tensor) -> Tensor:
        """Return the codes (B, n, D / n) of all patches, with those ``hidden`` (B, n) unseen."""
        mask = hidden.reshape(-1, 1, *self.grid)
        mask = mask.repeat_interleave(self.patch, 2).repeat_interleave(self.patch, 3)
        seen = self.stem(torch.cat([padded * (1 - mask), mask], 1)).flatten(2).transpose(1, 2)
        # What the stem makes of a hidden patch holds its visible surroundings and nothing of it.
        tokens = seen + self.mask_token * hidden.unsqueeze(-1) + self.position
        codes: Tensor = self.to_code(self.blocks(tokens))
        return codes


class TransformerBlock(nn.Module):
    """A look at the neighbours, attention to all, and a two-layer network, each added to its input.

    Vaswani et al., "Attention is all you need", NeurIPS 2017, normalised before each layer (Xiong
    et al., "On layer normalization in the transformer architecture", ICML 2020). The look at the
    neighbours is a convolution of each feature by itself (Chu et al., "Conditional positional
    encodings for vision transformers", ICLR 2023); without it, training takes several times as
    many steps to learn that what is near matters most.

    Parameters
    ----------
    features : int
        Numbers of a token, F.
    heads : int
        Heads of the attention.
    grid : (int, int)
        Rows and columns in which the n tokens lie.
    """

    def __init__(self, features: int, heads: int, grid: tuple[int, int]) -> None:
        super().__init__()
        self.heads, self.grid = heads, grid
        self.around = nn.Conv2d(features, features, 3, padding=1, groups=features)
        self.before_attention = nn.LayerNorm(features)
        self.to_qkv = nn.Linear(features, 3 * features)
        self.from_heads = nn.Linear(features, features)
        self.network = nn.Sequential(
            nn.LayerNorm(features),
            nn.Linear(features, 2 * features),
            nn.GELU(),
            nn.Linear(2 * features, features),
        )

    def forward(self, tokens: Tensor) -> Tensor:
        """Turn tokens (B, n, F) into tokens (B, n, F)."""
        tokens = tokens + self._look_around(tokens)
        tokens = tokens + self._attend(self.before_attention(tokens))
        mixed: Tensor = tokens + self.network(tokens)
        return mixed

    def _look_around(self, tokens: Tensor) -> Tensor:
        rows, columns = self.grid
        picture = tokens.transpose(1, 2).reshape(-1, tokens.shape[2], rows, columns)
        nearby: Tensor = self.around(picture).flatten(2).transpose(1, 2)
        return nearby

    def _attend(self, tokens: Tensor) -> Tensor:
        n, features = tokens.shape[1], tokens.shape[2]
        split = self.to_qkv(tokens).reshape(-1, n, 3, self.heads, features // self.heads)
        q, k, v = split.permute(2, 0, 3, 1, 4)  # (B, heads, n, F / heads) each
        weights = torch.softmax(q @ k.transpose(-2, -1) * q.shape[-1] ** -0.5, dim=-1)
        attended: Tensor = self.from_heads((weights @ v).transpose(1, 2).reshape(-1, n, features))
        return attended


def _complementary(rows: int, columns: int, masks: int) -> Tensor:
    """Masks (K, n) of 0 and 1 that hide each patch once, none beside another of its mask."""
    row = torch.arange(rows).unsqueeze(1)
    column = torch.arange(columns).unsqueeze(0)
    turn = (row + max(1, masks // 2 if min(rows, columns) > 1 else 1) * column) % masks
    return F.one_hot(turn.flatten(), masks).T.float().contiguous()


def _waves(rows: int, columns: int, features: int) -> Tensor:
    """Sines and cosines of a patch's row and column, (n, F), from which places are learned on."""
    quarter = ceil(features / 4)
    speed = 1 / 100 ** (torch.arange(quarter) / quarter)
    row = torch.arange(rows).unsqueeze(1) * speed  # (rows, F / 4)
    column = torch.arange(columns).unsqueeze(1) * speed
    waves = torch.cat(
        [
            row.sin().repeat_interleave(columns, 0),
            row.cos().repeat_interleave(columns, 0),
            column.sin().repeat(rows, 1),
            column.cos().repeat(rows, 1),
        ],
        1,
    )
    return waves[:, :features]


def _taken(tokens: Tensor, order: Tensor) -> Tensor:
    """Pick tokens (B, m, F) of (B, n, F) by their places (B, m)."""
    return tokens.gather(1, order.unsqueeze(-1).expand(-1, -1, tokens.shape[2]))
