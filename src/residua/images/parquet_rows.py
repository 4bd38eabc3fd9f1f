"""Columns and row groups of Parquet files that hold encoded pictures, read group by group."""

from __future__ import annotations

import contextlib
import copy
import json
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from threading import Lock
from typing import Any, NamedTuple

import numpy as np

from residua.errors import InputError, MissingExtra, ResiduaError, StorageError
from residua.images.decode import printable, printable_text
from residua.storage import concerns_one_object, filesystem, is_remote, storage_errors

PICTURE_NAMES = ("image", "picture", "img", "bytes", "content")
ID_NAMES = ("id", "path", "file_name", "filename", "name")
LABEL_NAMES = ("label", "class", "category")

# Bytes of row groups that are kept; of larger groups two, for readers at their border.
_KEPT_BYTES = 1 << 28
_KEPT_GROUPS = 2
# Bytes that are read ahead in an object, for the footer and small columns.
_READ_AHEAD = 1 << 20
_SHOWN = 40


class PictureColumns(NamedTuple):
    """Which columns of a table say what."""

    picture: str
    """The column of the pictures' content."""
    in_struct: bool
    """Whether it holds {bytes, path}, as those of Hugging Face do, or the bytes themselves."""
    id: str | None
    """The column of names; of a struct without one beside it, its own paths."""
    label: str | None
    """The column of classes."""
    classes: tuple[str, ...] | None
    """The names of classes that are numbers."""


@contextlib.contextmanager
def opened_table(file: str) -> Iterator[Any]:
    """Open a Parquet file of this machine or an object store, for the length of a ``with``.

    Raises
    ------
    InputError
        It is missing or damaged, or no Parquet file.
    MissingExtra
        pyarrow is not installed.
    StorageError
        The store does not answer, or not these credentials.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ModuleNotFoundError as error:
        raise MissingExtra.of("pyarrow", "parquet") from error
    try:
        with contextlib.ExitStack() as stack:
            place: Any = file
            if is_remote(file):
                place = stack.enter_context(_opened_object(file))
            # As the rows of a group are read once, nothing is gained by asking for all its columns.
            yield stack.enter_context(pq.ParquetFile(place, pre_buffer=False))
    except (pa.ArrowException, OSError, StorageError) as error:
        if isinstance(error, StorageError) and not concerns_one_object(error):
            raise
        raise InputError(
            f"{printable(file)} cannot be read as Parquet ({printable_text(error)}); copy or "
            "write it again"
        ) from error


@contextlib.contextmanager
def _opened_object(url: str) -> Iterator[Any]:
    store, path = filesystem(url)
    with storage_errors(url):
        file = store.open(path, "rb", block_size=_READ_AHEAD, cache_type="readahead")
    with file:
        try:
            yield file
        except (ResiduaError, ValueError):
            raise
        except Exception as error:
            # pyarrow says of damage what is no more than an OSError.
            if type(error) is OSError and error.errno is None:
                raise
            with storage_errors(url):
                raise


def columns_of(table: Any, file: str, picture: str | None = None) -> PictureColumns:
    """Find the columns of a table by their types, and where several fit, by their names.

    Parameters
    ----------
    table : pyarrow.parquet.ParquetFile
    file : str
        What errors call it.
    picture : str or None, default=None
        The column of the pictures; None: it is found.

    Raises
    ------
    InputError
        No column can hold pictures, or several could.
    """
    schema = table.schema_arrow
    fitting = [field for field in schema if _holds_content(field.type)]
    chosen = [field for field in fitting if picture in (None, field.name)]
    if picture is None and len(fitting) > 1:
        chosen = [field for field in fitting if field.name.lower() in PICTURE_NAMES]
    if len(chosen) != 1:
        has = ", ".join(f"{field.name} ({_short(field.type)})" for field in schema)
        wanted = (
            f"wanted {picture!r} as a column"
            if picture is not None
            else "more than one column could hold the pictures: call one of them image"
            if fitting
            else "wanted a column"
        )
        raise InputError(
            f"{printable(file)} has the columns {has}; {wanted} of encoded pictures, binary or "
            "{bytes, path}" + (", or name it: ParquetSource(files, column=…)" if fitting else "")
        )
    name, in_struct = chosen[0].name, _is_struct(chosen[0].type)
    others = {field.name.lower(): field for field in schema if field.name != name}
    label = next((others[key].name for key in LABEL_NAMES if key in others), None)
    return PictureColumns(
        name,
        in_struct,
        next((others[key].name for key in ID_NAMES if key in others), None),
        label,
        _class_names(schema.metadata or {}, label),
    )


def column_values(table: Any, column: str, field: str | None = None) -> Iterator[Any]:
    """Yield the values of a column, or of a struct's field, in their order; None where missing."""
    wanted = column if field is None else f"{column}.{field}"
    for batch in table.iter_batches(columns=[wanted]):
        values = batch.column(0)
        if field is not None:
            values = values.field(field)
        yield from values.to_pylist()


