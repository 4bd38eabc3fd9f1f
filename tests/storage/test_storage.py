"""Objects by URL: against a real S3 server where what the store says matters, else in memory."""

from __future__ import annotations

import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from residua import storage
from residua.errors import (
    ConfigurationError,
    CredentialsRefused,
    MissingExtra,
    NothingStored,
    StorageDenied,
    StorageError,
    StorageUnreachable,
)

ODD_NAMES = ["a b/ü.png", "100%.png", "what?.png", "no#1.png", "x%20y.png", "a*[1].png"]


@pytest.fixture
def memory() -> Iterator[str]:
    """A folder of a store that lives in this process."""
    fsspec = pytest.importorskip("fsspec")
    top = f"/residua-test-{uuid4().hex}"
    yield f"memory:/{top}"
    store = fsspec.filesystem("memory")
    if store.exists(top):
        store.rm(top, recursive=True)


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("s3://bucket/key", True),
        ("file:///folder", True),
        ("memory://x", True),
        ("C://folder", False),
        ("C:\\folder", False),
        ("folder/file.png", False),
        ("./s3:/bucket", False),
        (Path("s3://bucket"), False),
        (None, False),
    ],
)
def test_a_url_is_text_with_a_scheme(location, expected):
    assert storage.is_url(location) is expected


def test_a_file_url_is_the_local_path(tmp_path):
    assert storage.as_local("file:///a%20b/c") == "/a b/c"
    assert storage.as_local(tmp_path) == str(tmp_path)
    assert storage.as_local("s3://bucket/key") is None
    with pytest.raises(ConfigurationError, match="names the machine 'elsewhere'"):
        storage.as_local("file://elsewhere/a")


def test_names_and_parents_of_urls_and_paths_are_alike():
    assert storage.name_of("s3://bucket/a/b.csv") == storage.name_of("/a/b.csv") == "b.csv"
    assert storage.parent_of("s3://bucket/a/b.csv") == "s3://bucket/a"
    assert storage.joined("s3://bucket/a/", "b", "c") == "s3://bucket/a/b/c"
    assert storage.joined(Path("/a"), "b") == str(Path("/a/b"))
    assert storage.beside_or_here("s3://b/m.residua", ".partial") == Path("m.residua.partial")
    assert storage.beside_or_here("/a/m.residua", ".x", instead=True) == Path("/a/m.x")


def test_what_needs_a_disk_refuses_a_url_and_says_what_needs_it():
    with pytest.raises(ConfigurationError, match="s3://b/x: the ledger needs a disk"):
        storage.local_path("s3://b/x", "the ledger")


def test_an_unknown_scheme_names_the_known_ones():
    with pytest.raises(ConfigurationError, match=r"ftp:// is not known; known are s3://, gs://"):
        storage.filesystem("ftp://host/x")


@pytest.mark.parametrize("url", ["s3://key:secret@bucket/x", "s3://key:sec/ret@bucket/x"])
def test_a_password_in_a_url_is_refused_and_not_repeated(url):
    with pytest.raises(ConfigurationError, match="no place for a password") as caught:
        storage.read_bytes(url)
    assert "sec" not in str(caught.value)
    assert "ret@" not in storage.without_password(url)


def test_an_azure_account_in_a_url_is_no_password():
    url = "abfs://container@account.dfs.core.windows.net/x"
    assert storage.without_password(url) == url


@pytest.mark.parametrize("url", ["s3://", "s3:///key", "gs:///key"])
def test_a_url_without_a_bucket_is_refused(url):
    with pytest.raises(ConfigurationError, match="names no bucket"):
        storage.read_bytes(url)


@pytest.mark.parametrize(
    ("scheme", "module", "extra"),
    [
        ("s3", "s3fs", "s3"),
        ("gs", "gcsfs", "gcs"),
        ("az", "adlfs", "azure"),
        ("abfs", "adlfs", "azure"),
    ],
)
def test_a_scheme_whose_package_is_missing_names_its_extra(scheme, module, extra, monkeypatch):
    pytest.importorskip("fsspec")
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.delitem(sys.modules["fsspec.registry"]._registry, scheme, raising=False)
    with pytest.raises(MissingExtra, match=rf"{module!r}.*residua\[{extra}\]"):
        storage.filesystem(f"{scheme}://bucket/key")


