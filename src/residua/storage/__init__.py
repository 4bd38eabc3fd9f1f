"""Files of object stores: named by URL, read and written whole, through fsspec.

A location is a path of this machine or a URL, ``s3://bucket/folder/file``. Keys are written as they
are: ``%20`` in a URL is those three characters, and ``#`` or ``?`` belong to the name.
"""

from residua.storage.copies import (
    cached_folder,
    drop_copy,
    fetch,
    local_copy,
    reused,
    store_at,
    written,
    written_beside,
)
from residua.storage.locations import (
    Location,
    as_local,
    beside_or_here,
    is_remote,
    is_url,
    joined,
    local_path,
    name_of,
    parent_of,
    scheme_of,
    without_password,
)
from residua.storage.objects import (
    check_writable,
    exists,
    files_below,
    is_object,
    list_files,
    read_bytes,
    read_prefix,
    write_bytes,
)
from residua.storage.outputs import check_output, check_output_folder, write_text
from residua.storage.stores import SCHEMES, concerns_one_object, filesystem, storage_errors

__all__ = [
    "SCHEMES",
    "Location",
    "as_local",
    "beside_or_here",
    "cached_folder",
    "check_output",
    "check_output_folder",
    "check_writable",
    "concerns_one_object",
    "drop_copy",
    "exists",
    "fetch",
    "files_below",
    "filesystem",
    "is_object",
    "is_remote",
    "is_url",
    "joined",
    "list_files",
    "local_copy",
    "local_path",
    "name_of",
    "parent_of",
    "read_bytes",
    "read_prefix",
    "reused",
    "scheme_of",
    "storage_errors",
    "store_at",
    "without_password",
    "write_bytes",
    "write_text",
    "written",
    "written_beside",
]
