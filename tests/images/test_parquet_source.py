"""Parquet files of encoded pictures."""

from __future__ import annotations

import errno
import io
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from residua import storage
from residua.errors import (
    InputError,
    MissingExtra,
    StorageError,
    StorageUnreachable,
    UnreadableFile,
)
from residua.images.preprocess import InputSpec
from residua.images.source import ParquetSource, as_source

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

SPEC = InputSpec(height=8, width=8, channels=1)
COUNT = 20


def png(level: int) -> bytes:
    stream = io.BytesIO()
    Image.new("L", (8, 8), level).save(stream, "PNG")
    return stream.getvalue()


CONTENTS = [png(number) for number in range(COUNT)]


def write(path: Path, columns: dict[str, Any], group: int = 6, metadata: Any = None) -> Path:
    table = pa.table(columns)
    if metadata is not None:
        table = table.replace_schema_metadata({"huggingface": json.dumps(metadata)})
    pq.write_table(table, path, row_group_size=group)
    return path


def structs(paths: list[str | None]) -> list[dict[str, Any]]:
    return [{"bytes": content, "path": path} for content, path in zip(CONTENTS, paths, strict=True)]


def levels(source, indices=None, size: int = 7) -> list[int]:
    return [
        int(image[0, 0, 0])
        for batch in source.batches(SPEC, size, indices)
        for image in batch.images
    ]


def test_a_binary_column_is_read_in_order(tmp_path):
    source = as_source(write(tmp_path / "a.parquet", {"image": CONTENTS, "n": list(range(COUNT))}))
    assert isinstance(source, ParquetSource)
    assert levels(source) == list(range(COUNT))
    assert list(source.ids)[:2] == ["a.parquet#0", "a.parquet#1"]
    assert source.labels is None
    assert source.suggest_spec().shape == (8, 8, 1)


def test_a_struct_of_hugging_face_gives_content_paths_and_classes(tmp_path):
    paths = [f"{number}.png" if number else None for number in range(COUNT)]
    names = {"info": {"features": {"label": {"names": ["good", "bad"], "_type": "ClassLabel"}}}}
    labels = [number % 2 for number in range(COUNT - 1)] + [None]
    columns = {"image": structs(paths), "label": labels}
    source = as_source(write(tmp_path / "a.parquet", columns, metadata=names))
    assert levels(source) == list(range(COUNT))
    assert list(source.ids)[:3] == ["a.parquet#0", "1.png", "2.png"]
    assert list(source.labels)[:2] == ["good", "bad"]
    assert source.labels[-1] == ""


@pytest.mark.parametrize("name", ["anything", "Picture"])
@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary()])
def test_the_only_column_of_bytes_is_it_whatever_its_name(name, kind, tmp_path):
    columns = {name: pa.array(CONTENTS, kind), "file_name": [f"f{n}" for n in range(COUNT)]}
    source = as_source(write(tmp_path / "a.parquet", columns))
    assert levels(source) == list(range(COUNT))
    assert source.ids[3] == "f3"


def test_of_several_columns_of_bytes_the_name_decides(tmp_path):
    columns = {"thumbnail": [b"no"] * COUNT, "image": CONTENTS}
    assert levels(as_source(write(tmp_path / "a.parquet", columns))) == list(range(COUNT))


@pytest.mark.parametrize("names", [("left", "right"), ("image", "picture")])
def test_columns_that_could_both_be_it_are_listed_and_one_may_be_named(names, tmp_path):
    file = write(tmp_path / "a.parquet", dict.fromkeys(names, CONTENTS))
    with pytest.raises(InputError, match=rf"{names[0]} \(binary\), {names[1]} \(binary\); more"):
        as_source(file)
    assert levels(ParquetSource([file], column=names[1])) == list(range(COUNT))


def test_a_table_without_pictures_lists_its_columns(tmp_path):
    file = write(tmp_path / "scores.parquet", {"id": ["a"], "score": [0.5]})
    with pytest.raises(InputError, match=r"id \(string\), score \(double\); wanted a column"):
        as_source(file)


def test_any_order_and_choice_is_read(tmp_path):
    source = as_source(write(tmp_path / "a.parquet", {"image": CONTENTS}))
    chosen = [19, 0, 7, 7, 3, 12]
    assert levels(source, chosen, size=2) == chosen
    assert levels(source.take(chosen).take([2, 0])) == [7, 19]


def test_only_the_row_groups_that_are_needed_are_read(tmp_path, monkeypatch):
    source = as_source(write(tmp_path / "a.parquet", {"image": CONTENTS}))
    read = []
    plain = pq.ParquetFile.read_row_group
    monkeypatch.setattr(
        pq.ParquetFile, "read_row_group", lambda self, i, **k: read.append(i) or plain(self, i, **k)
    )
    assert levels(source, [13, 8, 14]) == [13, 8, 14]
    assert sorted(read) == [1, 2]
    assert levels(source) == list(range(COUNT))
    assert len(read) <= 4  # those that were read are kept


def test_no_more_row_groups_are_kept_than_there_is_room_for(tmp_path, monkeypatch):
    monkeypatch.setattr("residua.images.parquet_rows._KEPT_BYTES", 0)
    source = as_source(write(tmp_path / "a.parquet", {"image": CONTENTS}, group=2))
    assert levels(source) == list(range(COUNT))
    assert len(source._rows._kept) == 2


