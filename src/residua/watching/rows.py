"""Rows of scores to a file or a stream, each of them once, also where the process is killed.

The ledger knows how many bytes of the file it has accounted for. A row is appended and flushed to
disk, then the new length is recorded and the row leaves the ledger in one transaction. What a
killed process appended without recording it is cut off at the next start, and appended again.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from residua import results
from residua.errors import ConfigurationError, OutputError
from residua.locking import lock
from residua.watching.ledger import Ledger, Position
from residua.writing import check_parent

COLUMNS = (*results.COLUMNS, "time", "sha256")
"""Those of `residua.results`, the time of scoring (ISO 8601, UTC) and the SHA-256 of the file."""
FORMATS = (".csv", ".jsonl")
_ROWS_AT_ONCE = 256


class Rows(ABC):
    """Where rows go.

    Parameters
    ----------
    ledger : Ledger
        Holds the rows until they are written.
    suffix : {".csv", ".jsonl"}
        Their format.
    """

    def __init__(self, ledger: Ledger, suffix: str) -> None:
        self._ledger, self._suffix = ledger, suffix

    def write(self) -> None:
        """Write all rows that wait in the ledger.

        Raises
        ------
        OutputError
            They cannot be written now; those that are not stay in the ledger.
        """
        while rows := self._ledger.rows(_ROWS_AT_ONCE):
            self._append([row for _, row in rows], upto=rows[-1][0])

    @abstractmethod
    def _append(self, rows: list[dict[str, Any]], upto: int) -> None:
        """Write rows and account for them."""

    @abstractmethod
    def close(self) -> None:
        """Let go of what is open."""

    def _text(self, rows: list[dict[str, Any]]) -> bytes:
        if self._suffix == ".jsonl":
            return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(map(results.csv_cells, rows))
        return text.getvalue().encode()

    @property
    def _header(self) -> bytes:
        return b"" if self._suffix == ".jsonl" else (",".join(COLUMNS) + "\n").encode()


class RowStream(Rows):
    """Rows to a stream: a row may come twice where the process is killed, but never be missing.

    Parameters
    ----------
    ledger : Ledger
    suffix : {".csv", ".jsonl"}
    send : callable
        Takes bytes, and returns when they are gone.
    """

    def __init__(self, ledger: Ledger, suffix: str, send: Callable[[bytes], None]) -> None:
        super().__init__(ledger, suffix)
        self._send = send
        self._begun = False

    def write(self) -> None:
        """Write all rows that wait in the ledger; see `Rows.write`."""
        if not self._begun:
            self._try(self._header)
            self._begun = True
        super().write()

    def close(self) -> None:
        """Leave the stream as it is: it is the caller's."""

    def _append(self, rows: list[dict[str, Any]], upto: int) -> None:
        self._try(self._text(rows))
        self._ledger.account(None, upto)

    def _try(self, data: bytes) -> None:
        try:
            self._send(data)
        except BrokenPipeError:
            raise  # nobody reads any more
        except OSError as error:
            raise OutputError(f"the rows cannot be written: {error.strerror or error}") from error


class RowFile(Rows):
    """Rows to the end of a file, which may be moved away or truncated at any time.

    Parameters
    ----------
    ledger : Ledger
    path : Path
        Its ending says the format.

    Raises
    ------
    ConfigurationError
        The ending names no format that rows can be appended to.
    OutputError
        Its folder is missing, another process writes to it, or it holds something else.
    """

    def __init__(self, ledger: Ledger, path: Path) -> None:
        if path.suffix not in FORMATS:
            raise ConfigurationError(
                f"{path.name!r} names no format to which rows can be appended; end it in one of "
                f"{', '.join(FORMATS)}"
            )
        check_parent(path)
        super().__init__(ledger, path.suffix)
        self._path = path.absolute()
        self._descriptor: int | None = None
        with self._errors_named():
            self._opened()

    def close(self) -> None:
        """Close the file."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _append(self, rows: list[dict[str, Any]], upto: int) -> None:
        with self._errors_named():
            descriptor, length = self._opened()
            data = self._text(rows) if length else self._header + self._text(rows)
            try:
                write_all(descriptor, data)
                os.fsync(descriptor)
            except OSError:
                with contextlib.suppress(OSError):
                    os.ftruncate(descriptor, length)
                raise
            self._ledger.account(self._position(descriptor), upto)

    def _opened(self) -> tuple[int, int]:
        """Return the file, ready for the next row, and its length; a new one if it was rotated."""
        if self._descriptor is not None and not self._is_still_there(self._descriptor):
            self.close()
        if self._descriptor is None:
            self._descriptor = self._open()
        accounted, now = self._ledger.output, self._position(self._descriptor)
        if accounted is not None and accounted[:3] == now[:3] and now.length >= accounted.length:
            if now.length > accounted.length:
                os.ftruncate(self._descriptor, accounted.length)
            return self._descriptor, accounted.length
        if now.length:
            now = self._adopted(self._descriptor)
        # Recorded before a row is in it: else a killed process would leave rows that are nobody's.
        self._ledger.account(now)
        return self._descriptor, now.length

    def _open(self) -> int:
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0)
        descriptor = os.open(self._path, flags, 0o666)
        try:
            if not lock(descriptor):
                raise OutputError(
                    f"another process writes rows to {self._path}; give each a file of its own"
                )
            _make_lasting(self._path.parent)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def _adopted(self, descriptor: int) -> Position:
        """Take rows that this ledger knows nothing of as they are, and go on after them."""
        os.lseek(descriptor, 0, os.SEEK_SET)
        with open(descriptor, "rb", closefd=False) as file:
            first = file.readline(65_536)
            file.seek(-1, os.SEEK_END)
            last = file.read(1)
        if not self._is_first_line(first):
            raise OutputError(
                f"{self._path} holds something else than rows of residua watch; name another file, "
                f"or move it away"
            )
        if last != b"\n":
            write_all(descriptor, b"\n")
        return self._position(descriptor)

    def _is_first_line(self, line: bytes) -> bool:
        if self._suffix == ".csv":
            return line == self._header
        try:
            row = json.loads(line)
        except ValueError:
            return False
        return isinstance(row, dict) and tuple(row) == COLUMNS

    def _is_still_there(self, descriptor: int) -> bool:
        try:
            return os.path.samestat(self._path.stat(), os.fstat(descriptor))
        except FileNotFoundError:
            return False

    def _position(self, descriptor: int) -> Position:
        status = os.fstat(descriptor)
        return Position(str(self._path), status.st_dev, status.st_ino, status.st_size)

    @contextlib.contextmanager
    def _errors_named(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise OutputError(
                f"rows cannot be written to {self._path}: {error.strerror or error}"
            ) from error


def _make_lasting(folder: Path) -> None:
    """Flush the names in a folder to disk: that of a new file is to last as well."""
    if hasattr(os, "O_DIRECTORY"):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def write_all(descriptor: int, data: bytes) -> None:
    """Write to an open file, until all of it is written."""
    while data:
        data = data[os.write(descriptor, data) :]
