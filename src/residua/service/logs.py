"""The service's log: a line an event, as JSON or text, without the content of pictures."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal

NAME = "residua.service"
_FIELDS = "residua_fields"

LogFormat = Literal["json", "text"]


class JsonLines(logging.Formatter):
    """One JSON object a line: time, level, event, and whatever fields the event has."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line: dict[str, Any] = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **_fields(record),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=True, default=str)


class TextLines(logging.Formatter):
    """Time, level, event and its fields, for people."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        # As JSON, so that a name from outside cannot begin a line of its own.
        fields = " ".join(
            f"{key}={json.dumps(value, default=str)}" for key, value in _fields(record).items()
        )
        line = f"{_time(record)} {record.levelname:<7} {record.getMessage()} {fields}".rstrip()
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def configure(form: LogFormat, level: int = logging.INFO) -> None:
    """Have the service and uvicorn write to standard error."""
    writer = logging.StreamHandler(sys.stderr)
    writer.setFormatter(JsonLines() if form == "json" else TextLines())
    # What a parser thinks of a request is in the answer.
    for name, at in (
        (NAME, level),
        ("uvicorn.error", logging.ERROR),
        ("python_multipart", logging.CRITICAL),
    ):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [writer], False
        logger.setLevel(at)


def log(event: str, level: int = logging.INFO, *, error: bool = False, **fields: Any) -> None:
    """Write an event with its fields; with the exception at hand, where there is an error."""
    logging.getLogger(NAME).log(level, event, extra={_FIELDS: fields}, exc_info=error)


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")


def _fields(record: logging.LogRecord) -> Mapping[str, Any]:
    fields: Mapping[str, Any] = getattr(record, _FIELDS, {})
    return fields
