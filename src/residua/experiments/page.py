"""The HTML report of an experiment: claimed beside measured, then the model in full."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from residua.advice.advise import advise
from residua.comparison.compare import compare
from residua.comparison.methods import METHODS
from residua.evaluation.evaluate import evaluate
from residua.evaluation.ranking import rank_metrics
from residua.experiments.experiment import Attempt, Experiment, Study
from residua.experiments.record import ExperimentReport, with_spread
from residua.images.source import ImageSource
from residua.report.figures import LeaderboardDisplay
from residua.report.page.write import write_report
from residua.report.recipe import Recipe, recipe_of
from residua.report.sections import Section, TableBlock, figure_or_reason

if TYPE_CHECKING:
    from rich.console import Console

# Of the pictures that the other methods are fitted and, of each kind, measured on.
N_TRAIN, N_TEST = 6_000, 1_000


def write_page(
    experiment: Experiment,
    attempts: Sequence[Attempt],
    report: ExperimentReport,
    path: Path,
    console: Console | None,
) -> Path:
    """Write the report on the attempts of one seed; the figures are over all seeds.

    Parameters
    ----------
    experiment : Experiment
    attempts : sequence of Attempt
        One a recipe, all of one seed. The featured recipe's model is shown in full, or the first.
    report : ExperimentReport
        The figures of every run.
    path : Path
        The HTML file.
    console : Console or None
        Where progress is shown.
    """
    if console is not None:
        console.print("drawing the report")
    studies = {attempt.recipe: experiment.study(attempt) for attempt in attempts}
    featured = experiment.featured if experiment.featured in studies else attempts[0].recipe
    attempt = next(attempt for attempt in attempts if attempt.recipe == featured)
    bundle, own = studies[featured]
    evaluation = evaluate(
        own,
        model=bundle,
        model_name=f"{featured}, seed {attempt.seed}",
        data_name=experiment.title,
    )
    training = experiment.trusted(attempt.seed, quick=attempt.quick)
    findings = advise(bundle, own, training=training)
    sections = [
        claims_section(report, featured),
        *experiment.sections(studies, report),
        methods_section(studies, training, path.parent / "methods", console),
    ]
    return write_report(
        path,
        title=experiment.title,
        model=bundle,
        scored=own,
        evaluation=evaluation,
        findings=findings,
        sections=sections,
        recipe=_recipe(experiment, report, recipe_of(own.manifest, bundle=bundle)),
        training=training,
    )


def _recipe(experiment: Experiment, report: ExperimentReport, own: Recipe) -> Recipe:
    """Return how to run the experiment again; the facts are those of the model."""
    seeds = sorted({run.seed for run in report.runs})
    command = f"residua reproduce {experiment.name} --seeds {','.join(map(str, seeds))}"
    python = (
        "from pathlib import Path\n\nfrom residua.experiments import run_experiment\n\n"
        f"run_experiment({experiment.name!r}, seeds={seeds}, quick={report.quick}, "
        'folder=Path("runs"))'
    )
    return Recipe(command + " --quick" * report.quick, python, own.facts)


def methods_section(
    studies: Mapping[str, Study],
    training: ImageSource,
    folder: Path,
    console: Console | None,
) -> Section:
    """Return the recipes beside methods of scikit-learn, fitted on the same trusted pictures.

    Parameters
    ----------
    studies : mapping of str to Study
        One a recipe, all on the same test pictures.
    training : ImageSource
        The trusted pictures.
    folder : Path
        Where the other methods' results are kept.
    console : Console or None
        Where progress is shown.
    """
    first = next(iter(studies.values())).scored
    assert first.anomalous is not None
    assert first.labels is not None
    found = compare(
        training,
        first.source,
        methods=list(METHODS),
        anomalous=sorted({first.labels[i] for i in np.flatnonzero(first.anomalous)}),
        n_train=N_TRAIN,
        n_test=N_TEST,
        folder=folder,
        console=console,
    )
    rows = [
        (row.method, row.auroc.value, row.auroc.low, row.auroc.high, row.what) for row in found.rows
    ]
    for name, (_, scored) in studies.items():
        assert scored.anomalous is not None
        own = rank_metrics(scored.anomalous, scored.scores)["auroc"]
        rows.append((name, own.value, own.low, own.high, "this report's recipe"))
    rows.sort(key=lambda row: -row[1])
    return Section(
        anchor="other-methods",
        title="Beside other methods",
        intro=f"scikit-learn's methods on flattened pixels of {found.flat.height} x "
        f"{found.flat.width} {found.flat.colour}, fitted on {found.rows[0].n_train:,} of "
        "the trusted pictures or fewer, where their work grows with the square. They are measured "
        f"on {found.n_normal:,} normal and {found.n_anomalous:,} anomalous test pictures, the "
        "recipes on all of them. No method was tuned.",
        blocks=[
            figure_or_reason(
                "other-methods",
                "AUROC of each method",
                "Points are AUROCs, lines their 95 % intervals over test pictures; where two lines "
                "overlap widely, the difference may be chance.",
                lambda: LeaderboardDisplay.from_results([row[:4] for row in rows]).plot(),
            ),
            TableBlock(
                name="methods",
                title="The methods",
                note="",
                columns=("method", "AUROC", "low", "high", "what it is"),
                rows=rows,
                forms={"AUROC": ".4f", "low": ".4f", "high": ".4f"},
            ),
        ],
    )


def claims_section(report: ExperimentReport, shown: str) -> Section:
    """Return claimed beside measured, and the claims that contradict themselves.

    Parameters
    ----------
    report : ExperimentReport
    shown : str
        The recipe whose model the rest of the page is about.
    """
    seeds = sorted({run.seed for run in report.runs})
    names = list(report.recipes)
    rows = []
    for claim in report.claims:
        claimed = "–" if claim.value is None else f"{claim.value:{claim.form}}"
        cells = [with_spread(report.values(name, claim.measure), claim.form) for name in names]
        rows.append((claim.title, claimed, *cells))
    spread = f"mean ± standard deviation over seeds {', '.join(map(str, seeds))}"
    quick = "A quick run: fewer pictures and epochs than the protocol says. " * report.quick
    return Section(
        anchor="claimed-and-measured",
        title="Claimed beside measured",
        intro=quick
        + "The source report's printed figures beside those of its protocol run here: "
        + "; ".join(f"{name}: {what}" for name, what in report.recipes.items())
        + f". The model shown in full below is that of {shown}.",
        blocks=[
            TableBlock(
                name="claims",
                title="Claimed and measured",
                note=spread if len(seeds) > 1 else f"seed {seeds[0]}",
                columns=("figure", "claimed", *names),
                rows=rows,
            ),
            TableBlock(
                name="contradictions",
                title="Claims that contradict themselves",
                note="The arithmetic is the source report's own figures set against each other.",
                columns=("claim", "arithmetic"),
                rows=[(found.title, found.arithmetic) for found in report.contradictions],
            ),
        ],
        early=True,
    )
