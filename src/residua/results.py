"""Tables of verdicts as CSV, Parquet or JSON lines, written row by row."""

from __future__ import annotations

import contextlib
import csv
import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from residua.errors import ConfigurationError, MissingExtra, OutputError
from residua.scoring.verdicts import Verdict
from residua.storage import Location, check_writable, is_remote, name_of, written
from residua.writing import whole_file

COLUMNS = ("id", "score", "p", "threshold", "anomalous", "label", "error")
FORMATS = (".csv", ".jsonl", ".parquet")
_ROWS_IN_GROUP = 16_384

WriteRow = Callable[[Verdict], None]


@contextlib.contextmanager
def verdict_file(path: Location) -> Iterator[WriteRow]:
    """Open a table of verdicts; its name's ending says the format.

    The rows go to a file beside, which takes the final name when the block ends without an error;
    for a URL to a temporary file, which is then uploaded.

    Yields
    ------
    write : callable
        Takes one `Verdict`.

    Raises
    ------
    ConfigurationError
        The ending names no format.
    MissingExtra
        The ending is ``.parquet`` and pyarrow is not installed.
    OutputError
        The file cannot be written.
    StorageError
        The object store does not let it be written.
    """
    suffix = Path(name_of(path)).suffix
    if suffix not in FORMATS:
        raise ConfigurationError(
            f"{name_of(path)!r} names no format; end it in one of {', '.join(FORMATS)}"
        )
    if suffix == ".parquet":
        _require_pyarrow()
    if is_remote(path):
        check_writable(os.fspath(path))
    with written(path) as final, _rows_to(final) as write:
        yield write


@contextlib.contextmanager
def _rows_to(final: Path) -> Iterator[WriteRow]:
    if not final.absolute().parent.is_dir():
        raise OutputError(f"the folder {final.absolute().parent} does not exist; make it first")
    if final.is_dir():
        raise OutputError(f"{final} is a folder; name a file")
    callers: BaseException | None = None
    try:
        with (
            whole_file(final) as beside,
            _open(beside, binary=final.suffix == ".parquet") as file,
            _writer(final.suffix, file) as write_row,
        ):

            def write(verdict: Verdict) -> None:
                try:
                    write_row(verdict)
                except OSError as error:
                    raise _not_written(final, error) from error

            try:
                yield write
            except BaseException as error:
                callers = error
                raise
    except Exception as error:
        if callers is not None:  # not what closing the file made of it
            raise callers from callers.__cause__
        if isinstance(error, OSError):
            raise _not_written(final, error) from error
        raise


def _require_pyarrow() -> None:
    try:
        import pyarrow  # noqa: F401
    except ModuleNotFoundError as error:
        raise MissingExtra.of("pyarrow", "parquet") from error


def _not_written(final: Path, error: OSError) -> OutputError:
    return OutputError(f"the scores cannot be written to {final}: {error.strerror or error}")


@contextlib.contextmanager
def csv_rows(file: IO[str]) -> Iterator[WriteRow]:
    """Write verdicts as CSV with a header; True and False in lower case, None as nothing."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS)

    def write(verdict: Verdict) -> None:
        writer.writerow(csv_cells(as_row(verdict)))

    yield write


def csv_cells(row: Mapping[str, Any]) -> list[Any]:
    """Return a row's values as CSV has them: lower case flags, numbers in full, None as nothing."""
    cells = {**row}
    flag = cells["anomalous"]
    cells["anomalous"] = None if flag is None else str(flag).lower()
    for name in ("score", "p"):
        if cells[name] is not None:
            cells[name] = repr(cells[name])
    return list(cells.values())


@contextlib.contextmanager
def json_rows(file: IO[str]) -> Iterator[WriteRow]:
    """Write verdicts as JSON, one object a line."""

    def write(verdict: Verdict) -> None:
        file.write(json.dumps(as_row(verdict), ensure_ascii=False) + "\n")

    yield write


@contextlib.contextmanager
def parquet_rows(file: IO[bytes]) -> Iterator[WriteRow]:
    """Write verdicts as Parquet, in groups of 16,384 rows."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    number, text = pa.float64(), pa.string()
    types = (text, number, number, number, pa.bool_(), text, text)
    schema = pa.schema(list(zip(COLUMNS, types, strict=True)))
    waiting: list[dict[str, Any]] = []
    with pq.ParquetWriter(file, schema) as writer:

        def flush() -> None:
            writer.write_table(pa.Table.from_pylist(waiting, schema=schema))
            waiting.clear()

        def write(verdict: Verdict) -> None:
            waiting.append(as_row(verdict))
            if len(waiting) >= _ROWS_IN_GROUP:
                flush()

        yield write
        flush()


def as_row(verdict: Verdict) -> dict[str, Any]:
    """Return the verdict's columns, in their order."""
    record = asdict(verdict)
    return {name: record[name] for name in COLUMNS}


def _open(path: Path, *, binary: bool) -> IO[Any]:
    return path.open("wb") if binary else path.open("w", encoding="utf-8", newline="")


def _writer(suffix: str, file: Any) -> contextlib.AbstractContextManager[WriteRow]:
    open_rows: Any = {".csv": csv_rows, ".jsonl": json_rows, ".parquet": parquet_rows}[suffix]
    writer: contextlib.AbstractContextManager[WriteRow] = open_rows(file)
    return writer