def test_without_fsspec_the_scheme_still_names_its_own_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(MissingExtra, match=r"residua\[gcs\]"):
        storage.read_bytes("gs://bucket/key")


@pytest.mark.parametrize(("scheme", "module"), [("gs", "gcsfs"), ("az", "adlfs")])
def test_a_scheme_picks_its_package(scheme, module, monkeypatch):
    fsspec = pytest.importorskip("fsspec")
    asked = []

    class Store:
        @staticmethod
        def _get_kwargs_from_urls(url):
            return {}

        @staticmethod
        def _strip_protocol(url):
            return url.partition("://")[2]

        def __init__(self, *, use_listings_cache):
            assert not use_listings_cache  # others write there too

    monkeypatch.setattr(fsspec, "get_filesystem_class", lambda s: asked.append(s) or Store)
    store, path = storage.filesystem(f"{scheme}://bucket/key")
    assert (asked, type(store), path) == ([scheme], Store, "bucket/key")
    known = sys.modules["fsspec.registry"].known_implementations
    assert known[scheme]["class"].startswith(f"{module}.")


@pytest.mark.parametrize("kind", ["bucket", "memory"])
def test_any_name_comes_back_as_it_went_in(kind, request, tmp_path):
    top = request.getfixturevalue(kind)
    for number, name in enumerate(ODD_NAMES):
        storage.write_bytes(f"{top}/in/{name}", bytes([number]))
    assert storage.list_files(f"{top}/in") == sorted(ODD_NAMES, key=str.encode)
    for number, name in enumerate(ODD_NAMES):
        assert storage.read_bytes(f"{top}/in/{name}") == bytes([number])
    with storage.local_copy(f"{top}/in") as folder:
        found = {
            str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()
        }
    assert found == {name: bytes([number]) for number, name in enumerate(ODD_NAMES)}
    assert not folder.exists()


@pytest.mark.parametrize("kind", ["bucket", "memory"])
def test_hidden_names_are_left_out_and_others_come_in_the_order_of_their_bytes(kind, request):
    top = request.getfixturevalue(kind)
    for name in ("b/x", "a.x", "a/x", ".hidden", "a/.hidden/x", "Z", "ü"):
        storage.write_bytes(f"{top}/{name}", b"")
    assert storage.list_files(top) == ["Z", "a.x", "a/x", "b/x", "ü"]
    assert list(storage.files_below(f"{top}/a")) == ["x"]  # and not a.x


def test_a_listing_goes_over_all_its_pages(bucket):
    from moto.core import DEFAULT_ACCOUNT_ID
    from moto.s3.models import s3_backends

    name = storage.name_of(bucket)
    for number in range(2_000):
        s3_backends[DEFAULT_ACCOUNT_ID]["aws"].put_object(name, f"many/{number:04}.png", b"")
    assert storage.list_files(f"{bucket}/many") == [f"{number:04}.png" for number in range(2_000)]


def test_marks_of_folders_are_no_files(bucket):
    storage.write_bytes(f"{bucket}/in/x", b"1")
    store, path = storage.filesystem(f"{bucket}/in")
    store.call_s3("put_object", Bucket=path.partition("/")[0], Key="in/", Body=b"")
    store.call_s3("put_object", Bucket=path.partition("/")[0], Key="in/sub/", Body=b"")
    assert storage.list_files(f"{bucket}/in") == ["x"]


def test_an_object_without_bytes_is_read_as_such(bucket):
    storage.write_bytes(f"{bucket}/empty", b"")
    assert storage.read_bytes(f"{bucket}/empty") == b""
    assert storage.read_prefix(f"{bucket}/empty", 16) == b""
    assert storage.is_object(f"{bucket}/empty")


def test_the_first_bytes_are_read_alone(bucket):
    storage.write_bytes(f"{bucket}/long", bytes(range(100)))
    storage.write_bytes(f"{bucket}/short", b"abc")
    assert storage.read_prefix(f"{bucket}/long", 16) == bytes(range(16))
    assert storage.read_prefix(f"{bucket}/short", 16) == b"abc"


@pytest.mark.parametrize("kind", ["bucket", "memory"])
def test_what_is_not_there_is_named(kind, request):
    url = f"{request.getfixturevalue(kind)}/none.png"
    for ask in (storage.read_bytes, storage.list_files):
        with pytest.raises(NothingStored, match=rf"there is nothing (at|below) {url}"):
            ask(url)
    assert not storage.exists(url)
    assert not storage.is_object(url)


