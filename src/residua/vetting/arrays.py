"""One array out of an .npz file of a stranger: no pickle, and no more than it may hold."""

from __future__ import annotations

import io
import struct
import warnings
import zipfile
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

# Of the list of files at the end of an archive, which has an entry of some 60 bytes for each.
_MOST_LISTED = 4_096
_END = struct.Struct("<4s4H2LH")
_LONGEST_HEADER = 1_000
# How NumPy packs. Of the other ways some unpack all at once, whatever is asked for.
_PACKED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED = 1


def read_array(content: bytes, name: str, limit: int) -> NDArray[Any]:
    """Return the array called ``name`` of at most ``limit`` bytes.

    Raises
    ------
    ValueError, KeyError, OSError, zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError
        There is none, it is a pickle, or a larger one. A damaged archive fails in many ways.
    """
    _require_short_list(content)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        entry = archive.getinfo(f"{name}.npy")
        if entry.compress_type not in _PACKED or entry.flag_bits & _ENCRYPTED:
            raise ValueError(f"{name!r} is packed as NumPy packs nothing")
        with archive.open(entry) as file:
            # As many bytes as may be, whatever the archive says of their number.
            data = file.read(limit + 1)
    if len(data) > limit:
        raise ValueError(f"{name!r} has more than {limit:,} bytes")
    stream = io.BytesIO(data)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # headers of Python 2, which nothing here has written
        shape, _, dtype = _HEADERS[npy.read_magic(stream)](stream, max_header_size=_LONGEST_HEADER)
    count, width = int(np.prod(shape, dtype=object)), dtype.itemsize
    if dtype.hasobject or not width or count * width != len(data) - stream.tell():
        raise ValueError(f"{name!r} is {dtype} of shape {shape}, and the file holds something else")
    return np.frombuffer(data, dtype, count, stream.tell()).reshape(shape)


def _require_short_list(content: bytes) -> None:
    if len(content) < _END.size:
        raise ValueError("it is no archive")
    signature, *_, listed, _, comment = _END.unpack(content[-_END.size :])
    zip64 = content[-_END.size - 20 : -_END.size - 16] == b"PK\6\7"
    if signature != b"PK\5\6" or comment or zip64 or listed > _MOST_LISTED:
        raise ValueError("it is no archive of a few arrays")


_HEADERS: dict[tuple[int, int], Any] = {
    (1, 0): npy.read_array_header_1_0,
    (2, 0): npy.read_array_header_2_0,
}
