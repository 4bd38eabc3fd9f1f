"""A folder of scores that many workers write: part files, what they belong to, and their end.

::

    scores.parquet/
        _residua.json         which pictures, which model, how cut: written first
        part-000000.parquet   verdicts of the first run of pictures, in the source's order
        part-000001.parquet   …
        _SUCCESS              written last: there is a part for every picture

Each file is whole or absent. Readers of partitioned data pass over names with a leading ``_``.
"""

from __future__ import annotations

import io
import json
import os
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError

from residua.errors import ConfigurationError, NothingStored, OtherRun, OutputError, StorageError
from residua.results import parquet_rows
from residua.scoring.verdicts import Verdict
from residua.storage import (
    as_local,
    files_below,
    filesystem,
    is_object,
    joined,
    read_bytes,
    storage_errors,
    write_bytes,
)
from residua.writing import whole_file

RECORD, SUCCESS = "_residua.json", "_SUCCESS"
_FORMAT_VERSION = 1


class RunRecord(BaseModel):
    """What a folder of scores belongs to: the content of ``_residua.json``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["residua-scores"] = "residua-scores"
    version: int = _FORMAT_VERSION
    revision: str
    """The model's; see `residua.bundle.revision_of`."""
    pictures: int
    """How many there are."""
    inputs: str
    """SHA-256 of what they are called; see `residua.cluster.parts.fingerprint`."""
    part_size: int
    """Pictures in each part but the last."""

    @property
    def parts(self) -> int:
        """How many parts there are."""
        return -(-self.pictures // self.part_size)

    def rows_of(self, number: int) -> int:
        """Return how many pictures a part has."""
        return min(self.part_size, self.pictures - number * self.part_size)

    def name_of(self, number: int) -> str:
        """Return a part's file name; in the order of names the pictures are in theirs."""
        return f"part-{number:0{max(6, len(str(self.parts - 1)))}}.parquet"


class Counts(NamedTuple):
    """What came of some pictures."""

    scored: int = 0
    flagged: int = 0
    """Of those scored, the ones called anomalous."""
    failed: int = 0
    """Pictures that could not be read."""

    def plus(self, other: Counts) -> Counts:
        """Return the counts of both."""
        return Counts(*(a + b for a, b in zip(self, other, strict=True)))


class ResultFolder:
    """A folder of part files, of this machine's file system or of an object store.

    Parameters
    ----------
    location : str
        A path, or a URL.

    Raises
    ------
    ConfigurationError
        The name is that of a format which is one file.
    """

    def __init__(self, location: str | os.PathLike[str]) -> None:
        given = os.fspath(location)
        if given.endswith((".csv", ".jsonl")):
            raise ConfigurationError(
                f"{given}: workers write a folder of Parquet files, one for each part; name it "
                f"something like scores.parquet"
            )
        local = as_local(given)
        self.location = given.rstrip("/") if local is None else str(Path(local).absolute())
        self._is_local = local is not None

    def record(self) -> RunRecord | None:
        """Return what the folder belongs to; None: nothing was begun there.

        Raises
        ------
        OtherRun
            It was written by another version, or by something else.
        OutputError, StorageError
            It cannot be read.
        """
        content = self._read(RECORD)
        if content is None:
            return None
        try:
            return RunRecord.model_validate_json(content)
        except ValidationError as error:
            raise OtherRun(
                f"{joined(self.location, RECORD)} is not what this version of Residua writes; "
                f"name another folder with --out, or delete this one"
            ) from error

    def begin(self, record: RunRecord) -> RunRecord:
        """Make the folder, or take up one that was begun; returns the record that holds there.

        Of several programs that begin at the same time, one writes the record and all read it.

        Raises
        ------
        OtherRun
            What lies there was begun with other pictures or another model, or is something else.
        OutputError, StorageError
            It cannot be written.
        """
        kept = self.record()
        if kept is None:
            self._require_nothing_there()
            self._write_new(RECORD, (record.model_dump_json(indent=2) + "\n").encode())
            kept = self.record()
        if kept is None:
            raise OutputError(f"{self.location}: what was written there cannot be read again")
        self.require_same(kept, record)
        return kept

    def require_same(self, kept: RunRecord, wanted: RunRecord) -> None:
        """Refuse to go on where the folder was begun with something else.

        Raises
        ------
        OtherRun
            It was.
        """
        differs = [
            what
            for what, there, here in (
                ("another version of Residua", kept.version, wanted.version),
                ("another model", kept.revision, wanted.revision),
                ("another number of pictures", kept.pictures, wanted.pictures),
                ("other pictures", kept.inputs, wanted.inputs),
            )
            if there != here
        ]
        if differs:
            raise OtherRun(
                f"{self.location} was begun with {differs[0]}; go on with what it was begun with, "
                f"name another folder with --out, or delete this one"
            )

    def is_begun(self) -> bool:
        """Tell whether this program sees the folder with its record."""
        return self._read(RECORD) is not None

    def names(self) -> set[str]:
        """Return the files that lie there."""
        if self._is_local:
            with os.scandir(self.location) as entries:
                return {entry.name for entry in entries}
        return set(files_below(self.location))

    def write_part(self, name: str, verdicts: Iterable[Verdict]) -> None:
        """Write a part's verdicts as one file, whole or not at all.

        Raises
        ------
        OutputError, StorageError
            It cannot be written.
        """
        buffer = io.BytesIO()
        with parquet_rows(buffer) as write:
            for verdict in verdicts:
                write(verdict)
        self._write(name, buffer.getvalue())

    def counts_of(self, name: str, rows: int) -> Counts | None:
        """Return what a part file says; None: it is no whole file of so many rows."""
        import pyarrow as pa
        import pyarrow.compute as pc
        import pyarrow.parquet as pq

        content = self._read(name)
        if content is None:
            return None
        try:
            table = pq.read_table(io.BytesIO(content), columns=["score", "anomalous"])
        except (pa.ArrowException, OSError, KeyError):
            return None
        if table.num_rows != rows:
            return None
        failed = table["score"].null_count
        return Counts(rows - failed, pc.sum(table["anomalous"]).as_py() or 0, failed)

    def finish(self, counts: Counts) -> None:
        """Write down that every part is there.

        Raises
        ------
        OutputError, StorageError
            It cannot be written.
        """
        self._write(SUCCESS, (json.dumps(counts._asdict()) + "\n").encode())

    def _require_nothing_there(self) -> None:
        where = self.location
        if self._is_local:
            path = Path(where)
            if path.is_file():
                raise OtherRun(
                    f"{where} is a file, and on a cluster the scores are a folder; name another, "
                    f"or delete it"
                )
            # What others are just writing has a name with a dot; so has what they left, killed.
            taken = path.is_dir() and any(
                entry.name != RECORD and not entry.name.startswith(".") for entry in path.iterdir()
            )
        else:
            taken = is_object(where) or any(name != RECORD for name in files_below(where))
        if taken and not self.is_begun():  # by now
            raise OtherRun(
                f"{where} holds something else than scores of a cluster (there is no {RECORD} in "
                f"it); name another folder with --out"
            )

    def _read(self, name: str) -> bytes | None:
        try:
            if self._is_local:
                return Path(self.location, name).read_bytes()
            return read_bytes(joined(self.location, name))
        except (FileNotFoundError, NotADirectoryError, NothingStored):
            return None
        except OSError as error:
            raise OutputError(
                f"{joined(self.location, name)} cannot be read: {error.strerror or error}"
            ) from error

    def _write(self, name: str, content: bytes) -> None:
        if not self._is_local:
            write_bytes(joined(self.location, name), content)
            return
        final = Path(self.location, name)
        try:
            with whole_file(final) as beside:
                beside.write_bytes(content)
        except OSError as error:
            raise _not_written(final, error) from error

    def _write_new(self, name: str, content: bytes) -> None:
        """Write a file unless there is one."""
        if not self._is_local:
            _write_new_object(joined(self.location, name), content)
            return
        final = Path(self.location, name)
        try:
            final.parent.mkdir(parents=False, exist_ok=True)
            beside = final.with_name(f".{name}.{uuid.uuid4().hex}")
            try:
                beside.write_bytes(content)
                _link(beside, final)
            finally:
                beside.unlink(missing_ok=True)
        except OSError as error:
            raise _not_written(final, error) from error


def _link(beside: Path, final: Path) -> None:
    """Give a file its name, unless another has it."""
    try:
        os.link(beside, final)
    except FileExistsError:
        return
    except OSError:  # a file system without links: the record is read again in any case
        beside.replace(final)


def _write_new_object(url: str, content: bytes) -> None:
    store, path = filesystem(url)
    try:
        with storage_errors(url):
            store.pipe_file(path, content, mode="create")
    except (StorageError, FileExistsError):
        # It is there by now, or the store cannot write on a condition.
        if not is_object(url):
            write_bytes(url, content)


def _not_written(final: Any, error: OSError) -> OutputError:
    return OutputError(
        f"the scores cannot be written to {final}: {error.strerror or error}; its folder must be "
        f"there and be writable"
    )
