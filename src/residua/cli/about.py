"""`residua info`, `residua engines` and `residua datasets`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, cast

import typer

from residua.cli.common import (
    AsJson,
    BundlePath,
    LowestPrecision,
    Threads,
    app,
    pictures,
    print_table,
    show_info,
)

if TYPE_CHECKING:
    from residua.engines.base import Precision


@app.command(epilog="Example: residua info part.residua")
def info(
    bundle: BundlePath,
    as_json: AsJson = False,
) -> None:
    """Say what a saved model is and how it came about."""
    from residua.bundle import open_bundle
    from residua.engines.choice import in_words
    from residua.images.parallel import usable_processors

    opened = open_bundle(bundle)
    if as_json:
        typer.echo(opened.manifest.model_dump_json())
    else:
        show_info(bundle, opened.manifest, engine=in_words(opened, usable_processors()))


@app.command(epilog="Example: residua engines part.residua incoming/")
def engines(
    bundle: BundlePath,
    data: Annotated[
        list[str] | None,
        typer.Argument(help="Pictures to measure with: a folder or files. [default: noise]"),
    ] = None,
    precision: LowestPrecision = "float32",
    threads: Threads = None,
    as_json: AsJson = False,
) -> None:
    """Measure what computes a saved model the fastest here, and remember it."""
    from residua.runtime import BundleScorer
    from residua.storage import name_of
    from residua.summary import engines_table

    scorer = BundleScorer(bundle, threads=threads, precision=cast("Precision", precision))
    choice = scorer.measure_engines(pictures(data) if data else None)
    if as_json:
        typer.echo(choice.model_dump_json())
        return
    print_table(engines_table(name_of(bundle), choice))


@app.command(epilog="Example: residua datasets")
def datasets(as_json: AsJson = False) -> None:
    """List the data sets that Residua knows, with size, licence and whether they are on disk."""
    from rich.table import Table

    from residua.images.datasets import DATASETS
    from residua.images.published import data_home

    records = [
        {
            "name": d.name,
            "title": d.title,
            "images": d.n_images,
            "shape": d.shape,
            "size": d.size,
            "licence": d.licence,
            "splits": list(d.splits),
            "on_disk": d.on_disk(),
            "homepage": d.homepage,
        }
        for d in DATASETS.values()
    ]
    if as_json:
        typer.echo(json.dumps(records, indent=2))
        return
    table = Table(title=f"Data sets (under {data_home()})", title_justify="left")
    table.add_column("name", no_wrap=True)
    table.add_column("what")
    table.add_column("images", justify="right", no_wrap=True)
    for column in ("pictures", "on disk", "licence"):
        table.add_column(column)
    for record in records:
        count = record["images"]
        there = "[green]yes[/]" if record["on_disk"] else "no"
        table.add_row(
            f"[bold]{record['name']}[/]",
            str(record["title"]),
            f"{count:,}" if isinstance(count, int) else "any",
            str(record["shape"]),
            f"{there}, {record['size']}",
            str(record["licence"]),
        )
    print_table(table)
