"""`residua info` and `residua datasets`."""

from __future__ import annotations

import json

import typer

from residua.cli.common import AsJson, BundlePath, app, print_table, show_info


@app.command(epilog="Example: residua info part.residua")
def info(
    bundle: BundlePath,
    as_json: AsJson = False,
) -> None:
    """Say what a saved model is and how it came about."""
    from residua.bundle import open_bundle

    manifest = open_bundle(bundle).manifest
    if as_json:
        typer.echo(manifest.model_dump_json())
    else:
        show_info(bundle, manifest)


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
