"""Reviewed pictures as a folder and as a ZIP."""

from __future__ import annotations

import csv
import io
import tracemalloc
import warnings
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from typer.testing import CliRunner

from residua import AutoencoderDetector, evaluate_model, storage
from residua.cli.common import app
from residua.errors import (
    ConfigurationError,
    EmptySource,
    OutputError,
    ResiduaWarning,
    StoreUnavailable,
)
from residua.service.schemas import KeptPicture
from residua.service.store.exporting import COLUMNS, export_folder, export_zip, file_name
from residua.service.store.pictures import NewPicture
from residua.service.store.store import ReviewStore

Picture = Callable[..., NewPicture]


def png(array: NDArray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(array).save(file, "PNG")
    return file.getvalue()


def rows_of(table: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(table, newline="")))


@pytest.fixture
def local(tmp_path: Path) -> Iterator[ReviewStore]:
    with closing(ReviewStore.open(folder=tmp_path)) as store:
        yield store


def judged(store: ReviewStore, *pictures: NewPicture, correct: bool = True) -> list[int]:
    ids = [id for id in store.keep(pictures, max_bytes=None) if id is not None]
    for id in ids:
        store.judge(id, correct=correct, reviewer="eva", order="random")
    return ids


def test_the_folder_has_the_pictures_by_what_they_are(
    store: ReviewStore, picture: Picture, tmp_path: Path
) -> None:
    (found,) = judged(store, picture(b"found"))
    (false_alarm,) = judged(store, picture(b"alarm", name="β.JPG"), correct=False)
    (missed,) = judged(store, picture(b"missed", anomalous=False), correct=False)
    (other,) = judged(store, picture(b"other", model="lid", media_type="image/jpeg"))
    store.keep([picture(b"waiting")], max_bytes=None)
    folder = tmp_path / "out"
    assert export_folder(store, folder, model="part") == 3
    files = {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.suffix != ".csv"
    }
    assert files == {
        f"anomalous/{found}-1.png": b"found",
        f"normal/{false_alarm}-β.png": b"alarm",
        f"anomalous/{missed}-1.png": b"missed",
    }
    rows = rows_of((folder / "reviews.csv").read_text(encoding="utf-8"))
    assert tuple(rows[0]) == COLUMNS
    assert sorted(row["file"] for row in rows) == sorted(files)
    row = rows[1]
    assert (row["id"], row["name"], row["model"]) == (str(false_alarm), "β.JPG", "part")
    assert (row["verdict"], row["truth"], row["reviewer"]) == ("anomalous", "normal", "eva")
    assert (float(row["score"]), float(row["threshold"])) == (0.75, 0.5)
    assert datetime.fromisoformat(row["reviewed"]) <= datetime.now(UTC)
    assert export_folder(store, tmp_path / "all") == 4
    assert (tmp_path / "all" / "anomalous" / f"{other}-1.jpg").read_bytes() == b"other"


def test_fit_and_evaluate_take_the_folder(
    local: ReviewStore, picture: Picture, bundle: Path, blobs: NDArray, stripes: NDArray,
    tmp_path: Path,
) -> None:  # fmt: skip
    judged(local, *(picture(png(one), anomalous=False) for one in blobs))
    judged(local, *(picture(png(one)) for one in stripes[:8]))
    folder = tmp_path / "reviewed"
    assert export_folder(local, folder) == 168
    found = evaluate_model(bundle, str(folder), normal=["normal"], n_resamples=100)
    assert found.confusion is not None
    assert (found.confusion.n_normal, found.confusion.n_anomalous) == (160, 8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResiduaWarning)
        fitted = AutoencoderDetector(epochs=12, precision="float32").fit(str(folder / "normal"))
    data = fitted.manifest_.data
    assert (data.training + data.validation + data.calibration, data.skipped) == (160, 0)


