"""Scores that can be tried on the reconstructions at hand, without fitting again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from residua.manifest import Manifest
from residua.settings import FitSettings

if TYPE_CHECKING:
    import torch

_ERROR_MAPS = ("squared", "absolute", "bce_excess", "ssim")
_REDUCTIONS = ("mean", "topk(0.05)", "max(2)")


class OtherScores:
    """Raw errors of every map and reduction, and the model's own against content, on arrays.

    Parameters
    ----------
    settings : FitSettings
        Of the model.
    normal : ndarray of shape (N, H, W, C), uint8
        Normal pictures, whose content is the usual one.
    """

    def __init__(self, settings: FitSettings, normal: NDArray[np.uint8]) -> None:
        from residua.scoring.errors import ERROR_MAPS, REDUCTIONS, ImageScore
        from residua.scoring.expressions import build_named
        from residua.scoring.parts import RelativeError, Usual, WorstRelativeError, content_of

        self._maps = {name: build_named("error map", name, ERROR_MAPS) for name in _ERROR_MAPS}
        self._reductions = {
            name: build_named("reduction", name, REDUCTIONS) for name in _REDUCTIONS
        }
        self._error = ImageScore(settings.error_map, settings.reduction)
        kinds = {"relative": RelativeError, "worst": WorstRelativeError}
        self._relative = {name: kind() for name, kind in kinds.items() if name != settings.score}
        content = float(content_of(_as_tensor(normal / np.float32(255))).mean())
        nothing = np.zeros((1, 1))
        usual = Usual(nothing.astype(np.float32), nothing, content)
        for part in self._relative.values():
            part.degree = self._error.error_map.degree
            part.fit(usual, np.random.default_rng(0))

    def __call__(
        self, images: NDArray[np.uint8], x_hat: NDArray[np.float32]
    ) -> dict[str, NDArray[np.float64]]:
        """Score pictures (K, H, W, C) by their reconstructions; scores (K,) by name."""
        import torch

        from residua.scoring.parts import Seen

        found: dict[str, NDArray[np.float64]] = {}
        with torch.inference_mode():
            x, y = (_as_tensor(part) for part in (images / np.float32(255), x_hat))
            for map_name, error_map in self._maps.items():
                level = error_map(x, y)
                for name, reduction in self._reductions.items():
                    found[f"{map_name}, {name}"] = reduction(level).numpy()
            level, error = self._error(x, y)
            seen = Seen(x, y, x[:, :1, 0, 0], level, error)
            found |= {name: part(seen).numpy() for name, part in self._relative.items()}
        return found


def _as_tensor(pictures: NDArray[np.floating]) -> torch.Tensor:
    """Turn pictures (B, H, W, C) into a tensor (B, C, H, W)."""
    import torch

    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(pictures, -1, 1)))


def other_scores(manifest: Manifest, normal: NDArray[np.uint8]) -> OtherScores | None:
    """Return the scores that can be tried; None without torch, or where no pixels are rebuilt."""
    if not manifest.model.rebuilds_pixels:
        return None
    try:
        return OtherScores(manifest.settings, normal)
    except ModuleNotFoundError:
        return None


def own_name_of(manifest: Manifest) -> str:
    """Return what the model's score is called among those."""
    settings = manifest.settings
    if settings.score == "error" and manifest.model.rebuilds_pixels:
        return f"{settings.error_map}, {settings.reduction}"
    return settings.score


def options_of(name: str) -> str:
    """Return the options of `residua fit` for a score that was tried."""
    error_map, _, reduction = name.partition(", ")
    if not reduction:
        return f"--score {name}"
    return f"--score error --error-map {error_map} --reduction '{reduction}'"
