"""Reading IDX, the file format of MNIST: a magic number, the dimensions, the bytes.

http://yann.lecun.com/exdb/mnist/ describes it.
"""

from __future__ import annotations

import gzip
import hashlib
import math
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from residua.errors import DatasetCorrupt

_MAGIC = b"\0\0\x08"
"""Two zeros and the kind, unsigned bytes; the number of axes follows."""


def read_idx(path: Path, sha256: str) -> NDArray[np.uint8]:
    """Read a gzip-compressed IDX file of unsigned bytes.

    Parameters
    ----------
    path : Path
    sha256 : str
        Hash of the *unpacked* file, hexadecimal: however a mirror compressed it, the content is
        the published one.

    Raises
    ------
    DatasetCorrupt
        The content is another.
    """
    try:
        content = gzip.decompress(path.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise DatasetCorrupt(f"{path} cannot be unpacked ({error}); delete it") from error
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise DatasetCorrupt(
            f"{path} is not the published file: the SHA-256 of its content is {found}, wanted "
            f"{sha256}; delete it"
        )
    if len(content) < 4 or content[:3] != _MAGIC:
        raise DatasetCorrupt(f"{path} is no IDX file of unsigned bytes")
    start = 4 + 4 * content[3]
    shape = tuple(int.from_bytes(content[at : at + 4], "big") for at in range(4, start, 4))
    if len(content) != start + math.prod(shape):
        raise DatasetCorrupt(f"{path} does not hold the {shape} bytes that it announces")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)
