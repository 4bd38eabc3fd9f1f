"""The second report's own figures: its sweep of percentiles, and its stages side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import mean

import numpy as np

from residua.evaluation.scored import ScoredSet, view
from residua.evaluation.verdicts import sweep_row
from residua.experiments.experiment import Study
from residua.experiments.record import ExperimentReport
from residua.report.figures import (
    ErrorDensityDisplay,
    ModelComparisonDisplay,
    ModelReconstructionsDisplay,
)
from residua.report.sections import Block, Section, TableBlock, figure_or_reason

_SHOWN = 6


def sweep_section(scored: ScoredSet, percentiles: Sequence[float]) -> Section:
    """Return what the report's thresholds, percentiles of the test errors, flag."""
    scores, truth = scored.scores, scored.anomalous
    assert truth is not None
    limits = {q: float(np.percentile(scores, q)) for q in percentiles}
    rows = []
    for q, limit in limits.items():
        row = sweep_row(f"{q:g}", limit, scores, truth)
        rows.append(
            (q, limit, row.flagged, row.false_positives, row.true_positives, row.fpr, row.tpr)
        )
    return Section(
        anchor="percentiles-of-the-test",
        title="Percentiles of the test errors",
        intro="The report takes its thresholds from the errors of the very pictures that it "
        "judges. The 80th percentile then flags a fifth of them, whatever they are; only who is "
        "among them says anything. Residua's own thresholds come from held-out normal pictures.",
        blocks=[
            TableBlock(
                name="percentiles-of-the-test",
                title="What each percentile flags",
                note="normal: false positives; background: true positives.",
                columns=(
                    "percentile",
                    "threshold",
                    "flagged",
                    "normal",
                    "background",
                    "FPR",
                    "TPR",
                ),
                rows=rows,
                forms={"percentile": "g", "threshold": ".5f", "FPR": ".3f", "TPR": ".3f"},
            ),
            figure_or_reason(
                "density-of-the-test",
                "Errors of all, normal and background pictures",
                "Where the background's curve lies on the others', no threshold parts them.",
                lambda: ErrorDensityDisplay.from_predictions(
                    scores,
                    truth,
                    thresholds={f"{q:g} %": limits[q] for q in percentiles if 80 <= q <= 90},
                    score=scored.manifest.settings.score,
                ).plot(),
            ),
        ],
    )


def stages_section(studies: Mapping[str, Study], report: ExperimentReport) -> Section:
    """Return the stages of refinement beside each other, over all seeds."""
    # Residua's own network is no stage of the report's.
    names = [name for name in studies if studies[name].scored.manifest.model.name == "seed-caltech"]
    names = names or list(studies)
    errors = [report.values(name, "mean") for name in names]
    aurocs = [report.values(name, "auroc") for name in names]
    lowest, highest = (pick(mean(values) for values in aurocs) for pick in (min, max))
    blocks: list[Block] = [
        figure_or_reason(
            "stages",
            "Mean error and accuracy of each stage",
            "A lower mean error is a better reconstruction of all pictures, the background's as "
            f"well: it need not make the background stand out. The AUROC of the stages lies "
            f"between {lowest:.3f} and {highest:.3f}. The accuracy is that at the 80th percentile "
            "of the test errors.",
            lambda: ModelComparisonDisplay.from_results(
                names,
                [mean(values) for values in errors],
                [mean(report.values(name, "accuracy_80")) for name in names],
            ).plot(),
        ),
    ]
    # Only models of one input size can be shown on the same pictures.
    inputs = {name: study.scored.manifest.input for name, study in studies.items()}
    alike = {name: studies[name] for name in names if inputs[name] == inputs[names[0]]}
    blocks.append(
        figure_or_reason(
            "stages-rebuilt",
            "The same pictures as each stage rebuilds them",
            "The last two are background pictures. What a stage leaves blurred counts as error.",
            lambda: _reconstructions(alike).plot(),
        )
    )
    return Section(
        anchor="stages",
        title="The stages of refinement",
        intro="The report refines its network three times and compares mean error, accuracy and "
        "reconstructions. " + "; ".join(f"{name}: {report.recipes[name]}" for name in names) + ".",
        blocks=blocks,
    )


def _reconstructions(studies: Mapping[str, Study]) -> ModelReconstructionsDisplay:
    first = next(iter(studies.values())).scored
    truth = first.anomalous
    assert truth is not None
    rng = np.random.default_rng(0)
    normal, anomalous = (rng.permutation(np.flatnonzero(kind)) for kind in (~truth, truth))
    shown = first.index[np.concatenate([normal[: _SHOWN - 2], anomalous[:2]])]
    rebuilt = {
        name: view(bundle, scored.source, shown) for name, (bundle, scored) in studies.items()
    }
    images = next(iter(rebuilt.values())).images
    return ModelReconstructionsDisplay.from_predictions(
        images, {name: views.x_hat for name, views in rebuilt.items()}
    )