def test_a_missing_bucket_is_named_for_reading_and_writing(bucket):
    url = f"{bucket}-none/x"
    for ask in (storage.read_bytes, storage.list_files, storage.check_writable):
        with pytest.raises(NothingStored, match=url):
            ask(url)


def test_a_store_that_does_not_allow_it_names_the_credentials(bucket, monkeypatch):
    storage.write_bytes(f"{bucket}/x", b"")
    monkeypatch.setattr("moto.settings.INITIAL_NO_AUTH_ACTION_COUNT", 0)
    for ask in (storage.read_bytes, storage.list_files, storage.check_writable):
        with pytest.raises(StorageDenied, match="AWS_ACCESS_KEY_ID") as caught:
            ask(f"{bucket}/x")
        assert "not-a-secret" not in str(caught.value)


def test_a_wrong_endpoint_is_told_in_seconds(bucket, monkeypatch):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    started = time.monotonic()
    with pytest.raises(StorageUnreachable, match=r"does not answer .*AWS_ENDPOINT_URL"):
        storage.read_bytes(f"{bucket}/x")
    assert time.monotonic() - started < 30  # a hang, not a speed


S3_SAYS = [
    ("SlowDown", StorageUnreachable),
    ("ServiceUnavailable", StorageUnreachable),
    ("InternalError", StorageUnreachable),
    ("503", StorageUnreachable),
    ("AccessDenied", StorageDenied),
    ("403", StorageDenied),
    ("InvalidObjectState", StorageDenied),
    ("ExpiredToken", CredentialsRefused),
    ("InvalidAccessKeyId", CredentialsRefused),
    ("InvalidToken", CredentialsRefused),
    ("SomethingNew", StorageError),
    ("NoSuchKey", NothingStored),
]


def s3_error(code: str) -> Exception:
    """Return what s3fs raises where S3 answers with a code."""
    botocore, s3fs = (pytest.importorskip(name) for name in ("botocore.exceptions", "s3fs.errors"))
    answer = {"Error": {"Code": code, "Message": "said"}}
    return s3fs.translate_boto_error(botocore.ClientError(answer, "GetObject"))


@pytest.mark.parametrize(("code", "kind"), S3_SAYS)
def test_what_s3_says_is_told_apart(code, kind):
    with pytest.raises(StorageError) as caught, storage.storage_errors("s3://bucket/x"):
        raise s3_error(code)
    assert type(caught.value) is kind
    one_object = code in ("AccessDenied", "403", "InvalidObjectState", "NoSuchKey")
    assert storage.concerns_one_object(caught.value) is one_object


def test_a_store_that_has_no_time_is_not_answering():
    class TooMany(Exception):
        status_code = 429

    with pytest.raises(StorageUnreachable), storage.storage_errors("az://c/x"):
        raise TooMany


def test_the_first_bytes_are_not_asked_for_again_where_the_store_does_not_answer(
    bucket, monkeypatch
):
    store, _ = storage.filesystem(bucket)

    def busy(*_: object, **__: object) -> bytes:
        raise s3_error("SlowDown")

    monkeypatch.setattr(store, "cat_file", busy)
    monkeypatch.setattr(store, "size", lambda _: pytest.fail("asked again"))
    with pytest.raises(StorageUnreachable):
        storage.read_prefix(f"{bucket}/x", 16)


def test_a_silent_endpoint_is_waited_for_a_bounded_number_of_times(bucket, monkeypatch):
    held = []
    with socket.create_server(("127.0.0.1", 0)) as silent:

        def accept() -> None:
            while True:
                try:
                    held.append(silent.accept()[0])
                except OSError:
                    return

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")
        monkeypatch.setattr("residua.storage.stores._SILENT_SECONDS", 0.2)
        for ask in (storage.read_bytes, storage.check_writable):
            before = len(held)
            with pytest.raises(StorageUnreachable, match="does not answer"):
                ask(f"{bucket}/x")
            assert 1 < len(held) - before <= 8  # times _SILENT_SECONDS: less than a minute
        silent.shutdown(socket.SHUT_RDWR)
    thread.join()
    for connection in held:
        connection.close()


def test_another_endpoint_is_not_answered_by_the_first_one_kept(bucket, monkeypatch):
    first, _ = storage.filesystem(bucket)
    assert storage.filesystem(bucket)[0] is first
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    assert storage.filesystem(bucket)[0] is not first


