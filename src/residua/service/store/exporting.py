"""Reviewed pictures as a folder, or a ZIP, that `residua fit` and `residua evaluate` take."""

from __future__ import annotations

import csv
import re
import shutil
import unicodedata
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from io import TextIOWrapper
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from residua.errors import EmptySource, OutputError
from residua.service.schemas import KeptPicture
from residua.service.store.reviewed import Reviewed
from residua.service.store.store import ReviewStore

COLUMNS = (
    "id",
    "name",
    "model",
    "revision",
    "score",
    "threshold",
    "verdict",
    "truth",
    "reviewer",
    "reviewed",
    "file",
)
TABLE = "reviews.csv"
CLASSES = ("normal", "anomalous")
_SUFFIXES = {
    "image/avif": ".avif",
    "image/bmp": ".bmp",
    "image/gif": ".gif",
    "image/jp2": ".jp2",
    "image/jpeg": ".jpg",
    "image/png": ".png",
    "image/tiff": ".tif",
    "image/webp": ".webp",
    "image/x-portable-anymap": ".pnm",
    "image/x-tga": ".tga",
}
_STEM_BYTES = 100
# The earliest year that ZIP can say.
_ZIP_YEAR = 1980


def export_folder(store: ReviewStore, folder: Path, *, model: str | None = None) -> int:
    """Write the reviewed pictures to ``normal/`` and ``anomalous/``, by what persons said they are.

    ``reviews.csv`` is written last, so a folder that has it is whole. A text in it that a
    spreadsheet would take for a formula, since it begins with = + - or @, has an apostrophe before
    it; numbers are as they are.

    Parameters
    ----------
    store : ReviewStore
    folder : Path
        New, or empty; the folder it lies in must exist.
    model : str or None, default=None
        None: of all models.

    Returns
    -------
    pictures : int
        How many were written.

    Raises
    ------
    EmptySource
        No picture is reviewed.
    OutputError
        The folder is not empty, or cannot be written.
    """
    reviewed = _some_reviewed(store, model)
    try:
        folder.mkdir(exist_ok=True)
        if any(folder.iterdir()):
            raise OutputError(f"{folder} is not empty; name a new folder")
    except OSError as error:
        raise OutputError(f"{folder} cannot be made: {error.strerror or error}") from error
    try:
        return _write_folder(reviewed, folder)
    except BaseException as error:
        for name in CLASSES:
            shutil.rmtree(folder / name, ignore_errors=True)
        (folder / TABLE).unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise OutputError(f"{folder} cannot be written: {error.strerror}") from error
        raise


def export_zip(store: ReviewStore, *, model: str | None = None) -> Iterator[bytes]:
    """Return what `export_folder` writes as the parts of a ZIP, one picture in memory at a time.

    Where the store fails midway the error comes out of the iterator, and what was yielded is no
    whole ZIP.

    Raises
    ------
    EmptySource
        No picture is reviewed; it is raised at once, before the first part.
    """
    return _zip_parts(_some_reviewed(store, model))


def file_name(record: KeptPicture) -> str:
    """Return a name for a picture's file that every system takes, with its number before it."""
    last = re.split(r"[/\\]", record.name)[-1]
    stem = unicodedata.normalize("NFC", last.rpartition(".")[0] or last)
    stem = re.sub(r"[^\w.-]+", "_", stem).strip("._-")
    # Bytes, since these are what file systems count; half a character is dropped.
    stem = stem.encode()[:_STEM_BYTES].decode(errors="ignore").rstrip("._-")
    suffix = _SUFFIXES.get(record.media_type, "")
    return f"{record.id}-{stem}{suffix}" if stem else f"{record.id}{suffix}"


def _some_reviewed(store: ReviewStore, model: str | None) -> Reviewed:
    reviewed = store.reviewed(model)
    if not len(reviewed):
        of_model = "" if model is None else f" of model {model!r}"
        raise EmptySource(f"no picture{of_model} has been reviewed yet; review some first")
    return reviewed


def _write_folder(reviewed: Reviewed, folder: Path) -> int:
    for name in CLASSES:
        (folder / name).mkdir()
    count = 0
    with TemporaryFile("w+", encoding="utf-8", newline="") as table:
        rows = csv.writer(table)
        rows.writerow(COLUMNS)
        for picture in reviewed:
            file = _path_of(picture.record)
            (folder / file).write_bytes(picture.content)
            rows.writerow(_row_of(picture.record, file))
            count += 1
        table.seek(0)
        with (folder / TABLE).open("w", encoding="utf-8", newline="") as final:
            shutil.copyfileobj(table, final)
    return count


def _zip_parts(reviewed: Reviewed) -> Iterator[bytes]:
    sink = _Sink()
    with TemporaryFile() as file:
        table = TextIOWrapper(file, encoding="utf-8", newline="", write_through=True)
        rows = csv.writer(table)
        rows.writerow(COLUMNS)
        with zipfile.ZipFile(sink, "w") as archive:
            for picture in reviewed:
                path = _path_of(picture.record)
                archive.writestr(_entry(path, picture.record.created), picture.content)
                rows.writerow(_row_of(picture.record, path))
                yield sink.take()
            table.seek(0)
            entry = _entry(TABLE, datetime.now(UTC))
            with archive.open(entry, "w", force_zip64=True) as final:
                while part := file.read(1 << 16):
                    final.write(part)
                    yield sink.take()
    yield sink.take()


def _path_of(record: KeptPicture) -> str:
    return f"{record.truth}/{file_name(record)}"


def _row_of(record: KeptPicture, file: str) -> list[Any]:
    return [
        record.id,
        _as_text(record.name),
        _as_text(record.model),
        _as_text(record.revision),
        record.score,
        record.threshold,
        record.verdict,
        record.truth,
        _as_text(record.reviewed_by or ""),
        "" if record.reviewed is None else record.reviewed.isoformat(),
        file,
    ]


def _as_text(cell: str) -> str:
    # Spreadsheets also look behind white space.
    return "'" + cell if cell.lstrip().startswith(("=", "+", "-", "@")) else cell


def _entry(path: str, moment: datetime) -> zipfile.ZipInfo:
    # Stored as it is, since pictures are compressed already.
    at = moment.astimezone(UTC)
    entry = zipfile.ZipInfo(path, (max(at.year, _ZIP_YEAR), *at.timetuple()[1:6]))
    entry.external_attr = 0o644 << 16
    return entry


class _Sink:
    """A file that cannot seek, whose bytes are taken away as they come."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def write(self, part: bytes) -> int:
        self._parts.append(bytes(part))
        return len(part)

    def flush(self) -> None:
        pass

    def close(self) -> None:
        pass

    def take(self) -> bytes:
        taken = b"".join(self._parts)
        self._parts.clear()
        return taken
