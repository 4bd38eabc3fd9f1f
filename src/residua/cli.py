"""The command line: parse, call, print. No logic, and nothing heavy until a command needs it."""

from __future__ import annotations

import json
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from residua import __version__
from residua.errors import ConfigurationError, MissingExtra, ResiduaError, ResiduaWarning

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_FLAGGED = 3

app = typer.Typer(
    name="residua",
    help="Find the images that don't belong.\n\n"
    "Fit a model on pictures that you trust, then score others: a picture that the model cannot "
    "rebuild is suspect.\n\nExit codes: 0 fine, 1 something failed, 2 wrong usage, 3 something "
    "was flagged (with --fail-on-anomaly).",
    epilog="Start with: residua demo",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for a script to read.")]


def main() -> None:
    """Run the command line; a `ResiduaError` becomes one line and exit code 1."""
    try:
        with _warnings_as_lines():
            app()
    except ConfigurationError as error:
        _fail(str(error), EXIT_USAGE)
    except ResiduaError as error:
        _fail(str(error), EXIT_FAILED)
    except ModuleNotFoundError as error:
        missing = MissingExtra.behind(error)
        if missing is None:
            raise
        _fail(str(missing), EXIT_FAILED)
    except BrokenPipeError:
        # The reader of our output, such as `head`, has seen enough; nothing is left to flush.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(EXIT_FAILED)
    except OSError as error:
        _fail(str(error), EXIT_FAILED)


@app.callback(invoke_without_command=True)
def _common(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        typer.echo(f"residua {__version__}")
        raise typer.Exit


@app.command(epilog="Example: residua fit good/ -o part.residua")
def fit(
    data: Annotated[
        list[str],
        typer.Argument(
            help="Trusted pictures: a folder, files, a data set's name, or - for paths on "
            "standard input."
        ),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The model to write, a folder NAME.residua.")
    ],
    model: Annotated[str, typer.Option(help="Network: conv or seed-mnist.")] = "conv",
    latent_dim: Annotated[
        int | None, typer.Option(help="Numbers in the code. [default: by the picture's size]")
    ] = None,
    loss: Annotated[
        str | None, typer.Option(help="Training loss: mse or bce. [default: the network's]")
    ] = None,
    error_map: Annotated[
        str, typer.Option(help="squared, absolute, bce, bce_excess or ssim.")
    ] = "squared",
    reduction: Annotated[
        str, typer.Option(help="Map to score: mean, topk(SHARE) or max(SIGMA).")
    ] = "mean",
    threshold: Annotated[
        str,
        typer.Option(help="percentile(Q), zscore(K), zscore(K, two_sided=True) or mad(K)."),
    ] = "percentile(99)",
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
    force: Annotated[bool, typer.Option("--force", help="Replace a model of that name.")] = False,
    as_json: AsJson = False,
) -> None:
    """Fit a model on trusted pictures and save it."""
    import shutil

    from residua import AutoencoderDetector
    from residua.bundle import check_writable
    from residua.errors import OutputError

    check_writable(output)
    if output.exists() and not force:
        raise OutputError(f"{output} exists; choose another name, or replace it with --force")
    partial = output.with_name(f"{output.name}.partial")
    detector = AutoencoderDetector(
        model,
        latent_dim=latent_dim,
        loss=loss,
        error_map=error_map,
        reduction=reduction,
        threshold=threshold,
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        schedule=schedule,
        patience=patience,
        calibration_fraction=calibration_fraction,
        image_size=_size(size),
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
    detector.fit(_pictures(data))
    detector.save(output)
    shutil.rmtree(partial, ignore_errors=True)
    manifest = detector.manifest_
    if as_json:
        typer.echo(manifest.model_dump_json())
        return
    if detector.interrupted_:
        best = max((record for record in detector.history_ if record.best), key=lambda r: r.epoch)
        _say(f"Stopped by Ctrl-C; the weights of epoch {best.epoch}, the best so far, are kept.")
    _show_info(output, manifest)
    _say(f"\nNext: [bold]residua score {_escape(str(output))} FOLDER[/]")


@app.command(epilog="Example: residua score part.residua incoming/ --out scores.csv --maps maps/")
def score(
    bundle: Annotated[Path, typer.Argument(help="A saved model, NAME.residua.")],
    data: Annotated[
        list[str],
        typer.Argument(
            help="Pictures: a folder, files, a data set's name, or - for paths on standard input."
        ),
    ],
    out: Annotated[
        Path | None, typer.Option(help="Table of all scores: .csv, .jsonl or .parquet.")
    ] = None,
    maps: Annotated[
        Path | None, typer.Option(help="Folder for a heat map of each picture, as PNG.")
    ] = None,
    rows: Annotated[int, typer.Option(help="Rows of the table on a terminal.", min=1)] = 25,
    fail_on_anomaly: Annotated[
        bool, typer.Option("--fail-on-anomaly", help="Exit with 3 when a picture is flagged.")
    ] = False,
    threads: Annotated[
        int | None, typer.Option(help="Processor threads. [default: all]", min=1)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Score pictures with a saved model.

    On a terminal the most anomalous are shown; into a pipe go all, as CSV or with --json as JSON
    lines.
    """
    from contextlib import ExitStack

    from residua.results import csv_rows, json_rows, verdict_file
    from residua.runtime import BundleScorer
    from residua.summary import Summary

    scorer = BundleScorer(bundle, threads=threads)
    summary = Summary(keep=rows)
    source = _pictures(data)
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
            for verdict in verdicts:
                for write in writers:
                    write(verdict)
            if maps is not None:
                _save_maps(maps, verdicts, images, scored.error_maps, scorer.manifest.map_ceiling)
    if sys.stdout.isatty() and not as_json:
        what = data[0] if len(data) == 1 else f"{len(data):,} files"
        _print_table(summary.table(title=f"{bundle.name} on {what}"))
    _say(summary.line())
    for name, path in (("scores", out), ("heat maps", maps)):
        if path is not None:
            _say(f"{name}: {_escape(str(path))}")
    if fail_on_anomaly and summary.flagged:
        raise typer.Exit(EXIT_FLAGGED)
    if summary.failed:
        raise typer.Exit(EXIT_FAILED)


@app.command(epilog="Example: residua info part.residua")
def info(
    bundle: Annotated[Path, typer.Argument(help="A saved model, NAME.residua.")],
    as_json: AsJson = False,
) -> None:
    """Say what a saved model is and how it came about."""
    from residua.bundle import open_bundle

    manifest = open_bundle(bundle).manifest
    if as_json:
        typer.echo(manifest.model_dump_json())
    else:
        _show_info(bundle, manifest)


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
    _print_table(table)


@app.command(epilog="Example: residua demo --out demo-output")
def demo(
    out: Annotated[Path, typer.Option(help="Folder for the model, scores and picture.")] = Path(
        "demo-output"
    ),
    seed: Annotated[int, typer.Option(help="Seed of pictures and weights.")] = 0,
) -> None:
    """Train on generated surfaces, score sound and defective ones, and draw what was found."""
    from residua.experiments.demo import run_demo

    run_demo(out, seed=seed, console=_console())


@app.command(epilog="Example: residua reproduce mnist-fashion --seeds 0,1,2")
def reproduce(
    experiment: Annotated[str, typer.Argument(help="mnist-fashion.")],
    seeds: Annotated[str, typer.Option(help="Seeds, with commas between.")] = "0",
    recipe: Annotated[
        list[str] | None,
        typer.Option(help="Only this recipe, may be given again. [default: all]"),
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(help="Another number of epochs than the recipe's.", min=1)
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for results; what is there is reused.")] = Path(
        "runs"
    ),
    as_json: AsJson = False,
) -> None:
    """Run an experiment of the source reports: claimed beside measured."""
    from residua.errors import ConfigurationError
    from residua.experiments import run_experiment

    try:
        numbers = [int(seed) for seed in seeds.split(",")]
    except ValueError as error:
        raise ConfigurationError(
            f"seeds are {seeds!r}; write whole numbers such as 0,1,2"
        ) from error
    report = run_experiment(
        experiment, seeds=numbers, recipes=recipe, epochs=epochs, folder=out, console=_console()
    )
    if as_json:
        typer.echo(report.model_dump_json(indent=2))
    else:
        for part in report.tables():
            _print_table(part)


def _save_maps(
    folder: Path, verdicts: list[Any], images: Any, error_maps: Any, ceiling: float
) -> None:
    from residua.heatmaps import overlay, save_overlay

    readable = [verdict for verdict in verdicts if verdict.error is None]
    for verdict, image, error_map in zip(readable, images, error_maps, strict=True):
        save_overlay(folder, verdict.id, overlay(image, error_map, ceiling))


def _show_info(path: Path, manifest: Any) -> None:
    from residua.summary import info_table

    _print_table(info_table(path.name, manifest))


def _pictures(data: list[str]) -> str | list[str]:
    if data == ["-"]:
        return _paths_from_stdin()
    if len(data) == 1:
        return data[0]
    for path in data:
        if path == "-" or os.path.isdir(path):  # noqa: PTH112  as given, thousands of times
            raise ConfigurationError(
                f"{path!r} stands among {len(data)} arguments; give one folder, or - alone, or "
                f"files only"
            )
    return data


def _size(text: str | None) -> int | tuple[int, int] | None:
    if text is None:
        return None
    try:
        sides = [int(side) for side in text.lower().split("x")]
    except ValueError:
        sides = []
    if len(sides) not in (1, 2):
        raise ConfigurationError(f"size is {text!r}; write a side such as 128, or 96x128")
    return sides[0] if len(sides) == 1 else (sides[0], sides[1])


def _fail(message: str, code: int) -> None:
    _say(f"[bold red]error:[/] {_escape(message)}")
    sys.exit(code)


def _paths_from_stdin() -> list[str]:
    # Bytes, so that names that are not UTF-8 arrive as the file system has them.
    text = sys.stdin.buffer.read()
    lines = text.split(b"\0" if b"\0" in text else b"\n")
    return [os.fsdecode(line.rstrip(b"\r")) for line in lines if line.strip()]


@contextmanager
def _warnings_as_lines() -> Iterator[None]:
    def show(message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
        if issubclass(category, ResiduaWarning):
            _say(f"[bold yellow]warning:[/] {_escape(str(message))}")

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", ResiduaWarning)
        warnings.showwarning = show
        yield


def _console() -> Any:
    from rich.console import Console

    return Console(stderr=True)


def _say(text: str) -> None:
    _console().print(text, highlight=False, soft_wrap=True)


def _escape(text: str) -> str:
    from rich.markup import escape

    return escape(text)


def _print_table(table: Any) -> None:
    from rich.console import Console

    Console().print(table)