@pytest.mark.parametrize("kind", ["bucket", "memory"])
def test_what_is_written_is_there_whole_or_not_at_all(kind, request):
    url = f"{request.getfixturevalue(kind)}/out/scores.csv"

    def broken_off() -> None:
        with storage.written(url) as path:
            assert path.name == "scores.csv"
            path.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        broken_off()
    assert not storage.exists(url)
    with storage.written(url) as path:
        path.write_text("whole")
    assert storage.read_bytes(url) == b"whole"
    assert not path.exists()


def test_a_local_place_is_written_as_it_is(tmp_path):
    with storage.written(tmp_path / "x") as path:
        assert path == tmp_path / "x"
    with storage.written(f"file://{tmp_path}/y") as path:
        assert path == tmp_path / "y"
    with storage.local_copy(tmp_path) as path:
        assert path == tmp_path


def test_the_mark_of_a_folder_goes_first_and_comes_last(memory, monkeypatch, tmp_path):
    fsspec = pytest.importorskip("fsspec")
    names = ("residua.json", "SHA256SUMS", "a", "sub/z")
    with storage.written(f"{memory}/m.residua") as folder:
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text("old")
    kind, done = fsspec.get_filesystem_class("memory"), []
    put, remove = kind.put_file, kind.rm_file
    monkeypatch.setattr(kind, "put_file", lambda self, a, b: done.append(b) or put(self, a, b))
    monkeypatch.setattr(kind, "rm_file", lambda self, a: done.append(f"rm {a}") or remove(self, a))
    with storage.written(f"{memory}/m.residua", last=("residua.json", "SHA256SUMS")) as folder:
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text("new")
    said = [line.rpartition("/")[2] for line in done]
    assert [line.startswith("rm ") for line in done] == [True, True, False, False, False, False]
    assert said[:2] == ["SHA256SUMS", "residua.json"]
    assert said[-2:] == ["residua.json", "SHA256SUMS"]
    assert storage.read_bytes(f"{memory}/m.residua/sub/z") == b"new"


def test_a_reused_folder_comes_with_what_is_there_and_keeps_what_was_finished(memory):
    storage.write_bytes(f"{memory}/runs/one.json", b"1")

    def broken_off() -> None:
        with storage.reused(f"{memory}/runs") as folder:
            assert (folder / "one.json").read_bytes() == b"1"
            (folder / "two.json").write_bytes(b"2")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        broken_off()
    assert storage.list_files(f"{memory}/runs") == ["one.json", "two.json"]


def test_an_upload_that_fails_too_does_not_hide_what_ended_the_work(memory, monkeypatch):
    fsspec = pytest.importorskip("fsspec")

    def away(*_: object) -> None:
        raise ConnectionResetError("away")

    def failing() -> None:
        with storage.reused(f"{memory}/runs") as folder:
            (folder / "one.json").write_bytes(b"1")
            monkeypatch.setattr(fsspec.get_filesystem_class("memory"), "put_file", away)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError) as caught:
        failing()
    assert any("what was finished is lost" in note for note in caught.value.__notes__)


def test_what_a_killed_process_copied_is_deleted_by_the_next_one(memory, monkeypatch, tmp_path):
    import subprocess

    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    program = (
        "import os; from residua import storage\n"
        "with storage.written('memory://killed/x') as path:\n"
        "    path.write_text('half'); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", program], check=False)
    assert len(list(tmp_path.rglob("x"))) == 1
    with storage.written(f"{memory}/y") as path:
        path.write_text("whole")
    assert not list(tmp_path.iterdir())


def test_a_copy_for_which_there_is_no_room_says_so(memory, tmp_path):
    storage.write_bytes(f"{memory}/in/x", b"1")
    (tmp_path / "file").write_text("where a folder is wanted")
    with pytest.raises(StorageError, match=f"{memory}/in cannot be copied to"):
        storage.fetch(f"{memory}/in", tmp_path / "file")


def test_files_beside_go_beside(memory):
    with storage.written_beside(f"{memory}/out/report.html") as page:
        page.write_text("page")
        page.with_suffix("").mkdir()
        (page.with_suffix("") / "scores.csv").write_text("scores")
    assert storage.list_files(f"{memory}/out") == ["report.html", "report/scores.csv"]


