"""`residua score`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from residua.cli.common import (
    EXIT_FAILED,
    EXIT_FLAGGED,
    AsJson,
    BundlePath,
    EngineName,
    LowestPrecision,
    Pictures,
    Threads,
    app,
    escape,
    pictures,
    print_table,
    say,
)

if TYPE_CHECKING:
    from residua.engines.base import Precision


@app.command(epilog="Example: residua score part.residua incoming/ --out scores.csv --maps maps/")
def score(
    bundle: BundlePath,
    data: Pictures,
    out: Annotated[
        str | None, typer.Option(help="Table of all scores: .csv, .jsonl or .parquet; or its URL.")
    ] = None,
    maps: Annotated[
        str | None, typer.Option(help="Folder, or its URL, for a heat map of each picture, as PNG.")
    ] = None,
    fdr: Annotated[
        float | None,
        typer.Option(
            help="Judge all pictures together: the share of false ones to expect among those "
            "called anomalous, such as 0.1. [default: judge each by the threshold]"
        ),
    ] = None,
    rows: Annotated[int, typer.Option(help="Rows of the table on a terminal.", min=1)] = 25,
    fail_on_anomaly: Annotated[
        bool, typer.Option("--fail-on-anomaly", help="Exit with 3 when a picture is flagged.")
    ] = False,
    threads: Threads = None,
    engine: EngineName = "auto",
    precision: LowestPrecision = "float32",
    as_json: AsJson = False,
) -> None:
    """Score pictures with a saved model.

    On a terminal the most anomalous are shown; into a pipe go all, as CSV or with --json as JSON
    lines. With --fdr nothing is shown until all are scored.
    """
    from contextlib import ExitStack

    from residua.engines.registry import DEFAULT, ENGINES
    from residua.results import csv_rows, json_rows, verdict_file
    from residua.runtime import BundleScorer
    from residua.scoring.calibration import require_fdr
    from residua.scoring.verdicts import judged_together
    from residua.storage import check_output_folder, name_of
    from residua.summary import Summary

    if fdr is not None:
        require_fdr(fdr)
    check_output_folder(maps)
    scorer = BundleScorer(
        bundle, threads=threads, engine=engine, precision=cast("Precision", precision)
    )
    summary = Summary(keep=rows, fdr=fdr)
    source = pictures(data)
    held: list[Any] = []
    with ExitStack() as stack:
        writers: list[Callable[[Any], None]] = [summary.add]
        if out is not None:
            writers.append(stack.enter_context(verdict_file(out)))
        if as_json:
            writers.append(stack.enter_context(json_rows(sys.stdout)))
        elif out is None and not sys.stdout.isatty():
            writers.append(stack.enter_context(csv_rows(sys.stdout)))
        # No path on standard input is a quiet day, not an error.
        for verdicts, images, scored in scorer.scored(source) if source else ():
            if fdr is None:
                _write(verdicts, writers)
            else:
                held += verdicts
            if maps is not None:
                _save_maps(maps, verdicts, images, scored.error_maps, scorer.manifest.map_ceiling)
        if fdr is not None:
            _write(judged_together(held, scorer.calibration_scores, fdr), writers)
    if sys.stdout.isatty() and not as_json:
        what = data[0] if len(data) == 1 else f"{len(data):,} files"
        print_table(summary.table(title=f"{name_of(bundle)} on {what}"))
    say(summary.line())
    if scorer.engine is not None and scorer.engine.name != DEFAULT:
        say(f"computed by {ENGINES[scorer.engine.name].title} in {scorer.engine.precision}")
    for name, path in (("scores", out), ("heat maps", maps)):
        if path is not None:
            say(f"{name}: {escape(path)}")
    if fail_on_anomaly and summary.flagged:
        raise typer.Exit(EXIT_FLAGGED)
    if summary.failed:
        raise typer.Exit(EXIT_FAILED)


def _write(verdicts: list[Any], writers: list[Callable[[Any], None]]) -> None:
    for verdict in verdicts:
        for write in writers:
            write(verdict)


def _save_maps(
    maps: str, verdicts: list[Any], images: Any, error_maps: Any, ceiling: float
) -> None:
    from residua.heatmaps import overlay, save_overlay
    from residua.storage import written

    readable = [verdict for verdict in verdicts if verdict.error is None]
    with written(maps) as folder:
        for verdict, image, error_map in zip(readable, images, error_maps, strict=True):
            save_overlay(folder, verdict.id, overlay(image, error_map, ceiling))
