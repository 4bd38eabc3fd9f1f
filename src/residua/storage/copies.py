"""Files and folders of object stores as local ones, for as long as they are worked on."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from residua.errors import NothingStored, OutputError, StorageError
from residua.storage.locations import Location, as_local, joined, name_of, parent_of
from residua.storage.objects import check_writable, is_object, list_files, read_prefix
from residua.storage.stores import filesystem, storage_errors
from residua.workspace import alone_in, workspace

_COPIES_AT_ONCE = 8
# Seconds for which a copy is waited for that another process makes: of a model, at a slow line.
_PATIENCE = 600.0
_WORK = "copy"
_BESIDE = ".residua-copy"


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
    try:
        for local in files.values():
            local.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(
            f"{url} cannot be copied to {target}: {error.strerror or error}"
        ) from error

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

    A new content takes the place of the last but one of the same URL: who works with the last one
    goes on.

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
    of_url = cache / hashlib.sha256(url.encode()).hexdigest()[:32]
    kept = of_url / hashlib.sha256(content).hexdigest()[:32] / name_of(url)
    if _says(kept / mark, content):
        return kept
    try:
        of_url.mkdir(parents=True, exist_ok=True)
        with alone_in(of_url, _WORK, patience=_PATIENCE):
            if not _says(kept / mark, content):  # another process made it meanwhile
                _copy_anew(url, limits, kept)
                _drop_older(of_url, kept.parent)
    except OutputError as error:
        raise StorageError(f"{url} is being copied to {of_url}: {error}") from error
    except OSError as error:
        # Where there are no locks, another process may have been first: its copy does.
        if not _says(kept / mark, content):
            raise StorageError(
                f"{url} cannot be copied to {kept}: {error.strerror or error}"
            ) from error
    return kept


def drop_copy(kept: Path) -> None:
    """Delete a copy that `cached_folder` returned, so that the next one is made anew.

    It is never seen half deleted.
    """
    # What cannot be deleted is what `cached_folder` finds the next time, as it did this time.
    with contextlib.suppress(OSError), workspace(_BESIDE, kept.parent) as beside:
        kept.rename(beside / "old")


def _copy_anew(url: str, limits: Mapping[str, int], kept: Path) -> None:
    kept.parent.mkdir(exist_ok=True)
    with workspace(_BESIDE, kept.parent) as beside:
        _require_within(limits, url)
        made = fetch(url, beside / "copy", names=list(limits))
        if kept.exists():  # something wrote into it
            kept.rename(beside / "old")
        made.rename(kept)


def _drop_older(of_url: Path, newest: Path) -> None:
    """Delete the copies of all contents but the newest and the one before it."""
    others = [path for path in of_url.iterdir() if path.is_dir() and path != newest]
    others.sort(key=lambda path: path.stat().st_mtime)
    for path in others[:-1]:
        shutil.rmtree(path, ignore_errors=True)


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
def written(location: Location, *, last: Sequence[str] = ()) -> Iterator[Path]:
    """Yield a local path; what the block writes there, a file or a folder, lies there at its end.

    For a URL the block writes to a temporary place, and what it wrote is uploaded when it ended
    without an error: each object is whole or absent. A local location is yielded as it is.

    Parameters
    ----------
    location : str or path-like
    last : sequence of str, optional
        See `store_at`.

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
            store_at(os.fspath(location), made, last=last)


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
        except BaseException as error:
            try:
                store_at(url, made)
            except StorageError as second:  # what ended the block says more
                error.add_note(f"what was finished is lost: {second}")
            raise
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


def store_at(url: str, made: Path, *, last: Sequence[str] = ()) -> None:
    """Upload a file, or all files of a folder, to a URL.

    Parameters
    ----------
    url : str
    made : Path
    last : sequence of str, optional
        Files of the folder that go last, in this order, after their forerunners were deleted:
        without them it is not what it is to become.

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
    last = [name for name in last if name in below]

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
    with contextlib.ExitStack() as stack:
        try:
            # Within it, since its lock is none of the files.
            folder = stack.enter_context(workspace("residua-copy")) / "files"
            folder.mkdir()
        except OSError as error:
            raise StorageError(
                f"there is no room for a copy among the temporary files: {error}; TMPDIR names "
                f"their folder"
            ) from error
        yield folder
