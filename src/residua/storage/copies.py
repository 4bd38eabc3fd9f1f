"""Files and folders of object stores as local ones, for as long as they are worked on."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from residua.errors import NothingStored, StorageError
from residua.storage.locations import Location, as_local, joined, name_of, parent_of
from residua.storage.objects import check_writable, is_object, list_files, read_prefix
from residua.storage.stores import filesystem, storage_errors

# What is written last in a folder, in this order: without these it is not what it is to become.
LAST_FILES = ("residua.json", "SHA256SUMS", "_SUCCESS")
_COPIES_AT_ONCE = 8
# Bytes of a folder's last file that are read to memory; of a longer one the copy is never taken for
# the same, and made anew.


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


def fetch(url: str, target: Path, *, names: Sequence[str] | None = None) -> Path:
    """Copy an object, or all objects below a URL, to a local path that is not there yet.

    Parameters
    ----------
    url : str
    target : Path
    names : sequence of str, optional
        Only these of the objects below the URL; those that are not there are left out.

    Raises
    ------
    StorageError
        See `local_copy`.
    """
    store, path = filesystem(url)
    top = path.rstrip("/")
    if names is None and is_object(url):
        files = {path: target}
    else:
        below = list_files(url) if names is None else names
        files = {f"{top}/{name}": _inside(target, name) for name in below}
    for local in files.values():
        local.parent.mkdir(parents=True, exist_ok=True)

    def copy(one: tuple[str, Path]) -> None:
        try:
            with storage_errors(url):
                store.get_file(one[0], str(one[1]))
        except NothingStored:
            one[1].unlink(missing_ok=True)
            if names is None:
                raise

    _all_at_once(copy, files.items())
    return target


def cached_folder(url: str, limits: Mapping[str, int], cache: Path) -> Path:
    """Return a local copy of a folder, kept under ``cache`` by what its last file says.

    Parameters
    ----------
    url : str
    limits : mapping of str to int
        The files that make up the folder, and the bytes that each may have. The last is the one
        that tells the content of all others, as ``SHA256SUMS`` does: it is read each time, and the
        others where it says something new.
    cache : Path

    Raises
    ------
    NothingStored
        The last file is not at the URL.
    StorageError
        A file is too large, in which case none is copied; or see `local_copy`.
    """
    *_, mark = limits
    content = read_prefix(joined(url, mark), limits[mark])
    kept = cache / hashlib.sha256(content).hexdigest() / name_of(url)
    if _says(kept / mark, content):
        return kept
    try:
        shutil.rmtree(kept, ignore_errors=True)  # of a copy that something wrote into
        kept.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".residua-", dir=kept.parent) as beside:
            _require_within(limits, url)
            made = fetch(url, Path(beside, "copy"), names=list(limits))
            made.rename(kept)
    except OSError as error:
        # Where another process was first, its copy does.
        if not _says(kept / mark, content):
            raise StorageError(
                f"{url} cannot be copied to {kept}: {error.strerror or error}"
            ) from error
    return kept


def _require_within(limits: Mapping[str, int], url: str) -> None:
    for name, limit in limits.items():
        store, path = filesystem(joined(url, name))
        with storage_errors(url), contextlib.suppress(FileNotFoundError):
            size = store.size(path)
            if size > limit:
                raise StorageError(
                    f"{joined(url, name)} has {size:,} bytes, and at most {limit:,} are fetched; "
                    f"copy the folder by hand if they are meant"
                )


def _says(file: Path, content: bytes) -> bool:
    try:
        return file.read_bytes() == content
    except OSError:
        return False


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


@contextlib.contextmanager
def reused(location: Location) -> Iterator[Path]:
    """Yield a local folder with what lies at the location already; its end goes back there.

    For a URL the block works in a copy, which is uploaded also where the block ends with an error:
    what it finished is there the next time. A local location is yielded as it is.

    Raises
    ------
    StorageError
        See `read_bytes`; before the block, where nothing can be written at the URL.
    """
    local = as_local(location)
    if local is not None:
        yield Path(local)
        return
    url = os.fspath(location)
    check_writable(joined(url, "any"))
    with _working_folder() as folder:
        made = folder / name_of(location)
        made.mkdir()
        with contextlib.suppress(NothingStored):
            fetch(url.rstrip("/") + "/", made)
        try:
            yield made
        finally:
            store_at(url, made)


@contextlib.contextmanager
def written_beside(location: Location) -> Iterator[Path]:
    """Yield a local path of a location's name; what the block writes in its folder goes beside it.

    As `written`, for a file that has others next to it. That something can be written at a URL is
    seen before the block.

    Raises
    ------
    StorageError
        See `read_bytes`.
    """
    local = as_local(location)
    if local is not None:
        yield Path(local)
        return
    check_writable(os.fspath(location))
    with _working_folder() as folder:
        yield folder / name_of(location)
        store_at(parent_of(location), folder)


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
