"""How the model was fitted: its learning, its code, and how well it rebuilds."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from residua.evaluation.evaluate import Evaluation
from residua.evaluation.scored import ScoredSet
from residua.manifest import Manifest
from residua.report.figures import Display, LearningCurvesDisplay, ProjectionDisplay
from residua.report.figures.inputs import spread
from residua.report.sections import Block, Cell, Section, TableBlock, figure_or_reason
from residua.summary import facts

_PROJECTED = 2_000
_PIXELS = 1_024


def fitted_section(scored: ScoredSet, evaluation: Evaluation) -> Section:
    """Return learning curves, projections and the figures of rebuilding."""
    manifest = scored.manifest
    blocks: list[Block] = [
        figure_or_reason(
            "learning-curves",
            "Learning",
            _read_curves(manifest),
            lambda: LearningCurvesDisplay.from_history(manifest.history, loss=manifest.model.loss),
        ),
        figure_or_reason(
            "projection-codes",
            "The codes",
            _read_codes(scored),
            lambda: ProjectionDisplay.from_predictions(
                scored.latent, scored.anomalous, title="Codes, their two main directions"
            ),
        ),
        figure_or_reason(
            "projection-pixels",
            "The pixels",
            "The same for the pictures themselves, with nothing learnt: if the kinds lie apart "
            "here already, telling them apart is easy and no feat of the model.",
            lambda: _pixels(scored),
        ),
        _rebuilding(scored, evaluation),
    ]
    data = manifest.data
    return Section(
        "fitted",
        "How it was fitted",
        f"The network {manifest.model.name} with {manifest.model.parameters:,} weights saw "
        f"{data.training:,} pictures; {data.validation:,} more chose the best epoch and "
        f"{manifest.threshold.n_normal:,} set the threshold"
        + ("." if manifest.recalibrated is None else ", after the fit.")
        + f" The score is {facts(manifest)['score']}.",
        blocks,
    )


def _pixels(scored: ScoredSet) -> Display:
    chosen = spread(len(scored), _PROJECTED)
    spec = scored.manifest.input
    parts = [
        _reduced(batch.images) for batch in scored.source.batches(spec, 64, scored.index[chosen])
    ]
    truth = None if scored.anomalous is None else scored.anomalous[chosen]
    title = "Pixels, their two main directions"
    return ProjectionDisplay.from_predictions(np.concatenate(parts), truth, title=title)


def _reduced(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return pictures (B, H, W, C) as grey (B, h, w), of about 1,024 pixels at most."""
    grey = images.mean(axis=-1, dtype=np.float32)
    _, height, width = grey.shape
    step = max(1, int(np.ceil(np.sqrt(height * width / _PIXELS))))
    height, width = max(height // step, 1) * step, max(width // step, 1) * step
    step_y, step_x = min(step, height), min(step, width)
    blocks = grey[:, :height, :width].reshape(
        len(grey), height // step_y, step_y, width // step_x, step_x
    )
    mean: NDArray[np.float32] = blocks.mean(axis=(2, 4))
    return mean


def _rebuilding(scored: ScoredSet, evaluation: Evaluation) -> TableBlock:
    checks, found = scored.manifest.checks, evaluation.rebuilding
    rows: list[tuple[Cell, ...]] = [
        ("mean squared error, network", checks.network_mse, None, None),
        ("mean squared error, mean picture", checks.mean_image_mse, None, None),
    ]
    if not scored.manifest.model.rebuilds_pixels:
        rows = [
            ("mean squared error of features, network", checks.network_mse, None, None),
            ("mean squared error of features, their mean", checks.mean_image_mse, None, None),
        ]
    if checks.pca_mse is not None:
        rows.append(
            (f"mean squared error, PCA of {checks.pca_components}", checks.pca_mse, None, None)
        )
    if found is not None:
        psnr = found.psnr
        rows.append(("peak signal-to-noise ratio, dB", psnr.value, psnr.low, psnr.high))
        if found.ssim is not None:
            ssim = found.ssim
            title = f"structural similarity, {found.n_ssim} pictures"
            rows.append((title, ssim.value, ssim.low, ssim.high))
        rows += [
            ("numbers in a picture", found.picture_size, None, None),
            ("numbers in its code", found.code_size, None, None),
            ("compression", found.compression, None, None),
        ]
    return TableBlock(
        "rebuilding",
        "How well it rebuilds",
        _read_rebuilding(scored.manifest),
        ("figure", "value", "from", "to"),
        rows,
        dict.fromkeys(("value", "from", "to"), ",.4g"),
    )


def _read_curves(manifest: Manifest) -> str:
    history = manifest.history
    if not history:
        return ""
    best = next((r for r in reversed(history) if r.best), history[-1])
    said = f"The weights of epoch {best.epoch} of {len(history)} were kept, the best on validation."
    gap = best.val_loss / best.train_loss if best.train_loss else 1.0
    if best.epoch == len(history) and len(history) > 1:
        said += " It was the last, so more epochs might have helped."
    if gap > 1.25:
        said += (
            f" Validation loss is {gap:.2f} times training loss: it knows its own pictures better."
        )
    return said


def _read_codes(scored: ScoredSet) -> str:
    size = scored.latent.shape[1]
    said = f"Each picture's code of {size:,} numbers, seen from its two widest sides."
    if scored.anomalous is not None and scored.anomalous.any() and not scored.anomalous.all():
        return (
            f"{said} Anomalous pictures among the normal ones may be taken by the model for "
            "normal in content; then only their error gives them away."
        )
    return f"{said} Islands are groups of pictures that the model holds for alike."


def _read_rebuilding(manifest: Manifest) -> str:
    checks = manifest.checks
    if not manifest.model.rebuilds_pixels:
        return "On validation pictures, in standardised features; no pixel is rebuilt."
    if checks.pca_mse is None:
        return "On validation pictures; the code is not smaller than the picture."
    better = checks.pca_mse / checks.network_mse if checks.network_mse else float("inf")
    if better >= 1:
        said = f"its error is {better:.3g} times smaller than that of a linear code of its size"
    else:
        said = "a linear code of its size (PCA) rebuilds better: the network learnt too little"
    return f"On validation pictures, {said}."
