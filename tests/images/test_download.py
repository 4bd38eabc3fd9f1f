from __future__ import annotations

import shutil
import socket
import tempfile
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple

import pytest

from residua.errors import DatasetCorrupt, OutputError
from residua.images.download import NoMirror, fetch

PUBLISHED = b"the published content"


class Mirror(NamedTuple):
    url: str
    folder: Path
    """What the mirror has."""


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[Mirror]:
    folder = tmp_path / "mirror"
    folder.mkdir()
    (folder / "good").write_bytes(PUBLISHED)
    (folder / "bad").write_bytes(b"something else")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield Mirror(f"http://127.0.0.1:{server.server_port}/", folder)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def dead() -> str:
    """Address of a port at which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{taken.getsockname()[1]}/"


@pytest.fixture
def final(tmp_path: Path) -> Path:
    return tmp_path / "data" / "content"


def unpack(fetched: Path, target: Path) -> None:
    """Take the published content alone, as the data sets do."""
    if fetched.read_bytes() != PUBLISHED:
        raise DatasetCorrupt("not the published content")
    shutil.copyfile(fetched, target)


def beside(final: Path) -> list[str]:
    return [path.name for path in final.parent.iterdir()]


def test_the_content_of_a_mirror_takes_its_final_name_and_leaves_nothing_beside(
    mirror: Mirror, final: Path
) -> None:
    fetch([mirror.url + "good"], final, unpack)
    assert final.read_bytes() == PUBLISHED
    assert beside(final) == ["content"]


def test_a_folder_can_be_unpacked(mirror: Mirror, final: Path) -> None:
    def unpack_folder(fetched: Path, target: Path) -> None:
        target.mkdir()
        unpack(fetched, target / "inside")

    fetch([mirror.url + "good"], final, unpack_folder)
    assert (final / "inside").read_bytes() == PUBLISHED


def test_the_second_mirror_answers_where_the_first_is_dead(
    mirror: Mirror, dead: str, final: Path
) -> None:
    fetch([dead + "good", mirror.url + "good"], final, unpack)
    assert final.read_bytes() == PUBLISHED


@pytest.mark.parametrize("first", ["missing", "bad"])
def test_the_second_mirror_answers_where_the_first_has_other_content(
    mirror: Mirror, final: Path, first: str
) -> None:
    fetch([mirror.url + first, mirror.url + "good"], final, unpack)
    assert final.read_bytes() == PUBLISHED


def test_the_first_mirror_that_has_the_content_is_the_last_one_asked(
    mirror: Mirror, final: Path
) -> None:
    asked: list[bytes] = []

    def remember(fetched: Path, target: Path) -> None:
        asked.append(fetched.read_bytes())
        unpack(fetched, target)

    fetch([mirror.url + "good", mirror.url + "bad"], final, remember)
    assert asked == [PUBLISHED]


def test_what_a_corrupt_mirror_left_does_not_get_into_the_next_ones_content(
    mirror: Mirror, final: Path
) -> None:
    def unpack_in_steps(fetched: Path, target: Path) -> None:
        for folder in (target.with_name("staging"), target):
            folder.mkdir()
            (folder / fetched.read_text()[:9]).touch()
        unpack(fetched, target / "inside")

    fetch([mirror.url + "bad", mirror.url + "good"], final, unpack_in_steps)
    assert sorted(path.name for path in final.iterdir()) == ["inside", "the publi"]


def test_other_content_everywhere_is_corrupt_and_leaves_nothing(
    mirror: Mirror, dead: str, final: Path
) -> None:
    with pytest.raises(DatasetCorrupt, match="no mirror gave the published content") as error:
        fetch([mirror.url + "bad", dead + "good"], final, unpack)
    assert mirror.url + "bad: not the published content" in str(error.value)
    assert dead in str(error.value)
    assert beside(final) == []


def test_two_dead_mirrors_are_both_named_and_leave_nothing(
    dead: str, mirror: Mirror, final: Path
) -> None:
    urls = [dead + "good", mirror.url + "missing"]
    with pytest.raises(NoMirror) as error:
        fetch(urls, final, unpack)
    assert all(url in str(error.value) for url in urls)
    assert "404" in str(error.value)
    assert "\n" not in str(error.value)
    assert beside(final) == []


def test_what_was_there_stays_when_no_mirror_answers(dead: str, final: Path) -> None:
    final.parent.mkdir()
    final.write_bytes(b"an earlier one")
    with pytest.raises(NoMirror):
        fetch([dead], final, unpack)
    assert final.read_bytes() == b"an earlier one"


def test_a_programming_error_in_unpacking_leaves_nothing_either(
    mirror: Mirror, final: Path
) -> None:
    def broken(fetched: Path, target: Path) -> None:
        target.write_bytes(b"half")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fetch([mirror.url + "good"], final, broken)
    assert beside(final) == []


def test_a_folder_that_cannot_be_written_is_an_output_error(
    final: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(prefix: str, dir: Path) -> str:
        raise PermissionError(13, "Permission denied", str(dir))

    monkeypatch.setattr(tempfile, "mkdtemp", refuse)
    with pytest.raises(OutputError, match="Permission denied; set RESIDUA_DATA to a folder"):
        fetch(["http://127.0.0.1/"], final, unpack)


def test_a_file_where_the_folder_should_be_is_an_output_error(final: Path) -> None:
    final.parent.write_bytes(b"")
    with pytest.raises(OutputError, match="set RESIDUA_DATA to a folder"):
        fetch(["http://127.0.0.1/"], final, unpack)
