"""How well a model rebuilds the pictures that it should: normal ones."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from residua.errors import InputError
from residua.evaluation.estimate import Estimate, mean_estimate
from residua.evaluation.scored import ScoredSet, view

MAX_FOR_SSIM = 128
_C1, _C2 = 0.01**2, 0.03**2
_SIGMA = 1.5


class Rebuilding(BaseModel):
    """Quality of the reconstructions of normal pictures, and how small the code is."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    n: int
    """Normal pictures measured; all pictures where the truth is not known."""
    psnr: Estimate
    """Mean peak signal-to-noise ratio, dB."""
    ssim: Estimate | None
    """Mean structural similarity, -1 to 1; None: not measured."""
    n_ssim: int
    """Pictures on which SSIM was measured, drawn at random."""
    code_size: int
    """Numbers in the code."""
    picture_size: int
    """Numbers in a picture."""

    @property
    def compression(self) -> float:
        """Numbers in a picture for each number in its code."""
        return self.picture_size / self.code_size


def measure_rebuilding(scored: ScoredSet, model: Any, *, n_resamples: int, seed: int) -> Rebuilding:
    """Measure PSNR on all normal pictures and SSIM on up to 128 of them.

    Raises
    ------
    InputError
        There are no normal pictures, or the model rebuilds features and no pixels.

    References
    ----------
    Wang, Bovik, Sheikh and Simoncelli, "Image quality assessment: from error visibility to
    structural similarity", IEEE Transactions on Image Processing 13(4), 2004, equation 13.
    """
    if not scored.manifest.model.rebuilds_pixels:
        raise InputError(
            "the model rebuilds features of a pretrained network, so there is no picture to "
            "compare; residua info has its error in features"
        )
    normal = (
        np.arange(len(scored)) if scored.anomalous is None else np.flatnonzero(~scored.anomalous)
    )
    if not len(normal):
        raise InputError("there are no normal pictures, so no reconstruction of one to measure")
    # A picture that is rebuilt to the last bit would have an infinite ratio.
    psnr = -10 * np.log10(np.maximum(scored.mse[normal], 1e-10))
    ssim = None
    rng = np.random.default_rng(seed)
    sample = np.sort(rng.permutation(normal)[:MAX_FOR_SSIM]) if model is not None else normal[:0]
    if len(sample):
        views = view(model, scored.source, scored.index[sample])
        values = structural_similarity(views.images / 255.0, views.x_hat)
        ssim = mean_estimate(values, n_resamples=n_resamples, seed=seed)
    height, width, channels = scored.manifest.input.shape
    return Rebuilding(
        n=len(normal),
        psnr=mean_estimate(psnr, n_resamples=n_resamples, seed=seed),
        ssim=ssim,
        n_ssim=len(sample),
        code_size=scored.manifest.model.latent_dim,
        picture_size=height * width * channels,
    )


def structural_similarity(
    x: NDArray[np.floating], x_hat: NDArray[np.floating]
) -> NDArray[np.float64]:
    """Return the mean SSIM (N,) of pictures (N, H, W, C) in [0, 1], window of sigma 1.5."""
    from scipy.ndimage import gaussian_filter

    def blur(planes: NDArray[np.float64]) -> NDArray[np.float64]:
        blurred: NDArray[np.float64] = gaussian_filter(
            planes, (0, _SIGMA, _SIGMA, 0), truncate=3.5, mode="nearest"
        )
        return blurred

    values = []
    for start in range(0, len(x), 16):
        a, b = (part[start : start + 16].astype(np.float64) for part in (x, x_hat))
        mean_a, mean_b = blur(a), blur(b)
        var_a, var_b = blur(a * a) - mean_a**2, blur(b * b) - mean_b**2
        covariance = blur(a * b) - mean_a * mean_b
        similarity = (
            (2 * mean_a * mean_b + _C1)
            / (mean_a**2 + mean_b**2 + _C1)
            * (2 * covariance + _C2)
            / (var_a + var_b + _C2)
        )
        values.append(similarity.mean(axis=(1, 2, 3)))
    return np.concatenate(values)