class RowGroups:
    """The content of the pictures of several files, by row; the groups last read are kept.

    Parameters
    ----------
    files : sequence of str
    columns : PictureColumns
    sizes : sequence of sequence of int
        Rows of each row group of each file.
    """

    def __init__(
        self, files: Sequence[str], columns: PictureColumns, sizes: Sequence[Sequence[int]]
    ) -> None:
        self._files, self._columns = files, columns
        self._places = [(f, g) for f, groups in enumerate(sizes) for g in range(len(groups))]
        self._starts = np.cumsum([0, *(rows for groups in sizes for rows in groups)])
        self._first, self._count = 0, int(self._starts[-1])
        self._forget()

    def portion(self, start: int, stop: int) -> RowGroups:
        """Return the rows from ``start`` up to ``stop``, knowing no more files than these need."""
        groups = np.searchsorted(self._starts, self._first + np.array([start, stop - 1]), "right")
        first, last = (groups - 1).tolist()
        first -= self._places[first][1]  # a row's number counts from its file's first group
        run = copy.copy(self)
        skipped = self._places[first][0]
        run._files = self._files[skipped : self._places[last][0] + 1]
        run._places = [(f - skipped, g) for f, g in self._places[first : last + 1]]
        run._starts = self._starts[first : last + 2] - self._starts[first]
        run._first = self._first + start - int(self._starts[first])
        run._count = stop - start
        run._forget()
        return run

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in vars(self).items() if k not in ("_kept", "_damaged", "_lock")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._forget()

    def _forget(self) -> None:
        self._kept: OrderedDict[int, Any] = OrderedDict()
        self._damaged: dict[int, str] = {}
        self._lock = Lock()

    def __len__(self) -> int:
        return self._count

    def place(self, row: int) -> tuple[str, int]:
        """Return the file that a row is in, and its number there."""
        row += self._first
        group = int(np.searchsorted(self._starts, row, side="right")) - 1
        file = self._places[group][0]
        first = group - self._places[group][1]
        return self._files[file], row - int(self._starts[first])

    def content(self, row: int) -> Any:
        """Return the content of a row's picture as bytes; None where it has none.

        Raises
        ------
        InputError, StorageError
            See `opened_table`.
        """
        row += self._first
        group = int(np.searchsorted(self._starts, row, side="right")) - 1
        with self._lock:
            if group in self._damaged:
                raise InputError(self._damaged[group])
            values = self._kept.get(group)
            if values is None:
                self._make_room()
                try:
                    values = self._kept[group] = self._read(group)
                except InputError as error:  # not to be found again with each row
                    self._damaged[group] = str(error)
                    raise
            self._kept.move_to_end(group)
        return values[row - int(self._starts[group])].as_py()

    def _make_room(self) -> None:
        """Let go of the groups that were not used for longest."""
        while len(self._kept) >= _KEPT_GROUPS and (
            sum(values.nbytes for values in self._kept.values()) > _KEPT_BYTES
        ):
            self._kept.popitem(last=False)

    def _read(self, group: int) -> Any:
        import pyarrow.compute as pc

        number, local = self._places[group]
        name = self._columns.picture
        with opened_table(self._files[number]) as table:
            wanted = f"{name}.bytes" if self._columns.in_struct else name
            values = table.read_row_group(local, columns=[wanted]).column(0)
            return pc.struct_field(values, "bytes") if self._columns.in_struct else values


def _holds_content(kind: Any) -> bool:
    import pyarrow.types as types

    if _is_struct(kind):
        inner = [kind.field(i) for i in range(kind.num_fields)]
        return any(field.name == "bytes" and _holds_content(field.type) for field in inner)
    return bool(types.is_binary(kind) or types.is_large_binary(kind))


def _is_struct(kind: Any) -> bool:
    import pyarrow.types as types

    return bool(types.is_struct(kind))


def _short(kind: Any) -> str:
    return str(kind) if len(str(kind)) <= _SHOWN else f"{str(kind)[:_SHOWN]}…"


def _class_names(metadata: Mapping[bytes, bytes], label: str | None) -> tuple[str, ...] | None:
    """Return the names that Hugging Face's own metadata give to the numbers of a column."""
    try:
        features = json.loads(metadata[b"huggingface"])["info"]["features"]
        return tuple(str(name) for name in features[label]["names"])
    except (KeyError, TypeError, ValueError):
        return None