def test_the_zip_holds_what_the_folder_holds(
    store: ReviewStore, picture: Picture, tmp_path: Path
) -> None:
    judged(store, *(picture(bytes([n]) * 100) for n in range(5)))
    judged(store, picture(b"normal"), correct=False)
    folder = tmp_path / "out"
    export_folder(store, folder)
    archive = zipfile.ZipFile(io.BytesIO(b"".join(export_zip(store))))
    assert archive.testzip() is None
    zipped = {name: archive.read(name) for name in archive.namelist()}
    assert len(zipped) == len(archive.namelist())
    assert zipped == {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_a_zip_is_made_with_one_picture_in_memory(local: ReviewStore, picture: Picture) -> None:
    size = 2_000_000
    for n in range(20):
        judged(local, picture(bytes([n]) * size))
    tracemalloc.start()
    total = sum(map(len, export_zip(local)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert total > 20 * size
    assert peak < 6 * size


def test_a_zip_whose_store_fails_midway_is_no_whole_one(
    local: ReviewStore, picture: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged(local, picture(b"1"), picture(b"2"))
    parts = export_zip(local)
    taken = [next(parts)]

    def gone() -> Any:
        raise StoreUnavailable("gone")

    monkeypatch.setattr(local._database, "reading", gone)
    with pytest.raises(StoreUnavailable, match="gone"):
        taken += parts
    with pytest.raises(zipfile.BadZipFile):
        zipfile.ZipFile(io.BytesIO(b"".join(taken)))


def test_a_folder_with_something_in_it_is_left_alone(
    local: ReviewStore, picture: Picture, tmp_path: Path
) -> None:
    judged(local, picture())
    full = tmp_path / "full"
    full.mkdir()
    (full / "mine.txt").write_text("mine")
    with pytest.raises(OutputError, match="not empty"):
        export_folder(local, full)
    assert [path.name for path in full.iterdir()] == ["mine.txt"]
    with pytest.raises(OutputError, match="cannot be made"):
        export_folder(local, tmp_path / "no" / "such")
    with pytest.raises(OutputError, match="cannot be made"):
        export_folder(local, full / "mine.txt")
    empty = tmp_path / "empty"
    empty.mkdir()
    assert export_folder(local, empty) == 1


def test_an_export_that_fails_can_be_repeated(
    local: ReviewStore, picture: Picture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged(local, picture(b"1"), picture(b"2"))
    written = []

    def full_disk(path: Path, content: bytes) -> None:
        written.append(path)
        if len(written) == 2:
            raise OSError(28, "No space left on device")
        with path.open("wb") as file:
            file.write(content)

    monkeypatch.setattr(Path, "write_bytes", full_disk)
    with pytest.raises(OutputError, match="No space left"):
        export_folder(local, tmp_path / "out")
    monkeypatch.undo()
    assert export_folder(local, tmp_path / "out") == 2


def test_nothing_reviewed_is_nothing_to_export(
    local: ReviewStore, picture: Picture, tmp_path: Path
) -> None:
    local.keep([picture()], max_bytes=None)
    with pytest.raises(EmptySource, match="'part'"):
        export_folder(local, tmp_path / "out", model="part")
    assert not (tmp_path / "out").exists()
    with pytest.raises(EmptySource):
        export_zip(local)  # at once, before a part is asked for


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", " =1", "\t=1", '=HYPERLINK("x")'])
def test_no_cell_becomes_a_formula(
    local: ReviewStore, picture: Picture, tmp_path: Path, text: str
) -> None:
    (id,) = local.keep([picture(name=text, model=text, revision=text, score=-1.5)], max_bytes=None)
    assert id is not None
    local.judge(id, correct=True, reviewer=text, order="random")
    export_folder(local, tmp_path / "out")
    (row,) = rows_of((tmp_path / "out" / "reviews.csv").read_text(encoding="utf-8"))
    for column in ("name", "model", "revision", "reviewer"):
        assert row[column].lstrip()[0] not in "=+-@"
    assert row["score"] == "-1.5"
    assert row["file"].startswith("anomalous/")


def record(name: str, media_type: str = "image/png", id: int = 7) -> KeptPicture:
    return KeptPicture(
        id=id, model="m", revision="r", name=name, created=datetime.now(UTC), score=1, threshold=1,
        lower=None, verdict="normal", p_value=1, width=1, height=1, media_type=media_type, size=1,
        truth="normal", correct=True, reviewed_by=None, reviewed=None,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("a.png", "7-a.png"),
        ("line 1/b c.TIFF", "7-b_c.png"),
        ("C:\\dir\\d.bmp", "7-d.png"),
        ("../../etc/passwd", "7-passwd.png"),
        ("..", "7.png"),
        ("", "7.png"),
        ("CON", "7-CON.png"),
        (".hidden", "7-hidden.png"),
        ("a.png.", "7-a.png.png"),
        ("a\\x00b", "7-x00b.png"),
        ("日本.jpeg", "7-日本.png"),
        ("e\u0301.png", "7-é.png"),
        ("=cmd|x.png", "7-cmd_x.png"),
    ],
)
def test_a_file_is_named_by_number_stem_and_content(name: str, file: str) -> None:
    assert file_name(record(name)) == file


@given(st.text(max_size=500))
def test_any_name_makes_a_file_that_every_system_takes(name: str) -> None:
    file = file_name(record(name, id=2**63 - 1))
    assert file.startswith(f"{2**63 - 1}")
    assert file.endswith(".png")
    assert not set(file) & set('<>:"/\\|?*\0\n')
    assert len(file.encode()) <= 150


def test_each_kind_of_picture_has_its_suffix_and_an_unknown_one_none() -> None:
    assert file_name(record("x.png", "image/jpeg")) == "7-x.jpg"
    assert file_name(record("x.png", "image/x-unheard-of")) == "7-x"


def run(*arguments: object) -> Any:
    import residua.cli.exporting  # noqa: F401  adds the command

    return CliRunner().invoke(app, ["export-reviews", *map(str, arguments)])


def test_the_command_exports_to_an_object_store_once(
    store: ReviewStore, url: str, picture: Picture, bucket: str
) -> None:
    judged(store, picture(), picture(b"2"))
    done = run(url, f"{bucket}/reviewed")
    assert done.exit_code == 0, done.output
    names = storage.list_files(f"{bucket}/reviewed")
    assert [name.partition("/")[0] for name in names] == ["anomalous", "anomalous", "reviews.csv"]
    again = run(url, f"{bucket}/reviewed")
    assert isinstance(again.exception, OutputError)
    assert "is not empty" in str(again.exception)


def test_the_command_exports_a_file_or_a_url(
    store: ReviewStore, url: str, picture: Picture, tmp_path: Path
) -> None:
    judged(store, picture(), picture(b"2", model="lid"))
    done = run(url, tmp_path / "out", "--model", "lid")
    assert done.exit_code == 0, done.output
    assert "(reviewed pictures: 1)" in " ".join(done.output.split())
    assert len(list((tmp_path / "out" / "anomalous").iterdir())) == 1
    if url.startswith("sqlite"):
        assert run(tmp_path / "reviews.sqlite", tmp_path / "all").exit_code == 0


def test_the_command_refuses_what_is_no_store(tmp_path: Path) -> None:
    assert isinstance(run(tmp_path / "no", tmp_path / "out").exception, StoreUnavailable)
    assert isinstance(run("mysql://h/d", tmp_path / "out").exception, ConfigurationError)
    assert "Example: residua export-reviews" in run("--help").output
