"""`residua demo` and `residua reproduce`."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Annotated

import typer

from residua.cli.common import AsJson, Seeds, app, console, escape, parse_seeds, print_table, say


@app.command(epilog="Example: residua demo --out demo-output")
def demo(
    out: Annotated[
        str, typer.Option(help="Folder, or its URL, for the model, scores and picture.")
    ] = "demo-output",
    seed: Annotated[int, typer.Option(help="Seed of pictures and weights.")] = 0,
) -> None:
    """Train on generated surfaces, score sound and defective ones, and draw what was found."""
    from residua.experiments.demo import run_demo
    from residua.storage import check_output_folder, is_remote, written

    check_output_folder(out)
    with written(out) as folder:
        run_demo(folder, seed=seed, console=console())
    if is_remote(out):
        say(f"uploaded: {escape(out)}")


@app.command(epilog="Example: residua reproduce mnist-fashion --seeds 0,1,2")
def reproduce(
    experiment: Annotated[str, typer.Argument(help="mnist-fashion or caltech101.")],
    seeds: Seeds = "0",
    recipe: Annotated[
        list[str] | None,
        typer.Option(help="Only this recipe, may be given again. [default: all]"),
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(help="Another number of epochs than the recipe's.", min=1)
    ] = None,
    quick: Annotated[
        bool,
        typer.Option("--quick", help="Fewer pictures and epochs: minutes, and not the protocol."),
    ] = False,
    backbone: Annotated[
        str | None,
        typer.Option(help="ONNX file of a pretrained network, to measure its features beside."),
    ] = None,
    page: Annotated[bool, typer.Option(help="Write the HTML report.")] = True,
    out: Annotated[
        str, typer.Option(help="Folder, or its URL, for results; what is there is reused.")
    ] = "runs",
    as_json: AsJson = False,
) -> None:
    """Run an experiment of the source reports: claimed beside measured, and an HTML report."""
    from residua.experiments import run_experiment
    from residua.storage import local_copy, reused

    network = nullcontext() if backbone is None else local_copy(backbone)
    with network as backbone_file, reused(out) as folder:
        report = run_experiment(
            experiment,
            seeds=parse_seeds(seeds),
            recipes=recipe,
            epochs=epochs,
            quick=quick,
            folder=folder,
            backbone=backbone_file,
            page=page,
            console=console(),
        )
    if as_json:
        typer.echo(report.model_dump_json(indent=2))
    else:
        for part in report.tables():
            print_table(part)
