"""`residua refine`."""

from __future__ import annotations

from typing import Annotated

import typer

from residua.cli.common import (
    AsJson,
    Force,
    NewModel,
    TrustedPictures,
    app,
    check_new,
    console,
    escape,
    parse_size,
    pictures,
    print_table,
    say,
)
from residua.errors import ConfigurationError


@app.command(epilog="Example: residua refine good/ -o best.residua --trials 30")
def refine(
    data: TrustedPictures,
    output: NewModel,
    trials: Annotated[
        int, typer.Option(help="Trials in all, those of earlier calls counted in.", min=1)
    ] = 20,
    timeout: Annotated[
        float | None,
        typer.Option(help="Seconds after which no further trial begins. [default: none]", min=0),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(help="Only this network, may be given again. [default: all that fit]"),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(help="Epochs of each trial. [default: about 4,000 steps]", min=1),
    ] = None,
    size: Annotated[
        str | None,
        typer.Option(help="Side, or HEIGHTxWIDTH, in pixels. [default: the pictures' own]"),
    ] = None,
    threshold: Annotated[
        str,
        typer.Option(help="auto, conformal(FPR), tail(FPR), percentile(Q), zscore(K) or mad(K)."),
    ] = "auto",
    folder: Annotated[
        str | None,
        typer.Option(help="For the study and the model of each step. [default: NAME.refinement]"),
    ] = None,
    storage: Annotated[
        str | None,
        typer.Option(help="SQLAlchemy URL of the study. [default: SQLite in the folder]"),
    ] = None,
    prune: Annotated[
        bool, typer.Option(help="End trials early that are behind the others.")
    ] = True,
    test: Annotated[
        str | None,
        typer.Option(help="Labelled pictures to measure each step on, after the search."),
    ] = None,
    normal: Annotated[
        list[str] | None, typer.Option(help="A normal class of --test, may be given again.")
    ] = None,
    anomalous: Annotated[
        list[str] | None, typer.Option(help="An anomalous class of --test, may be given again.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of splits, weights and search.", min=0)] = 0,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Search for better settings by synthetic anomalies, and fit the best ones.

    Network, code size, width, depth, loss, learning rate, error map, reduction and score are
    searched. Trials are judged by held-out normal pictures and anomalies made from them, never by
    labels. The same command goes on with a search that was stopped.
    """
    from residua import AutoencoderDetector
    from residua.evaluation.truth import known_truth, truth_of
    from residua.images.resolve import resolve_source
    from residua.refinement.space import SearchSpace
    from residua.refinement.study import refine as run
    from residua.refinement.tested import measure_steps
    from residua.report.refined import draw_refinement
    from residua.storage import beside_or_here, local_path

    place = (
        beside_or_here(output, ".refinement", instead=True)
        if folder is None
        else local_path(folder, "the study of a search")
    )
    check_new(output, force=force)
    if test is None and (normal or anomalous):
        raise ConfigurationError("--normal and --anomalous name classes of --test; give that too")
    if test is not None:
        # Before the search: a class that does not exist is refused at once.
        labels = resolve_source(test, prefer="test").labels
        if known_truth(test, labels, normal=normal, anomalous=anomalous) is None:
            truth_of(labels)
    source = resolve_source(pictures(data), prefer="train")
    detector = AutoencoderDetector(
        (model or ["conv"])[0],
        epochs=epochs,
        image_size=parse_size(size),
        threshold=threshold,
        random_state=seed,
    )
    found = run(
        source,
        detector.settings_for(source),
        output=output,
        folder=place,
        trials=trials,
        timeout=timeout,
        storage=storage,
        space=SearchSpace(models=None if model is None else tuple(model)),
        prune=prune,
        console=console(),
    )
    if test is not None:
        found = measure_steps(found, place, test, normal=normal, anomalous=anomalous)
    if as_json:
        typer.echo(found.model_dump_json(indent=2))
    else:
        print_table(found.table())
    figures = draw_refinement(found, place, source)
    for path in (*figures, output):
        say(f"written: {escape(str(path))}")
