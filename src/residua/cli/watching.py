"""`residua watch`."""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from residua.cli.common import (
    EXIT_FAILED,
    EXIT_FLAGGED,
    AsJson,
    BundlePath,
    EngineName,
    LowestPrecision,
    Threads,
    app,
    escape,
    say,
)
from residua.errors import ConfigurationError
from residua.watching import CAMERA_LOGIN, WEBHOOK_SECRET

if TYPE_CHECKING:
    from types import FrameType

    from residua.engines.base import Precision

# Options that mean something only where another one is given, or for one kind of source.
_OF_FOLDERS = ("only_new", "poll", "settle", "patience")
_OF_CAMERAS = ("every", "timeout")
_OF_NOTIFICATIONS = ("on_error", "give_up")


@app.command(
    epilog="Example: residua watch part.residua incoming/ --out scores.csv "
    "--webhook https://line3.example/alarm"
)
def watch(
    ctx: typer.Context,
    bundle: BundlePath,
    source: Annotated[
        str,
        typer.Argument(
            help="A folder, watched with all folders in it; or the address of a camera's "
            "snapshot, http:// or https://."
        ),
    ],
    out: Annotated[
        str | None,
        typer.Option(help="Append rows to this file, .csv or .jsonl. [default: standard output]"),
    ] = None,
    as_json: AsJson = False,
    heatmaps: Annotated[
        str | None, typer.Option(help="Folder for heat maps of anomalous pictures, as PNG.")
    ] = None,
    only_new: Annotated[
        bool,
        typer.Option("--only-new", help="Skip the files that are there at the very first start."),
    ] = False,
    once: Annotated[
        bool, typer.Option("--once", help="Score what is there and exit, as for cron.")
    ] = False,
    poll: Annotated[
        bool,
        typer.Option("--poll", help="Look through the folder every second: for network shares."),
    ] = False,
    settle: Annotated[
        float, typer.Option(help="Seconds that a file must stand still.", min=0)
    ] = 1.0,
    patience: Annotated[
        float,
        typer.Option(
            help="Seconds for which a file that cannot be read is tried again, from its last "
            "change that was seen; with --once, from the one that its times tell of.",
            min=0,
        ),
    ] = 30.0,
    every: Annotated[float, typer.Option(help="Seconds from one snapshot to the next.")] = 2.0,
    timeout: Annotated[float, typer.Option(help="Seconds that the camera has to answer.")] = 5.0,
    webhook: Annotated[
        str | None,
        typer.Option(
            help=f"Address to which a notification of each anomalous picture is POSTed as JSON, "
            f"signed where {WEBHOOK_SECRET} is set."
        ),
    ] = None,
    command: Annotated[
        str | None,
        typer.Option(
            help="Program to run for each anomalous picture, without a shell; {path}, {score}, "
            "{id} and {p} are replaced in its arguments, and JSON is its standard input."
        ),
    ] = None,
    command_timeout: Annotated[
        float, typer.Option(help="Seconds after which the program is killed.")
    ] = 60.0,
    on_error: Annotated[
        bool,
        typer.Option("--on-error", help="Notify also of pictures that cannot be read."),
    ] = False,
    give_up: Annotated[
        float, typer.Option(help="Hours for which a notification is tried again.")
    ] = 24.0,
    ledger: Annotated[
        str | None,
        typer.Option(
            help="File that remembers what was scored. [default: one for this model and folder "
            "in the user's state folder]"
        ),
    ] = None,
    fail_on_anomaly: Annotated[
        bool,
        typer.Option("--fail-on-anomaly", help="With --once: exit with 3 if a picture is flagged."),
    ] = False,
    threads: Threads = None,
    engine: EngineName = "auto",
    precision: LowestPrecision = "float32",
) -> None:
    """Score pictures as they arrive in a folder or from a camera, each of them once.

    It goes on until SIGINT or SIGTERM, and goes on where it was at the next start, also after a
    kill. On a terminal each picture is a line; a camera's user and password may stand in
    RESIDUA_CAMERA_LOGIN as user:password.
    """
    from residua.storage import SCHEMES, name_of, scheme_of
    from residua.watching.rows import write_all
    from residua.watching.watch import default_ledger
    from residua.watching.watch import watch as watch_pictures

    is_camera = "://" in source and scheme_of(source) not in SCHEMES
    _refuse_given(ctx, _OF_FOLDERS if is_camera else (), "a camera has no use for it")
    _refuse_given(ctx, () if is_camera else _OF_CAMERAS, "a folder has no use for it")
    _refuse_given(ctx, () if command else ("command_timeout",), "it needs --command")
    _refuse_given(
        ctx, () if webhook or command else _OF_NOTIFICATIONS, "it needs --webhook or --command"
    )
    _refuse_given(ctx, () if once else ("fail_on_anomaly",), "it needs --once")
    _refuse_given(
        ctx, ("as_json",) if out else (), "rows go to --out, whose ending says their format"
    )
    seen = sys.stderr.isatty()
    # On one terminal, lines for a person take the place of rows for a program.
    one_terminal = seen and sys.stdout.isatty()
    shows_rows = as_json or not one_terminal
    if not once:
        place = ledger or default_ledger(bundle, source)
        say(
            f"watching {escape(source)} with {escape(name_of(bundle))}; ledger {escape(str(place))}"
        )
    stop = _StopFlag()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop.ask)
    tally = watch_pictures(
        bundle,
        source,
        out=out,
        ledger=ledger,
        only_new=only_new,
        once=once,
        poll=poll,
        settle=settle,
        patience=patience,
        every=every,
        timeout=timeout,
        login=_login() if is_camera else None,
        webhook=webhook,
        webhook_secret=os.environ.get(WEBHOOK_SECRET) or None,
        command=command,
        command_timeout=command_timeout,
        on_error=on_error,
        give_up=give_up,
        heatmaps=heatmaps,
        threads=threads,
        engine=engine,
        precision=cast("Precision", precision),
        send=(lambda rows: write_all(sys.stdout.fileno(), rows)) if shows_rows else None,
        as_json=as_json,
        on_row=_show if seen and not (one_terminal and shows_rows) else None,
        say=lambda text: say(f"[bold yellow]watch:[/] {escape(text)}"),
        stop=stop,
    )
    waiting = f", {tally.waiting:,} notifications wait for the next run" * bool(tally.waiting)
    failed = f", [yellow]{tally.failed:,} could not be read[/]" * bool(tally.failed)
    say(f"{tally.scored:,} scored, [bold]{tally.flagged:,} anomalous[/]{failed}{waiting}")
    if once and not (is_camera or tally.scored or tally.failed):
        say(
            f"there is no new picture in {escape(source)}; files count whose names end as pictures'"
        )
    if once and fail_on_anomaly and tally.flagged:
        raise typer.Exit(EXIT_FLAGGED)
    if once and tally.failed and not stop.is_set():
        raise typer.Exit(EXIT_FAILED)


