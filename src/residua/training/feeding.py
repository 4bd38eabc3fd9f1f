"""Pictures to batches: decoded once, kept as uint8, scaled to floats on the network's device."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from residua.errors import NoReadableImage, OutputError
from residua.images.preprocess import InputSpec
from residua.images.source import Failure, ImageSource
from residua.workspace import alone_in, remove_if_empty, workspace

_DECODE_BATCH = 64
_DECODED = "residua-decoded"
_PIXELS_AT_A_TIME = 1 << 18
# Of a card's free memory; the rest is for the network and its step.
_RESIDENT_SHARE = 0.5


class PixelStore(NamedTuple):
    """Every readable picture of a source, decoded."""

    pixels: NDArray[np.uint8]
    """The pictures (N, H, W, C): an array in memory, or a file mapped into it."""
    indices: NDArray[np.int64]
    """Index of each in the source (N,)."""
    failures: tuple[Failure, ...]
    """The pictures that could not be read."""
    fingerprint: str
    """SHA-256 of all pixels, hexadecimal."""


@contextlib.contextmanager
def room_for_pixels(folder: Path | None) -> Iterator[Path]:
    """Yield a folder for decoded pictures; it, and no other fit with it, is in the one given.

    Parameters
    ----------
    folder : Path or None
        The fit's own. None: the decoded pictures lie with the system's temporary files.

    Raises
    ------
    OutputError
        It cannot be made, or another fit is in it.
    """
    with contextlib.ExitStack() as stack:
        if folder is not None:
            # A fit that was refused before its first epoch leaves no empty folder behind.
            stack.callback(remove_if_empty, folder)
        try:
            if folder is not None:
                folder.mkdir(parents=True, exist_ok=True)
                stack.enter_context(alone_in(folder, "fit"))
            room = stack.enter_context(workspace(_DECODED, folder))
        except OSError as error:
            raise OutputError(f"no folder for the fit can be made: {error}") from error
        yield room


def decode_all(
    source: ImageSource,
    spec: InputSpec,
    *,
    cache: Path,
) -> PixelStore:
    """Decode a source once, so that each epoch reads plain bytes.

    Pictures that are in memory already stay there; those of files go to a memory-mapped file
    under ``cache``, so that memory does not grow with the number of files.

    Parameters
    ----------
    source : ImageSource
    spec : InputSpec
    cache : Path
        Folder for the decoded file.

    Raises
    ------
    NoReadableImage
        Not one picture could be read.
    OutputError
        There is no room for the decoded pictures.
    """
    shape = (len(source), *spec.shape)
    store = (
        np.empty(shape, np.uint8)
        if source.in_memory
        else reserve(cache / "pixels.u8", shape, np.uint8)
    )
    kept: list[NDArray[np.int64]] = []
    failures: list[Failure] = []
    digest = hashlib.sha256(repr(spec.shape).encode())
    filled = 0
    for batch in source.batches(spec, _DECODE_BATCH):
        failures += batch.failures
        count = len(batch.indices)
        store[filled : filled + count] = batch.images
        digest.update(np.ascontiguousarray(batch.images).data)
        kept.append(batch.indices)
        filled += count
    if not filled:
        causes = "; ".join(f"{f.id}: {f.error}" for f in failures[:3])
        raise NoReadableImage(f"none of the {len(source)} pictures can be read. {causes}")
    return PixelStore(store[:filled], np.concatenate(kept), tuple(failures), digest.hexdigest())


def reserve(path: Path, shape: tuple[int, ...], dtype: type[np.generic]) -> NDArray[Any]:
    """Map a file of the full size, reserved beforehand: a full disk must fail here.

    A sparse file would fail later, on writing to the map, with a signal that ends the process.

    Raises
    ------
    OutputError
        There is no room for it.
    """
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    try:
        with path.open("wb") as file:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, size)
            else:
                file.truncate(size)
    except OSError as error:
        path.unlink(missing_ok=True)
        room = "; there is no room left" if error.errno == errno.ENOSPC else f": {error.strerror}"
        raise OutputError(
            f"the pictures to learn from need {size / 1e6:,.0f} MB under {path.parent}{room}; free "
            f"some, or set TMPDIR to a folder on another disk"
        ) from error
    return np.memmap(path, dtype, mode="r+", shape=shape)


def free_memory(device: torch.device) -> int:
    """Return the bytes free on a device; 0 where pictures gain nothing from lying there."""
    return int(torch.cuda.mem_get_info(device)[0]) if device.type == "cuda" else 0


def near(
    pixels: NDArray[Any],
    device: torch.device,
    free: Callable[[torch.device], int] = free_memory,
) -> NDArray[Any] | Tensor:
    """Return pictures on a device that has room for them, so that no batch travels there.

    Parameters
    ----------
    pixels : ndarray of shape (N, ...)
    device : torch.device
    free : callable
        Returns the bytes free on a device.

    Returns
    -------
    Tensor or ndarray
        On ``device`` where they take at most half of what is free there, else as they came.
    """
    if pixels.nbytes > _RESIDENT_SHARE * free(device):
        return pixels
    return torch.from_numpy(pixels).to(device)


def at_a_time(inputs: NDArray[Any]) -> int:
    """Return how many pictures a pass without gradients takes at a time.

    So few that the values between layers stay in the processor's caches, and enough that calls
    cost little: 4 to 64.

    Parameters
    ----------
    inputs : ndarray of shape (N, H, W, C), or rows (N, F)
    """
    pixels = int(np.prod(inputs.shape[1:3])) if inputs.ndim == 4 else 1
    return int(np.clip(_PIXELS_AT_A_TIME // pixels, 4, 64))


def steps_an_epoch(n: int, batch_size: int) -> int:
    """Return how many batches ``n`` pictures make."""
    full, rest = divmod(n, batch_size)
    # One lone picture has no batch statistics, so it joins the batch before it.
    return full + (rest > 1 or (rest == 1 and not full))


class PixelBatches:
    """Batches of a `PixelStore` as uint8 tensors (B, H, W, C), with no work per picture.

    Parameters
    ----------
    pixels : ndarray or Tensor of shape (N, H, W, C), uint8
        A tensor's batches stay on its device.
    indices : ndarray of shape (n,), int64
        The rows of ``pixels`` that take part.
    batch_size : int
    order_seed : callable or None
        Returns the seed of the next pass's order. None: rows come in the order given.
    """

    def __init__(
        self,
        pixels: NDArray[np.uint8] | Tensor,
        indices: NDArray[np.int64],
        batch_size: int,
        order_seed: Callable[[], tuple[int, ...]] | None = None,
    ) -> None:
        self.pixels = pixels
        self.indices = indices
        self.order_seed = order_seed
        starts = range(0, steps_an_epoch(len(indices), batch_size) * batch_size, batch_size)
        self.bounds = [*starts, len(indices)]

    def __len__(self) -> int:
        return len(self.bounds) - 1

    def __iter__(self) -> Iterator[Tensor]:
        order = self.indices
        if self.order_seed is not None:
            order = np.random.default_rng(self.order_seed()).permutation(order)
        if isinstance(self.pixels, Tensor):
            rows = torch.from_numpy(order).to(self.pixels.device)
            for start, stop in pairwise(self.bounds):
                yield self.pixels[rows[start:stop]]
            return
        for start, stop in pairwise(self.bounds):
            yield torch.from_numpy(self.pixels[order[start:stop]])
