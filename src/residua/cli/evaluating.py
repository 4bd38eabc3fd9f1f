"""`residua evaluate`."""

from __future__ import annotations

from typing import Annotated

import typer

from residua.cli.common import Anomalous, AsJson, BundlePath, Normal, app, pictures, print_table


@app.command(epilog="Example: residua evaluate part.residua incoming/ --normal good")
def evaluate(
    bundle: BundlePath,
    data: Annotated[
        list[str],
        typer.Argument(help="Pictures with classes: a folder of folders, or a data set's name."),
    ],
    normal: Normal = None,
    anomalous: Anomalous = None,
    resamples: Annotated[
        int, typer.Option(help="Resamples of the bootstrap behind each interval.", min=100)
    ] = 1_000,
    seed: Annotated[int, typer.Option(help="Seed of the bootstrap.", min=0)] = 0,
    out: Annotated[
        str | None, typer.Option(help="JSON file, or its URL, for every figure.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Measure a saved model on pictures of known classes, with an interval beside each figure.

    Without --normal or --anomalous a data set's own anomalous classes count, and in a folder the
    class "good" is normal.
    """
    from residua import evaluate_model
    from residua.evaluation.tables import tables_of
    from residua.storage import check_output, write_text

    if out is not None:
        check_output(out)
    found = evaluate_model(
        bundle,
        pictures(data),
        normal=normal,
        anomalous=anomalous,
        n_resamples=resamples,
        seed=seed,
    )
    if out is not None:
        write_text(out, found.model_dump_json(indent=2) + "\n")
    if as_json:
        typer.echo(found.model_dump_json(indent=2))
        return
    for table in tables_of(found):
        print_table(table)
