"""Single objects and listings: read, written, asked for."""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Iterable, Iterator
from typing import Any

from residua.errors import NothingStored, StorageDenied, StorageError, StorageUnreachable
from residua.storage.stores import filesystem, storage_errors


def read_bytes(url: str) -> bytes:
    """Return the content of an object; of what others put there, `read_prefix` bounds the size.

    Raises
    ------
    NothingStored
        There is no such object, or no such bucket.
    StorageDenied
        It may not be read with the credentials at hand.
    CredentialsRefused
        There are none, or they are expired or wrong.
    StorageUnreachable
        The store does not answer, or not now.
    StorageError
        Anything else that the store says.
    """
    store, path = filesystem(url)
    # s3fs would ask for the size first, to fetch large objects in pieces.
    once = {"max_concurrency": 1} if hasattr(store, "call_s3") else {}
    with storage_errors(url):
        content: bytes = store.cat_file(path, **once)
    return content


def read_prefix(url: str, size: int) -> bytes:
    """Return the first bytes of an object, all of them where it has fewer than ``size``.

    Raises
    ------
    StorageError
        See `read_bytes`.
    """
    store, path = filesystem(url)
    try:
        with storage_errors(url):
            content: bytes = store.cat_file(path, start=0, end=size)
    except (NothingStored, StorageDenied, StorageUnreachable):
        raise
    except StorageError:
        # To ask an empty object for its first bytes is an error in some stores.
        with storage_errors(url):
            if store.size(path) != 0:
                raise
        content = b""
    return content


def write_bytes(url: str, content: bytes) -> None:
    """Write an object, which is there whole or not at all.

    Raises
    ------
    StorageError
        See `read_bytes`.
    """
    store, path = filesystem(url)
    with storage_errors(url):
        store.pipe_file(path, content)


def exists(url: str) -> bool:
    """Tell whether there is an object of this name, or any below it.

    Raises
    ------
    StorageError
        See `read_bytes`.
    """
    try:
        return is_object(url) or next(files_below(url), None) is not None
    except NothingStored:
        return False


def is_object(url: str) -> bool:
    """Tell whether there is an object of exactly this name.

    Raises
    ------
    StorageError
        See `read_bytes`.
    """
    store, path = filesystem(url)
    if url.endswith("/"):
        return False
    with storage_errors(url):
        try:
            return bool(store.info(path)["type"] == "file")
        except FileNotFoundError:
            return False


def files_below(url: str) -> Iterator[str]:
    """Yield all objects below a URL, as paths relative to it; hidden ones are left out.

    An S3 listing comes page by page, so that a billion names take no memory. Hidden is what has a
    part with a leading dot.

    Raises
    ------
    NothingStored
        There is no such bucket. A folder of nothing is none: it yields nothing.
    StorageError
        See `read_bytes`.
    """
    store, path = filesystem(url)
    top = path.rstrip("/") + "/"
    with storage_errors(url):
        for name in _names_below(store, path.rstrip("/")):
            below = name.removeprefix(top)
            if name.startswith(top) and _is_shown(below):
                yield below


def list_files(url: str) -> list[str]:
    """Return what `files_below` yields in the order of its bytes.

    Raises
    ------
    NothingStored
        There is nothing below, or no such bucket.
    StorageError
        See `read_bytes`.
    """
    found = list(files_below(url))
    if not found:
        raise NothingStored(f"there is nothing below {url}; check its name")
    found.sort(key=None if all(map(str.isascii, found)) else os.fsencode)
    return found


def check_writable(url: str) -> None:
    """Refuse a URL at which nothing can be written, before the work that it is to hold.

    An object of no bytes is written beside it and deleted again.

    Raises
    ------
    StorageError
        See `read_bytes`.
    """
    store, path = filesystem(url)
    probe = f"{path.rstrip('/').rpartition('/')[0]}/.residua-{uuid.uuid4().hex}"
    with storage_errors(url):
        store.pipe_file(probe, b"")
    with contextlib.suppress(Exception):  # who may write but not delete may go on
        store.rm_file(probe)


def _names_below(store: Any, path: str) -> Iterable[str]:
    if not hasattr(store, "call_s3"):
        try:
            found: list[str] = store.find(path)
        except FileNotFoundError:  # no such folder, which in a store is an empty one
            return []
        return found
    return _s3_names(store, path)


def _s3_names(store: Any, path: str) -> Iterator[str]:
    bucket, key, _ = store.split_path(path)
    prefix = f"{key}/" if key else ""
    more: dict[str, str] = {}
    while True:
        page = store.call_s3("list_objects_v2", Bucket=bucket, Prefix=prefix, **more)
        for entry in page.get("Contents", ()):
            yield f"{bucket}/{entry['Key']}"
        if not page.get("IsTruncated"):
            return
        more = {"ContinuationToken": page["NextContinuationToken"]}


def _is_shown(below: str) -> bool:
    # A name that ends in / is a folder that some program marked.
    return bool(below) and below[-1] != "/" and below[0] != "." and "/." not in below