def test_a_probe_of_writing_leaves_nothing(bucket):
    storage.check_writable(f"{bucket}/folder/x")
    store, path = storage.filesystem(bucket)
    assert store.call_s3("list_objects_v2", Bucket=path).get("Contents") is None


def test_no_name_of_an_object_leads_out_of_the_folder_it_is_copied_to(bucket):
    for name in ("a//b.png", "//etc/x.png"):
        storage.write_bytes(f"{bucket}/in/{name}", b"1")
    with storage.local_copy(f"{bucket}/in") as folder:
        found = sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())
    assert found == ["a/b.png", "etc/x.png"]
    # What climbs has a part with a leading dot, and is hidden.
    storage.write_bytes(f"{bucket}/in/sub/../../out.png", b"1")
    assert "sub/../../out.png" not in storage.list_files(f"{bucket}/in")


def test_a_copy_is_made_once_for_one_content_and_anew_where_it_was_touched(memory, tmp_path):
    def put(text: bytes) -> None:
        for name in ("data", "SHA256SUMS"):
            storage.write_bytes(f"{memory}/m/{name}", text)

    put(b"one")
    names = dict.fromkeys(("data", "missing", "SHA256SUMS"), 100)
    first = storage.cached_folder(f"{memory}/m", names, tmp_path)
    assert sorted(p.name for p in first.iterdir()) == ["SHA256SUMS", "data"]
    storage.write_bytes(f"{memory}/m/data", b"not read again")
    assert storage.cached_folder(f"{memory}/m", names, tmp_path) == first
    assert (first / "data").read_bytes() == b"one"
    put(b"two")
    second = storage.cached_folder(f"{memory}/m", names, tmp_path)
    assert second != first
    assert (second / "data").read_bytes() == b"two"
    (second / "SHA256SUMS").write_bytes(b"changed here")
    assert (storage.cached_folder(f"{memory}/m", names, tmp_path) / "data").read_bytes() == b"two"
    (of_url,) = tmp_path.iterdir()
    assert sorted(of_url.iterdir()) == sorted([first.parent, second.parent])


def test_of_the_copies_of_one_url_the_last_two_are_kept(memory, tmp_path):
    copies = []
    for text in (b"one", b"two", b"three"):
        storage.write_bytes(f"{memory}/m/SHA256SUMS", text)
        copies.append(storage.cached_folder(f"{memory}/m", {"SHA256SUMS": 100}, tmp_path))
        time.sleep(0.01)  # its age is what tells the older
    assert [copy.exists() for copy in copies] == [False, True, True]
    storage.drop_copy(copies[2])
    assert not copies[2].exists()
    assert not list(copies[2].parent.iterdir())


def test_who_wants_the_same_copy_at_once_waits_for_it(memory, tmp_path, monkeypatch):
    storage.write_bytes(f"{memory}/m/SHA256SUMS", b"one")
    made = []
    fetch = storage.copies.fetch

    def slow(*words: object, **options: object) -> Path:
        made.append(1)
        time.sleep(0.3)
        return fetch(*words, **options)

    monkeypatch.setattr(storage.copies, "fetch", slow)
    found: list[Path] = []
    threads = [
        threading.Thread(
            target=lambda: found.append(
                storage.cached_folder(f"{memory}/m", {"SHA256SUMS": 100}, tmp_path)
            )
        )
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1
    assert found[0] == found[1]
    assert (found[0] / "SHA256SUMS").read_bytes() == b"one"


def test_a_file_that_is_too_large_is_not_fetched(memory, tmp_path):
    storage.write_bytes(f"{memory}/m/data", b"x" * 101)
    storage.write_bytes(f"{memory}/m/SHA256SUMS", b"one")
    with pytest.raises(StorageError, match="data has 101 bytes, and at most 100 are fetched"):
        storage.cached_folder(f"{memory}/m", {"data": 100, "SHA256SUMS": 100}, tmp_path)
    assert not list(tmp_path.rglob("data"))


def test_a_copy_that_finds_no_room_says_so(memory, tmp_path):
    storage.write_bytes(f"{memory}/m/SHA256SUMS", b"one")
    (tmp_path / "cache").write_text("a file where a folder is wanted")
    with pytest.raises(StorageError, match=f"{memory}/m cannot be copied"):
        storage.cached_folder(f"{memory}/m", {"SHA256SUMS": 100}, tmp_path / "cache")
