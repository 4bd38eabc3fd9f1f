"""`residua recalibrate`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from residua.cli.common import (
    AsJson,
    BundlePath,
    Force,
    Threads,
    app,
    check_new,
    escape,
    pictures,
    print_table,
    say,
)


@app.command(epilog="Example: residua recalibrate part.residua line-2/good/ -o line-2.residua")
def recalibrate(
    bundle: BundlePath,
    normal: Annotated[
        list[str],
        typer.Argument(
            help="Normal pictures that the model was not fitted on: a folder, files, a data "
            "set's name, or - for paths on standard input."
        ),
    ],
    threshold: Annotated[
        str | None,
        typer.Option(
            help="auto, conformal(FPR), tail(FPR), percentile(Q), zscore(K), mad(K); with "
            "--anomalous best_f1 or youden. [default: the rule of the fit]"
        ),
    ] = None,
    anomalous: Annotated[
        str | None,
        typer.Option(help="Labelled anomalies, a folder, for the rules that need them."),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(
            "--output", "-o", help="The model to write. [default: it takes the old one's place]"
        ),
    ] = None,
    force: Force = False,
    preview: Annotated[
        bool, typer.Option("--preview", help="Show what would change, and write nothing.")
    ] = False,
    threads: Threads = None,
    as_json: AsJson = False,
) -> None:
    """Fit a saved model's threshold anew on other normal pictures, without training.

    For a new camera, light or line: the network stays, and the pictures given here replace those
    on which threshold and p-values rested.
    """
    from residua.recalibration import plan_recalibration
    from residua.recalibration import recalibrate as run

    if output is not None:
        check_new(output, force=force)
    given = pictures(normal)
    if preview:
        plan = plan_recalibration(
            bundle, given, threshold=threshold, anomalous=anomalous, threads=threads
        )
        plan.warn()
        found = plan.changes
    else:
        found = run(
            bundle,
            given,
            threshold=threshold,
            anomalous=anomalous,
            output=output,
            threads=threads,
        )
    if as_json:
        typer.echo(found.model_dump_json(indent=2))
        return
    print_table(_table(found))
    say("nothing was written" if found.path is None else f"written: {escape(found.path)}")


def _table(found: Any) -> Any:
    from rich.table import Table

    and_anomalous = "" if found.anomalous is None else f" and {found.anomalous:,} anomalous"
    skipped = f"; {found.skipped:,} could not be read" if found.skipped else ""
    table = Table(
        title=f"On {found.pictures:,} new normal{and_anomalous} pictures{skipped}",
        title_justify="left",
    )
    for column in ("", "before", "now"):
        table.add_column(column, justify="right" if column else "left")
    limits = (found.previous, found.threshold)
    rates = (found.previous_promised_rate, found.promised_rate)
    table.add_row("threshold", *(f"{one.upper:.6g}" for one in limits))
    table.add_row("rule", *(escape(one.rule) for one in limits))
    table.add_row("fitted on", *(f"{one.n_normal:,} pictures" for one in limits))
    table.add_row(
        "promised false-positive rate",
        *("none" if rate is None else f"{100 * rate:.3g}%" for rate in rates),
    )
    table.add_row(
        "flagged of the new normal ones",
        *(
            f"{count:,} ({count / found.pictures:.1%})"
            for count in (found.previously_flagged, found.flagged)
        ),
    )
    return table
