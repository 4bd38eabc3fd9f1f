"""The HTML report of an experiment: claimed beside measured, then the model in full."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from residua.advice.advise import advise
from residua.evaluation.evaluate import evaluate
from residua.experiments.experiment import Attempt, Experiment
from residua.experiments.record import ExperimentReport, with_spread
from residua.report.page.write import write_report
from residua.report.sections import Section, TableBlock

if TYPE_CHECKING:
    from rich.console import Console


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
    sections = [claims_section(experiment, report), *experiment.sections(studies, report)]
    return write_report(
        path,
        title=experiment.title,
        model=bundle,
        scored=own,
        evaluation=evaluation,
        findings=findings,
        sections=sections,
        training=training,
    )


def claims_section(experiment: Experiment, report: ExperimentReport) -> Section:
    """Return claimed beside measured, and the claims that contradict themselves."""
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
        + "; ".join(f"{name} is {what}" for name, what in report.recipes.items())
        + f". The model shown in full below is that of {experiment.featured}.",
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