def test_bad_rows_are_failures_of_their_own(tmp_path):
    contents = [*CONTENTS[:3], None, b"", b"no picture", *CONTENTS[6:]]
    source = as_source(write(tmp_path / "a.parquet", {"image": contents}))
    failures = [f for batch in source.batches(SPEC, 7) for f in batch.failures]
    assert [failure.index for failure in failures] == [3, 4, 5]
    assert "has no content in row 3" in str(failures[0].error)
    assert levels(source) == [n for n in range(COUNT) if n not in (3, 4, 5)]


@pytest.mark.parametrize("place", ["disk", "store"])
def test_a_folder_of_tables_is_one_source_in_the_order_of_their_names(place, request, tmp_path):
    (tmp_path / "sub").mkdir()
    write(tmp_path / "b.parquet", {"image": CONTENTS[5:12]})
    write(tmp_path / "sub" / "a.parquet", {"image": CONTENTS[12:]})
    write(tmp_path / "a.parquet", {"image": CONTENTS[:5]})
    (tmp_path / "_SUCCESS").write_text("")
    write(tmp_path / "_notes.parquet", {"x": [1]})
    where: Any = tmp_path
    if place == "store":
        where = f"{request.getfixturevalue('bucket')}/tables"
        storage.store_at(where, tmp_path)
    source = as_source(where)
    assert levels(source) == list(range(COUNT))
    assert [source.ids[n] for n in (0, 5, 12)] == ["a.parquet#0", "b.parquet#0", "sub/a.parquet#0"]
    assert levels(pickle.loads(pickle.dumps(source)), [19, 2]) == [19, 2]


def test_a_table_in_a_store_is_read(bucket, tmp_path):
    write(tmp_path / "a.parquet", {"image": CONTENTS, "label": ["x", "y"] * (COUNT // 2)})
    storage.store_at(f"{bucket}/a.parquet", tmp_path / "a.parquet")
    source = as_source(f"{bucket}/a.parquet")
    assert levels(source) == list(range(COUNT))
    assert source.labels[:2] == ["x", "y"]


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (OSError(errno.EBUSY, "reduce your request rate"), StorageUnreachable),
        (ConnectionResetError("away"), StorageUnreachable),
        (OSError(errno.EIO, "what nobody knows"), StorageError),
    ],
)
def test_a_store_that_fails_while_a_table_is_read_is_no_picture_s_fault(
    error, kind, bucket, tmp_path, monkeypatch
):
    write(tmp_path / "a.parquet", {"image": CONTENTS})
    storage.store_at(f"{bucket}/a.parquet", tmp_path / "a.parquet")
    source = as_source(f"{bucket}/a.parquet")

    def failing(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(pq.ParquetFile, "read_row_group", failing)
    with pytest.raises(kind):
        levels(source)
    monkeypatch.undo()


def test_the_root_of_tables_may_be_a_file_url(tmp_path):
    file = write(tmp_path / "a.parquet", {"image": CONTENTS})
    source = ParquetSource([f"file://{file}"], root=f"file://{tmp_path}")
    assert source.ids[0] == "a.parquet#0"


def test_pictures_beside_a_table_are_what_a_folder_holds(tmp_path):
    write(tmp_path / "scores.parquet", {"image": CONTENTS})
    (tmp_path / "x.png").write_bytes(png(9))
    assert levels(as_source(tmp_path)) == [9]


def test_tables_of_different_columns_are_refused(tmp_path):
    write(tmp_path / "a.parquet", {"image": CONTENTS})
    write(tmp_path / "b.parquet", {"picture": CONTENTS})
    with pytest.raises(InputError, match=r"b\.parquet has other columns than .*a\.parquet"):
        as_source(tmp_path)


@pytest.mark.parametrize("content", [b"", b"PAR1", b"x" * 100, None])
def test_what_is_no_parquet_says_so(content, tmp_path):
    file = tmp_path / "a.parquet"
    if content is None:
        whole = write(file, {"image": CONTENTS}).read_bytes()
        content = whole[: len(whole) // 2]
    file.write_bytes(content)
    with pytest.raises(InputError, match=r"a\.parquet cannot be read as Parquet"):
        as_source(file)


def test_a_damaged_row_group_fails_its_pictures_and_no_others(tmp_path, monkeypatch):
    file = write(tmp_path / "a.parquet", {"image": CONTENTS})
    source = as_source(file)
    column = pq.ParquetFile(file).metadata.row_group(1).column(0)
    damaged = bytearray(file.read_bytes())
    start = column.dictionary_page_offset or column.data_page_offset
    damaged[start : start + column.total_compressed_size] = b"\xff" * column.total_compressed_size
    file.write_bytes(damaged)
    read = []
    plain = pq.ParquetFile.read_row_group
    monkeypatch.setattr(
        pq.ParquetFile, "read_row_group", lambda self, i, **k: read.append(i) or plain(self, i, **k)
    )
    assert levels(source) == [*range(6), *range(12, COUNT)]
    assert read.count(1) == 1  # and not for each of its rows
    (failure, *_) = next(iter(source.batches(SPEC, 1, [6]))).failures
    assert isinstance(failure.error, UnreadableFile)


def test_without_pyarrow_the_extra_is_named(tmp_path, monkeypatch):
    file = write(tmp_path / "a.parquet", {"image": CONTENTS})
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(MissingExtra, match=r"residua\[parquet\]"):
        as_source(file)


def test_every_batch_is_an_array_of_the_spec(tmp_path):
    source = as_source(write(tmp_path / "a.parquet", {"image": CONTENTS}))
    spec = InputSpec(height=10, width=12, channels=3)
    assert all(b.images.shape[1:] == (10, 12, 3) for b in source.batches(spec, 6))
    assert np.concatenate([b.indices for b in source.batches(spec, 6)]).tolist() == [*range(COUNT)]