class _StopFlag:
    """Set by a signal; no lock, since the signal may come while one is held."""

    def __init__(self) -> None:
        self._asked = False

    def ask(self, number: int, _: FrameType | None) -> None:
        """Ask for the end; the same signal a second time ends the process at once."""
        self._asked = True
        signal.signal(number, signal.SIG_DFL)

    def is_set(self) -> bool:
        return self._asked


def _refuse_given(ctx: typer.Context, names: tuple[str, ...], why: str) -> None:
    """Refuse options that would be ignored."""
    for name in names:
        source = ctx.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            option = "--json" if name == "as_json" else f"--{name.replace('_', '-')}"
            raise ConfigurationError(f"{option} is given, but {why}; leave it out")


def _login() -> tuple[str, str] | None:
    """Return the camera's user and password that the environment holds."""
    text = os.environ.get(CAMERA_LOGIN)
    if not text:
        return None
    user, colon, password = text.partition(":")
    if not colon:
        raise ConfigurationError(f"{CAMERA_LOGIN} has no colon; wanted user:password")
    return user, password


def _show(row: dict[str, Any]) -> None:
    from residua.watching.notices import printed

    name = escape(printed(row["id"]))
    if row["error"] is not None:
        say(f"[yellow]✕ {name}: {escape(printed(row['error']))}[/]")
        return
    mark = "[bold red]●[/]" if row["anomalous"] else "[green]○[/]"
    say(f"{mark} {name}  {row['score']:.6g}  p {row['p']:.2g}")
