"""What one worker of a fit reads: its share of the pictures, and nothing of the others'."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from residua.errors import NoReadableImage
from residua.images.preprocess import InputSpec
from residua.images.source import ImageSource
from residua.training.feeding import decode_all
from residua.workspace import workspace


class Unreadable(NamedTuple):
    """A picture that a worker could not read."""

    index: int  # type: ignore[assignment]
    """Its index in the source of the fit."""
    what: str
    """Its id, and what is wrong with it."""


class Prints(NamedTuple):
    """Fingerprints of pictures, so that many machines can name together what was learned from."""

    indices: NDArray[np.int64]
    """Of each picture in the source of the fit (n,)."""
    digests: bytes
    """SHA-256 of the pixels of each, 32 n bytes."""


class Share(NamedTuple):
    """Some pictures of a source, decoded."""

    pixels: NDArray[np.uint8]
    """(n, H, W, C), those that could be read."""
    indices: NDArray[np.int64]
    """Index of each in the source (n,)."""
    failures: list[Unreadable]


def read_share(source: ImageSource, indices: NDArray[np.int64], spec: InputSpec) -> Share:
    """Decode some pictures of a source to a file that ends with the process.

    Parameters
    ----------
    source : ImageSource
    indices : ndarray of int64
        Which; none is allowed.
    spec : InputSpec

    Raises
    ------
    OutputError
        There is no room for them on this machine.
    """
    nothing = np.empty((0, *spec.shape), np.uint8), np.empty(0, np.int64)
    if not len(indices):
        return Share(*nothing, [])
    # The file stays mapped when its name is gone; what a killed worker leaves, the next deletes.
    with workspace("residua-share") as folder:
        try:
            store = decode_all(source.take(indices), spec, cache=folder)
        except NoReadableImage as error:
            return Share(*nothing, [Unreadable(int(index), str(error)) for index in indices])
    failures = [
        Unreadable(int(indices[failure.index]), f"{failure.id}: {failure.error}")
        for failure in store.failures
    ]
    return Share(store.pixels, indices[store.indices], failures)


def prints_of(share: Share) -> Prints:
    """Take the fingerprints of the pictures of a share."""
    digests = b"".join(hashlib.sha256(picture.data).digest() for picture in share.pixels)
    return Prints(share.indices, digests)


def fingerprint_of(prints: Iterable[Prints], spec: InputSpec) -> str:
    """Return one fingerprint of all pictures, whoever has read them: SHA-256, hexadecimal.

    Pictures that several have read count once.
    """
    every = list(prints)
    indices = np.concatenate([part.indices for part in every])
    digests = np.frombuffer(b"".join(part.digests for part in every), np.uint8).reshape(-1, 32)
    _, first = np.unique(indices, return_index=True)
    whole = hashlib.sha256(repr(spec.shape).encode())
    whole.update(digests[first].tobytes())
    return whole.hexdigest()
