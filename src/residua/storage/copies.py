"""Files and folders of object stores as local ones, for as long as they are worked on."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from residua.errors import StorageError
from residua.storage.locations import Location, as_local, joined, name_of
from residua.storage.objects import is_object, list_files, read_bytes
from residua.storage.stores import filesystem, storage_errors

# What is written last in a folder, in this order: without these it is not what it is to become.
LAST_FILES = ("residua.json", "SHA256SUMS", "_SUCCESS")
_COPIES_AT_ONCE = 8


@contextlib.contextmanager
def local_copy(location: Location) -> Iterator[Path]:
    """Yield a file or folder as a local path; a copy of an object lasts as long as the block.

    Local locations are yielded as they are, whether they exist or not.

    Raises
    ------
    NothingStored
        There is nothing at the URL.
    StorageError
        See `read_bytes`; or the copy finds no room.
    """
    local = as_local(location)
    if local is not None:
        yield Path(local)
        return
    with _working_folder() as folder:
        yield fetch(os.fspath(location), folder / name_of(location))


def fetch(url: str, target: Path) -> Path:
    """Copy an object, or all objects below a URL, to a local path that is not there yet.

    Raises
    ------
    StorageError
        See `local_copy`.
    """
    store, path = filesystem(url)
    if is_object(url):
        files = {path: target}
    else:
        files = {f"{path.rstrip('/')}/{name}": _inside(target, name) for name in list_files(url)}
    for local in files.values():
        local.parent.mkdir(parents=True, exist_ok=True)

    def copy(names: tuple[str, Path]) -> None:
        with storage_errors(url):
            store.get_file(names[0], str(names[1]))

    _all_at_once(copy, files.items())
    return target


def cached_folder(url: str, marker: str, cache: Path) -> Path:
    """Return a local copy of a folder, kept under ``cache`` by what its ``marker`` file says.

    The marker is an object that names the content of all others, as ``SHA256SUMS`` does: it is read
    each time, the others once.

    Raises
    ------
    NothingStored
        There is no marker at the URL.
    StorageError
        See `local_copy`.
    """
    content = read_bytes(joined(url, marker))
    kept = cache / hashlib.sha256(content).hexdigest() / name_of(url)
    if not kept.is_dir():
        try:
            kept.parent.mkdir(parents=True, exist_ok=True)
            beside = Path(tempfile.mkdtemp(prefix=".residua-", dir=kept.parent))
        except OSError as error:
            raise StorageError(
                f"{url} cannot be copied to {kept.parent}: {error.strerror or error}"
            ) from error
        try:
            fetch(url, beside / "copy")
            with contextlib.suppress(OSError):  # another process was first
                (beside / "copy").rename(kept)
        finally:
            shutil.rmtree(beside, ignore_errors=True)
    return kept


@contextlib.contextmanager
def written(location: Location) -> Iterator[Path]:
    """Yield a local path; what the block writes there, a file or a folder, lies there at its end.

    For a URL the block writes to a temporary place, and what it wrote is uploaded when it ended
    without an error: each object is whole or absent, and those of `LAST_FILES` go last, after their
    forerunners were deleted. A local location is yielded as it is.

    Raises
    ------
    StorageError
        See `read_bytes`.
    """
    local = as_local(location)
    if local is not None:
        yield Path(local)
        return
    with _working_folder() as folder:
        made = folder / name_of(location)
        yield made
        if made.exists():
            store_at(os.fspath(location), made)


def store_at(url: str, made: Path) -> None:
    """Upload a file, or all files of a folder, to a URL.

    Raises
    ------
    StorageError
        See `read_bytes`.
    """
    store, path = filesystem(url)
    path = path.rstrip("/")
    if made.is_file():
        with storage_errors(url):
            store.put_file(str(made), path)
        return
    below = [file.relative_to(made).as_posix() for file in made.rglob("*") if file.is_file()]
    last = [name for name in LAST_FILES if name in below]

    def upload(name: str) -> None:
        with storage_errors(url):
            store.put_file(str(made / name), f"{path}/{name}")

    for name in reversed(last):
        with storage_errors(url), contextlib.suppress(FileNotFoundError):
            store.rm_file(f"{path}/{name}")
    _all_at_once(upload, (name for name in below if name not in last))
    for name in last:
        upload(name)


def _inside(folder: Path, name: str) -> Path:
    """Return where a key is copied to, which is below the folder whatever the key is."""
    path = folder.joinpath(*(part for part in name.split("/") if part))
    if not path.resolve().is_relative_to(folder.resolve()):
        raise StorageError(f"the object {name!r} would be copied outside its folder; rename it")
    return path


def _all_at_once(function: Callable[[Any], None], items: Iterable[Any]) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(_COPIES_AT_ONCE, thread_name_prefix="residua-copy") as pool:
        for _ in pool.map(function, items):
            pass


@contextlib.contextmanager
def _working_folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="residua-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)
