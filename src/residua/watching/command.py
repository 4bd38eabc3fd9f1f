"""A command that is run for an anomalous picture, without a shell."""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from typing import IO

from residua.errors import ConfigurationError, UnknownName
from residua.watching import CAMERA_LOGIN, WEBHOOK_SECRET
from residua.watching.notices import Notices
from residua.watching.notifying import NotDelivered, Sender
from residua.watching.outbox import Delivery

PLACEHOLDERS = ("path", "score", "id", "p")
_PLACEHOLDER = re.compile(r"\{(" + "|".join(PLACEHOLDERS) + r")\}")
_STEP = 0.05
_GRACE = 2.0
_SHOWN = 2_000
_PIECE, _PIECES = 1 << 16, 17
_SECRETS = (WEBHOOK_SECRET, CAMERA_LOGIN)
# Before Python 3.12 Windows has no pipe that can be looked into without waiting.
_CAN_PEEK = hasattr(os, "set_blocking")


class Command(Sender):
    """Runs a program with arguments; the notification as JSON is its standard input.

    The text is split as a shell would, and only then are ``{path}``, ``{score}``, ``{id}`` and
    ``{p}`` replaced within the arguments: no name of a file can become another argument, let alone
    a command. What the program prints goes to the notices.

    Parameters
    ----------
    text : str
        The program with its arguments.
    notices : Notices
    timeout : float
        Seconds after which it is killed, with all it has started; it has then failed.
    has_files : bool
        Whether the pictures are files; a camera's have no path.

    Raises
    ------
    ConfigurationError
        The text is empty or a quotation is not closed, the program is not there, a placeholder is
        none, or it asks for the path where there is none.
    """

    channel = "command"

    def __init__(
        self, text: str, notices: Notices, *, timeout: float = 60.0, has_files: bool = True
    ) -> None:
        try:
            self._words = shlex.split(text)
        except ValueError as error:
            raise ConfigurationError(f"the command {text!r} cannot be split: {error}") from error
        if not self._words:
            raise ConfigurationError("the command is empty; write a program with its arguments")
        if shutil.which(self._words[0]) is None:
            raise ConfigurationError(
                f"the command's program {self._words[0]!r} is not there or may not be run; check "
                f"its path"
            )
        for name in re.findall(r"\{(\w+)\}", text):
            if name not in PLACEHOLDERS:
                raise UnknownName.among("placeholder of a command", name, PLACEHOLDERS)
        if not has_files and "{path}" in text:
            raise ConfigurationError(
                "the command asks for {path}, but a camera's picture is no file; use {id}, or "
                "--heatmaps and the JSON on standard input"
            )
        self.name = f"the command {self._words[0]}"
        self._notices, self._timeout = notices, timeout

    def send(self, delivery: Delivery, stop: threading.Event) -> None:
        """Run it; exit status 0 is a success. See `Sender.send`."""
        try:
            program = subprocess.Popen(
                self._arguments(delivery),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE if _CAN_PEEK else subprocess.DEVNULL,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={name: text for name, text in os.environ.items() if name not in _SECRETS},
            )
        except (OSError, ValueError) as error:
            raise NotDelivered(str(error)) from error
        printed = _Printed(program.stdout)
        assert program.stdin is not None
        try:
            # So little that it fits the pipe, also where the program does not read it.
            with contextlib.suppress(OSError), program.stdin as pipe:
                pipe.write(delivery.body.encode() + b"\n")
            ended = _ended(program, printed, self._timeout, stop)
        finally:
            _kill(program)
            printed.close()
        for line in printed.text.splitlines():
            self._notices.say(f"{self.name}: {line}")
        if not ended:
            raise NotDelivered(f"it took more than {self._timeout:g} seconds")
        if program.returncode:
            raise NotDelivered(f"it exits with {program.returncode}")

    def _arguments(self, delivery: Delivery) -> list[str]:
        facts = json.loads(delivery.body)
        values = {name: _as_text(facts.get(name)) for name in PLACEHOLDERS}
        if delivery.path is not None:  # as the file system has it, where JSON shows it
            values["path"] = os.fsdecode(delivery.path)
        return [_PLACEHOLDER.sub(lambda found: values[found[1]], word) for word in self._words]


def _as_text(value: object) -> str:
    return "" if value is None else str(value)


class _Printed:
    """The end of what a program prints, read without ever waiting for more.

    What it has started may hold the pipe open for hours after its own end.
    """

    def __init__(self, pipe: IO[bytes] | None) -> None:
        self._pipe, self._kept = pipe, bytearray()
        if pipe is not None:
            os.set_blocking(pipe.fileno(), False)

    @property
    def text(self) -> str:
        return bytes(self._kept[-_SHOWN:]).decode("utf-8", "replace").strip()

    def wait(self, program: subprocess.Popen[bytes]) -> None:
        """Wait a moment for the program to print or to end."""
        if self._pipe is None or sys.platform == "win32":
            with contextlib.suppress(subprocess.TimeoutExpired):
                program.wait(_STEP)
        else:
            select.select([self._pipe], [], [], _STEP)
        self.read()

    def read(self) -> None:
        """Take in what is there; so much at once that a pipe holds no more."""
        for _ in range(_PIECES):
            if self._pipe is None:
                return
            try:
                piece = os.read(self._pipe.fileno(), _PIECE)
            except BlockingIOError:
                return
            self._kept += piece
            del self._kept[: -2 * _SHOWN]
            if not piece:
                self.close()

    def close(self) -> None:
        if self._pipe is not None:
            self._pipe.close()
            self._pipe = None


def _ended(
    program: subprocess.Popen[bytes], printed: _Printed, timeout: float, stop: threading.Event
) -> bool:
    """Wait for the end; once ``stop`` is set, a short while only."""
    until = time.monotonic() + timeout
    graced = False
    while time.monotonic() < until:
        if stop.is_set() and not graced:
            graced, until = True, min(until, time.monotonic() + _GRACE / 2)
        printed.wait(program)
        if program.poll() is not None:
            printed.read()
            return True
    return False


def _kill(program: subprocess.Popen[bytes]) -> None:
    """End a program that still runs, with all that it has started."""
    if program.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            if sys.platform == "win32":
                program.kill()
            else:
                os.killpg(program.pid, signal.SIGKILL)
        program.wait()
