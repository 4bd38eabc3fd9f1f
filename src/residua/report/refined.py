"""The figures of a refinement: its steps beside each other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from residua.bundle import open_bundle
from residua.evaluation.scored import view
from residua.images.preprocess import InputSpec
from residua.images.source import ImageSource
from residua.refinement.result import Refinement
from residua.report.figures import ModelComparisonDisplay, ModelReconstructionsDisplay

_SHOWN = 6


def draw_refinement(refinement: Refinement, folder: Path, pictures: ImageSource) -> list[Path]:
    """Draw mean error and accuracy of each step, and the same pictures as each rebuilds them.

    Without labelled pictures the accuracy is that on held-out normal pictures and synthetic
    anomalies, both kinds weighing as much.

    Parameters
    ----------
    refinement : Refinement
    folder : Path
        Where its models lie, and where the figures are written.
    pictures : ImageSource
        Six of them that can be read are shown.

    Raises
    ------
    OutputError
        A figure cannot be written.
    """
    steps = refinement.steps
    names = [f"{step.name}, {step.record.choice.score}" for step in steps]
    tested = [step.tested for step in steps]
    comparison = ModelComparisonDisplay.from_results(
        names,
        [t.mean_error if t else s.record.normal_mse for t, s in zip(tested, steps, strict=True)],
        [
            t.accuracy if t else s.record.balanced_accuracy
            for t, s in zip(tested, steps, strict=True)
        ],
    )
    shown = _readable(pictures, open_bundle(folder / steps[0].bundle).manifest.input)
    rebuilt = {
        name: view(folder / step.bundle, pictures, shown)
        for name, step in zip(names, steps, strict=True)
    }
    images = next(iter(rebuilt.values())).images
    reconstructions = ModelReconstructionsDisplay.from_predictions(
        images, {name: views.x_hat for name, views in rebuilt.items()}
    )
    return [
        comparison.plot().save_svg(folder / "comparison.svg"),
        reconstructions.plot().save_svg(folder / "reconstructions.svg"),
    ]


def _readable(pictures: ImageSource, spec: InputSpec) -> NDArray[np.int64]:
    """Return six pictures, evenly spaced, of those that can be read."""
    some = np.unique(np.linspace(0, len(pictures) - 1, 4 * _SHOWN).astype(np.int64))
    found = np.concatenate([batch.indices for batch in pictures.batches(spec, _SHOWN, some)])
    return found[np.unique(np.linspace(0, len(found) - 1, _SHOWN).astype(np.int64))]
