"""`residua compare`."""

from __future__ import annotations

from typing import Annotated

import typer

from residua.cli.common import AsJson, Seeds, app, console, parse_seeds, parse_size, print_table
from residua.errors import ConfigurationError


@app.command(epilog="Example: residua compare mnist fashion-mnist --n-train 6000 --n-test 1000")
def compare(
    train: Annotated[
        str | None, typer.Argument(help="Trusted pictures: a folder or a data set's name.")
    ] = None,
    test: Annotated[
        str | None,
        typer.Argument(
            help="Pictures to test on. The same name as TRAIN: one labelled data set for both."
        ),
    ] = None,
    normal: Annotated[
        list[str] | None, typer.Option(help="A normal class, may be given again.")
    ] = None,
    anomalous: Annotated[
        list[str] | None,
        typer.Option(help="An anomalous class, may be given again. [default: all of TEST]"),
    ] = None,
    method: Annotated[
        list[str] | None,
        typer.Option(help="Only this method, may be given again; see --list. [default: all]"),
    ] = None,
    backbone: Annotated[
        str | None,
        typer.Option(
            help="ONNX file of a pretrained network, from pictures in [0, 1] to features; adds "
            "three methods on them."
        ),
    ] = None,
    seeds: Seeds = "0",
    size: Annotated[
        str | None,
        typer.Option(help="Side, or HEIGHTxWIDTH, in pixels. [default: the pictures' own]"),
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(help="Epochs of the networks. [default: their own]", min=1)
    ] = None,
    n_train: Annotated[
        int | None, typer.Option(help="Training pictures at most. [default: all]", min=1)
    ] = None,
    n_test: Annotated[
        int | None, typer.Option(help="Test pictures of each kind at most. [default: all]", min=1)
    ] = None,
    out: Annotated[
        str, typer.Option(help="Folder, or its URL, for results; what is there is reused.")
    ] = "runs/compare",
    list_methods: Annotated[bool, typer.Option("--list", help="List the methods.")] = False,
    as_json: AsJson = False,
) -> None:
    """Compare methods on the same pictures: figures with intervals, time and memory.

    Without a named class, all of TEST is anomalous and TRAIN's own test part is normal.
    """
    if list_methods:
        from residua.comparison.methods import methods_table

        print_table(methods_table())
        return
    if train is None or test is None:
        raise ConfigurationError(
            "TRAIN and TEST are both wanted, such as: residua compare good/ incoming/ "
            "--anomalous bad; or --list alone"
        )
    from residua.comparison.compare import compare as run
    from residua.storage import reused

    with reused(out) as folder:
        found = run(
            train,
            test,
            methods=method,
            backbone=backbone,
            normal=normal,
            anomalous=anomalous,
            seeds=parse_seeds(seeds),
            image_size=parse_size(size),
            epochs=epochs,
            n_train=n_train,
            n_test=n_test,
            folder=folder,
            console=console(),
        )
    if as_json:
        typer.echo(found.model_dump_json(indent=2))
    else:
        print_table(found.table())
