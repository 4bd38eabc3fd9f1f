"""`residua score`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from residua.cli.common import (
    EXIT_FAILED,
    EXIT_FLAGGED,
    EXIT_STOPPED,
    AsJson,
    BundlePath,
    Cluster,
    EngineName,
    LowestPrecision,
    Pictures,
    Threads,
    Workers,
    app,
    console,
    escape,
    pictures,
    print_table,
    say,
)
from residua.errors import ConfigurationError

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
    cluster: Cluster = None,
    workers: Workers = None,
    as_json: AsJson = False,
) -> None:
    """Score pictures with a saved model.

    On a terminal the most anomalous are shown; into a pipe go all, as CSV or with --json as JSON
    lines. With --fdr nothing is shown until all are scored. With --cluster the scores go to a
    folder of Parquet files, and a run that was ended goes on where it was when started again.
    """
    if cluster is not None:
        _refuse_beside_cluster(
            {
                "--maps": maps is not None,
                "--fdr": fdr is not None,
                "--threads": threads is not None,
                "--engine": engine not in ("auto", "onnxruntime"),
                "--precision": precision != "float32",
                "--json": as_json,
            }
        )
        _score_on_cluster(bundle, data, out, cluster, workers, fail_on_anomaly=fail_on_anomaly)
        return
    if workers is not None:
        raise ConfigurationError("--workers is for --cluster; on one machine, see --threads")
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


# Why an option of one machine has no place on a cluster.
_NOT_ON_A_CLUSTER = MappingProxyType(
    {
        "--maps": "heat maps are drawn on one machine: score the few that matter once more there",
        "--fdr": "it judges all pictures together, and no machine holds them all: use "
        "residua.scoring.calibration.discoveries on the scores",
        "--threads": "each worker has one; see --workers",
        "--engine": "ONNX Runtime computes, so that all nodes give the same scores",
        "--precision": "float32 is computed, so that all nodes give the same scores",
        "--json": "the scores go to the folder of --out",
    }
)


def _refuse_beside_cluster(given: dict[str, bool]) -> None:
    for name, there in given.items():
        if there:
            raise ConfigurationError(
                f"{name} cannot be had with --cluster: {_NOT_ON_A_CLUSTER[name]}"
            )


def _score_on_cluster(
    bundle: Any,
    data: list[str],
    out: Any,
    address: str,
    workers: int | None,
    *,
    fail_on_anomaly: bool,
) -> None:
    from residua.cluster.progress import ShowProgress
    from residua.cluster.scoring import score_on_cluster
    from residua.summary import Summary

    if out is None:
        raise ConfigurationError(
            "--cluster needs --out: the folder of the scores, such as s3://bucket/scores.parquet"
        )
    source = pictures(data)
    if not source:  # no path on standard input is a quiet day, not an error
        say(Summary(keep=0).line())
        return
    try:
        with ShowProgress(console()) as show:
            found = score_on_cluster(
                bundle, source, out, address=address, workers=workers, watch=show
            )
    except KeyboardInterrupt:
        say(
            f"Stopped by Ctrl-C; what is done stays in {escape(str(out))}, and the same command "
            f"goes on."
        )
        raise typer.Exit(EXIT_STOPPED) from None
    summary = Summary(keep=0)
    summary.scored, summary.flagged, summary.failed = found.counts
    say(summary.line())
    if found.before:
        say(f"{found.before:,} of them by an earlier run")
    say(f"scores: {escape(str(out))}")
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
