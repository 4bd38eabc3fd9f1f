"""What the commands share: the app, its exit codes, reading arguments and printing."""

from __future__ import annotations

import os
import sys
from typing import Annotated, Any

import typer

from residua.errors import ConfigurationError, OutputError

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_FLAGGED = 3
EXIT_STOPPED = 130

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
# Arguments and options that several commands have.
# Text, not Path, which would take a slash out of a URL.
BundlePath = Annotated[str, typer.Argument(help="A saved model, NAME.residua, or its URL.")]
Pictures = Annotated[
    list[str],
    typer.Argument(
        help="Pictures: a folder, files, Parquet, URLs of such, a data set's name, or - for paths "
        "on standard input."
    ),
]
TrustedPictures = Annotated[
    list[str],
    typer.Argument(
        help="Trusted pictures: a folder, files, Parquet, URLs of such, a data set's name, or - "
        "for paths on standard input."
    ),
]
FittedOn = Annotated[
    str | None,
    typer.Option(help="The pictures that the model was fitted on: a folder or a data set."),
]
Normal = Annotated[
    list[str] | None,
    typer.Option(help="Class of normal pictures, may be given again; all others are anomalous."),
]
Anomalous = Annotated[
    list[str] | None,
    typer.Option(help="Class of anomalous pictures, may be given again; all others are normal."),
]
NewModel = Annotated[
    str,
    typer.Option("--output", "-o", help="The model to write, a folder NAME.residua, or its URL."),
]
Force = Annotated[bool, typer.Option("--force", help="Replace a model of that name.")]
Seeds = Annotated[str, typer.Option(help="Seeds, with commas between.")]
Threads = Annotated[int | None, typer.Option(help="Processor threads. [default: all]", min=1)]
EngineName = Annotated[
    str,
    typer.Option(
        help="What computes: auto, onnxruntime, openvino or torch. auto: the fastest, once it was "
        "measured (residua engines)."
    ),
]
LowestPrecision = Annotated[
    str,
    typer.Option(help="float32, or bf16 where scores of it are within 0.1 % of those of float32."),
]
Cluster = Annotated[
    str | None,
    typer.Option(
        help="Share the work out on a Ray cluster: HOST:PORT of its head, or auto for the one that "
        "is here, else one of this machine alone. [default: no cluster]"
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(help="Workers on the cluster. [default: one for each processor]", min=1),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for a script to read.")]


def pictures(data: list[str]) -> str | list[str]:
    """Return what the arguments name: standard input, one folder or data set, or files."""
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


def check_new(model: str, *, force: bool) -> None:
    """Refuse a model that cannot be written, or one that is there and is not to be replaced."""
    from residua.bundle_writing import bundle_exists, check_writable

    check_writable(model)
    if bundle_exists(model) and not force:
        raise OutputError(f"{model} exists; choose another name, or replace it with --force")


def parse_seeds(text: str) -> list[int]:
    """Read whole numbers with commas between."""
    try:
        return [int(seed) for seed in text.split(",")]
    except ValueError as error:
        raise ConfigurationError(
            f"seeds are {text!r}; write whole numbers such as 0,1,2"
        ) from error


def parse_size(text: str | None) -> int | tuple[int, int] | None:
    """Read a side, or HEIGHTxWIDTH, in pixels."""
    if text is None:
        return None
    try:
        sides = [int(side) for side in text.lower().split("x")]
    except ValueError:
        sides = []
    if len(sides) not in (1, 2):
        raise ConfigurationError(f"size is {text!r}; write a side such as 128, or 96x128")
    return sides[0] if len(sides) == 1 else (sides[0], sides[1])


def show_info(bundle: str, manifest: Any, *, engine: str | None = None) -> None:
    """Print a bundle's manifest and, where it is known, what computes it here."""
    from residua.storage import name_of
    from residua.summary import info_table

    print_table(info_table(name_of(bundle), manifest, engine=engine))


def console() -> Any:
    """Return the console on standard error, where all but results goes."""
    from rich.console import Console

    return Console(stderr=True)


def say(text: str) -> None:
    """Print a line of markup on standard error."""
    console().print(text, highlight=False, soft_wrap=True)


def escape(text: str) -> str:
    """Return text that markup leaves as it is."""
    from rich.markup import escape

    return escape(text)


def print_table(table: Any) -> None:
    """Print a table on standard output."""
    from rich.console import Console

    Console().print(table)


def _paths_from_stdin() -> list[str]:
    # Bytes, so that names that are not UTF-8 arrive as the file system has them.
    text = sys.stdin.buffer.read()
    lines = text.split(b"\0" if b"\0" in text else b"\n")
    return [os.fsdecode(line.rstrip(b"\r")) for line in lines if line.strip()]
