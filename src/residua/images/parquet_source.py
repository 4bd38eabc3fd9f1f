"""Encoded pictures in the rows of Parquet files, as data sets are handed on."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from residua.errors import ConfigurationError, EmptySource, InputError, UnreadableFile
from residua.images.content_source import ContentSource
from residua.images.decode import MAX_PIXELS, printable
from residua.images.lazy import LazySequence, packed
from residua.images.parallel import map_in_order
from residua.images.parquet_rows import (
    PictureColumns,
    RowGroups,
    column_values,
    columns_of,
    opened_table,
)
from residua.images.remote_folder import REQUESTS_AT_ONCE
from residua.storage import Location, as_local, is_remote, joined, list_files, name_of

_EXTENSIONS = (".parquet", ".pq")


class ParquetSource(ContentSource):
    """The rows of Parquet files, each an encoded picture.

    Pictures are in a binary column, or in one of Hugging Face's structs {bytes, path}: the only
    one, or else the one that is called image, picture, img, bytes or content. Ids are in id, path,
    file_name, filename or name, else in the struct's path, else they are ``FILE#ROW``. Classes are
    in label, class or category.

    Only ids and classes are held. Pictures are read row group by row group, and of the groups as
    many as make up 256 MiB are kept, two at least: write small groups.

    Indices that go to and fro between row groups have these read again and again.

    Parameters
    ----------
    files : sequence of path or URL
        All with the same columns.
    root : path or URL, optional
        The folder to which the files' names in ids are relative. Default: ids have the files' own
        names.
    column : str, optional
        The column of the pictures. Default: it is found.
    max_pixels : int, optional
        Larger pictures are refused before they are decoded.

    Raises
    ------
    EmptySource
        There is no file, or no row.
    InputError
        A file cannot be read as Parquet, has other columns than the first, or none or several that
        could hold pictures.
    MissingExtra
        pyarrow is not installed.
    """

    in_memory = False
    has_masks = False

    def __init__(
        self,
        files: Sequence[Location],
        *,
        root: Location | None = None,
        column: str | None = None,
        max_pixels: int = MAX_PIXELS,
    ) -> None:
        if max_pixels < 1:
            raise ConfigurationError(f"max_pixels is {max_pixels}; wanted at least 1")
        names = [as_local(file) or os.fspath(file) for file in files]
        if not names:
            raise EmptySource("the list of Parquet files is empty; give at least one")
        remote = is_remote(names[0])
        threads = REQUESTS_AT_ONCE if remote else 1
        read = map_in_order(
            lambda file: _overview(file, column), names, workers=threads, window=2 * threads
        )
        found = list(read)
        columns = found[0].columns
        for file, one in zip(names, found, strict=True):
            if one.columns != columns:
                raise InputError(
                    f"{printable(file)} has other columns than {printable(names[0])}: "
                    f"{one.columns} and {columns}; give each kind of table alone"
                )
        self._rows = RowGroups(names, columns, [one.groups for one in found])
        if not len(self._rows):
            raise EmptySource(f"{printable(names[0])} has no rows; give at least one picture")
        self._root = None if root is None else as_local(root) or os.fspath(root)
        self._max_pixels = max_pixels
        self._names: Sequence[str] = packed(name for one in found for name in one.names)
        labels = [label for one in found for label in one.labels]
        self._labels = labels or None

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def ids(self) -> Sequence[str]:
        """The ids that the tables give, or file and row."""
        return LazySequence(len(self), self._name)

    @property
    def labels(self) -> Sequence[str] | None:
        """The classes that the tables give; "" where a row has none."""
        return self._labels

    def portion(self, start: int, stop: int) -> ParquetSource:
        """Return a run of the rows that can be sent elsewhere; see `ImageSource.portion`."""
        run = copy.copy(self)
        run._rows = self._rows.portion(start, stop)
        run._names = self._names[start:stop]
        run._labels = None if self._labels is None else self._labels[start:stop]
        return run

    def _content(self, index: int) -> bytes:
        try:
            content = self._rows.content(index)
        except InputError as error:
            raise UnreadableFile(f"{self._name(index)}: {error}") from error
        if content is None:
            file, row = self._rows.place(index)
            raise UnreadableFile(
                f"{self._name(index)} has no content in row {row} of {printable(file)}; write the "
                "pictures themselves into the table, not their paths"
            )
        return bytes(content)

    def _name(self, index: int) -> str:
        name = self._names[index]
        if name:
            return printable(name)
        file, row = self._rows.place(index)
        if self._root is None:
            return printable(f"{name_of(file)}#{row}")
        if is_remote(file):
            return printable(f"{file.removeprefix(self._root.rstrip('/') + '/')}#{row}")
        return printable(f"{Path(file).relative_to(self._root).as_posix()}#{row}")


def is_parquet(file: str) -> bool:
    """Tell by its name whether a file is a Parquet table."""
    return file.lower().endswith(_EXTENSIONS)


def tables_below(folder: str) -> list[str]:
    """Return the Parquet files below a folder or URL in the order of their bytes, none hidden.

    What begins with an underscore is a note that a program leaves beside its tables.

    Raises
    ------
    StorageError
        The object store does not let them be listed.
    """
    if is_remote(folder):
        names = list_files(folder)
    else:
        top = Path(folder)
        names = sorted(
            (
                file.relative_to(top).as_posix()
                for file in top.rglob("*")
                if file.suffix.lower() in _EXTENSIONS and file.is_file()
            ),
            key=os.fsencode,
        )
    return [
        joined(folder, name)
        for name in names
        if is_parquet(name) and not any(part[:1] in "._" for part in name.split("/"))
    ]


class _Overview(NamedTuple):
    """What is held of one file."""

    columns: PictureColumns
    groups: list[int]
    names: Sequence[str]
    labels: list[str]


def _overview(file: str, column: str | None) -> _Overview:
    with opened_table(file) as table:
        columns = columns_of(table, file, column)
        about = table.metadata
        groups = [about.row_group(i).num_rows for i in range(about.num_row_groups)]
        names = packed("" if name is None else str(name) for name in _names(table, columns))
        labels: list[str] = []
        if columns.label is not None:
            shared: dict[str, str] = {}  # a class is one text, however many rows have it
            for value in column_values(table, columns.label):
                text = _label(value, columns.classes)
                labels.append(shared.setdefault(text, text))
    return _Overview(columns, groups, names, labels)


def _names(table: Any, columns: PictureColumns) -> Iterator[Any]:
    if columns.id is not None:
        return column_values(table, columns.id)
    kind = table.schema_arrow.field(columns.picture).type
    if columns.in_struct and kind.get_field_index("path") >= 0:
        return column_values(table, columns.picture, "path")
    return iter([None] * table.metadata.num_rows)


def _label(value: Any, classes: tuple[str, ...] | None) -> str:
    if value is None:
        return ""
    if classes is not None and isinstance(value, int) and 0 <= value < len(classes):
        return classes[value]
    return str(value)
