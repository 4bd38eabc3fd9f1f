"""`residua fit`."""

from __future__ import annotations

from typing import Annotated

import typer

from residua.catalogue import CATALOGUE, DEFAULT_MODEL
from residua.cli.common import (
    AsJson,
    Cluster,
    Force,
    NewModel,
    TrustedPictures,
    Workers,
    app,
    check_new,
    escape,
    parse_size,
    pictures,
    say,
    show_info,
)
from residua.errors import ConfigurationError, OutputError
from residua.scoring.names import SCORES


@app.command(epilog="Example: residua fit good/ -o part.residua")
def fit(
    data: TrustedPictures,
    output: NewModel,
    model: Annotated[
        str | None,
        typer.Option(
            help=f"Network: {', '.join(CATALOGUE)}; see residua models. [default: "
            f"{DEFAULT_MODEL}; features with a backbone]"
        ),
    ] = None,
    backbone: Annotated[
        str | None,
        typer.Option(
            help="Rebuild the features of this pretrained network, an ONNX file or timm:NAME, "
            "instead of pixels."
        ),
    ] = None,
    latent_dim: Annotated[
        int | None, typer.Option(help="Numbers in the code. [default: by the picture's size]")
    ] = None,
    loss: Annotated[
        str | None, typer.Option(help="Training loss: mse or bce. [default: the network's]")
    ] = None,
    error_map: Annotated[
        str, typer.Option(help="absolute, squared, bce, bce_excess or ssim.")
    ] = "absolute",
    reduction: Annotated[
        str, typer.Option(help="Map to one number: mean, topk(SHARE) or max(SIGMA).")
    ] = "mean",
    score: Annotated[
        str,
        typer.Option(
            help=f"What the score is: {', '.join(SCORES)}. The first joins others; knn may be "
            "knn(K)."
        ),
    ] = "surprise",
    threshold: Annotated[
        str,
        typer.Option(
            help="auto, conformal(FPR), tail(FPR), percentile(Q), zscore(K), "
            "zscore(K, two_sided=True) or mad(K)."
        ),
    ] = "auto",
    epochs: Annotated[
        int | None,
        typer.Option(help="Passes over the pictures, at most. [default: about 4,000 steps]"),
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(help="Pictures in a step. [default: 8 to 128]")
    ] = None,
    learning_rate: Annotated[float, typer.Option(help="Step size of Adam.")] = 5e-3,
    schedule: Annotated[
        str, typer.Option(help="Course of the learning rate: one-cycle or constant.")
    ] = "one-cycle",
    patience: Annotated[
        int | None,
        typer.Option(help="Epochs without progress after which to stop. [default: never]"),
    ] = None,
    calibration_fraction: Annotated[
        float, typer.Option(help="Share of the pictures that fit the threshold and nothing else.")
    ] = 0.1,
    size: Annotated[
        str | None,
        typer.Option(
            help="Side, or HEIGHTxWIDTH, in pixels, 8 to 1024. [default: the pictures' own, at "
            "most 256]"
        ),
    ] = None,
    channels: Annotated[
        int | None, typer.Option(help="1 grey, 3 RGB. [default: from the pictures]")
    ] = None,
    resize: Annotated[str, typer.Option(help="stretch, pad or crop.")] = "stretch",
    value_range: Annotated[
        tuple[float, float] | None,
        typer.Option(help="Values that become black and white in deep pictures."),
    ] = None,
    precision: Annotated[str, typer.Option(help="auto, float32 or bf16.")] = "auto",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    seed: Annotated[int, typer.Option(help="Seed of splits, weights and order.")] = 0,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with a fit that was killed.")
    ] = False,
    cluster: Cluster = None,
    workers: Workers = None,
    storage: Annotated[
        str | None,
        typer.Option(
            help="Folder or URL that every machine of the cluster sees, for the state after each "
            "epoch. [default: beside the model]"
        ),
    ] = None,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Fit a model on trusted pictures and save it.

    What --resume needs lies beside the model, in NAME.residua.partial, until it is whole; of a
    model in an object store in the folder in which the command runs.
    """
    import contextlib
    import shutil

    from residua import AutoencoderDetector
    from residua.settings import FEATURES
    from residua.storage import beside_or_here
    from residua.workspace import alone_in

    if cluster is None and (workers is not None or storage is not None):
        raise ConfigurationError(
            "workers and storage are those of a fit on a cluster; name it with --cluster, or leave "
            "them out"
        )
    check_new(output, force=force)
    options = {} if backbone is None else {"backbone": backbone}
    partial = beside_or_here(output, ".partial")
    detector = AutoencoderDetector(
        model or (DEFAULT_MODEL if backbone is None else FEATURES),
        latent_dim=latent_dim,
        loss=loss,
        model_options=options or None,
        error_map=error_map,
        reduction=reduction,
        scoring=score,
        threshold=threshold,
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        schedule=schedule,
        patience=patience,
        calibration_fraction=calibration_fraction,
        image_size=parse_size(size),
        channels=channels,
        resize=resize,
        value_range=value_range,
        precision=precision,
        device=device,
        random_state=seed,
        checkpoint_dir=partial,
        resume=resume,
        verbose=1,
    )
    if cluster is None:
        detector.fit(pictures(data))
        detector.save(output)
        # Another fit of that name may have begun meanwhile: then it is that one's.
        with contextlib.suppress(OutputError, OSError), alone_in(partial, "fit"):
            shutil.rmtree(partial, ignore_errors=True)
    else:
        from residua.cluster.attending import Place
        from residua.cluster.fitting import discard_state, fit_on_cluster

        shared = storage or str(output).rstrip("/") + ".partial"
        fit_on_cluster(detector, pictures(data), storage=shared, place=Place(cluster, workers))
        detector.save(output)
        discard_state(shared)
    manifest = detector.manifest_
    if as_json:
        typer.echo(manifest.model_dump_json())
        return
    if detector.interrupted_:
        best = max((record for record in detector.history_ if record.best), key=lambda r: r.epoch)
        say(f"Stopped by Ctrl-C; the weights of epoch {best.epoch}, the best so far, are kept.")
    show_info(output, manifest)
    say(f"\nNext: [bold]residua score {escape(output)} FOLDER[/]")
