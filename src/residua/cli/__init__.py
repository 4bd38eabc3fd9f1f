"""The command line: parse, call, print. No logic, and nothing heavy until a command needs it."""

from __future__ import annotations

import os
import signal
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from residua import __version__

# isort: off
# Each module adds its commands to the app, which lists them in this order.
from residua.cli import fitting, scoring, watching, serving, recalibrating  # noqa: F401
from residua.cli import exporting, evaluating, reporting  # noqa: F401
from residua.cli import advising, comparing, refining  # noqa: F401
from residua.cli import about, models, experiments  # noqa: F401

# isort: on
from residua.cli.common import EXIT_FAILED, EXIT_USAGE, app, escape, say
from residua.errors import ConfigurationError, MissingExtra, ResiduaError, ResiduaWarning


def main() -> None:
    """Run the command line; a `ResiduaError` becomes one line and exit code 1."""
    try:
        _refuse_memory(sys.argv[1:])
        with _warnings_as_lines(), _sigterm_as_exit():
            app()
    except ConfigurationError as error:
        _fail(str(error), EXIT_USAGE)
    except ResiduaError as error:
        _fail("; ".join((str(error), *getattr(error, "__notes__", ()))), EXIT_FAILED)
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


def _refuse_memory(words: list[str]) -> None:
    for word in words:
        if word.rpartition("=")[2].lower().startswith("memory://"):
            raise ConfigurationError(
                f"{word} is memory of this process and ends with it; name a path or another URL"
            )


def _fail(message: str, code: int) -> None:
    say(f"[bold red]error:[/] {escape(message)}")
    sys.exit(code)


@contextmanager
def _sigterm_as_exit() -> Iterator[None]:
    """Let SIGTERM end a command by an exception, so that nothing half written stays behind.

    A second one ends it at once. Services and watchers set handlers of their own.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(number: int, _: object) -> None:
        signal.signal(number, signal.SIG_DFL)
        raise SystemExit(128 + number)

    previous = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


@contextmanager
def _warnings_as_lines() -> Iterator[None]:
    def show(message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
        if issubclass(category, ResiduaWarning):
            say(f"[bold yellow]warning:[/] {escape(str(message))}")

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", ResiduaWarning)
        warnings.showwarning = show
        yield
