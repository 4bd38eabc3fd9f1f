"""Pictures at two sizes on disk: as networks take them, and small enough to be flattened."""

from __future__ import annotations

import hashlib
import math
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from residua.errors import NoReadableImage, SkippedImages
from residua.images.batches import Failure
from residua.images.preprocess import MIN_SIDE, InputSpec, prepare_pictures
from residua.images.source import ImageSource

MOST_FEATURES = 4_096
"""Numbers in a flattened picture, at most."""
_AT_ONCE = 64


def flat_spec(spec: InputSpec) -> InputSpec:
    """Return the spec, its sides made smaller so that a picture has at most 4,096 numbers.

    The aspect ratio is kept, as far as no side falls below 8 pixels.
    """
    height, width, channels = spec.shape
    most = MOST_FEATURES // channels
    if height * width <= most:
        return spec
    scale = math.sqrt(most / (height * width))
    small = max(MIN_SIDE, math.floor(min(height, width) * scale))
    large = max(MIN_SIDE, min(math.floor(max(height, width) * scale), most // small))
    height, width = (small, large) if height <= width else (large, small)
    return spec.model_copy(update={"height": height, "width": width})


class Decoded(NamedTuple):
    """Pictures decoded to files (N, H, W, C), uint8, which are mapped into memory to read."""

    pictures: Path
    """As networks take them."""
    rows: Path
    """Small enough to be flattened; the same file where no smaller."""
    readable: NDArray[np.bool_]
    """Which of the M pictures asked for are in the files; N are."""
    digests: NDArray[np.uint8]
    """What tells each picture in the files from every other, (N, 16)."""


def decode_to_files(
    parts: Sequence[tuple[ImageSource, NDArray[np.int64]]],
    spec: InputSpec,
    folder: Path,
    name: str,
) -> Decoded:
    """Decode some pictures of some sources once, one source after the other.

    Parameters
    ----------
    parts : sequence of (ImageSource, ndarray of int)
        The sources and which of their pictures.
    spec : InputSpec
        What they are brought to; `flat_spec` of it is the smaller size.
    folder : Path
        Where the files are made.
    name : str
        What they are called.

    Raises
    ------
    NoReadableImage
        Not one of them can be read.
    """
    flat = flat_spec(spec)
    asked = sum(len(indices) for _, indices in parts)
    large = folder / f"{name}.npy"
    small = large if flat == spec else folder / f"{name}-small.npy"
    paths = {large: spec, small: flat}
    files = {
        path: np.lib.format.open_memmap(path, "w+", np.uint8, (asked, *own.shape))
        for path, own in paths.items()
    }
    digests: list[bytes] = []
    readable: list[NDArray[np.bool_]] = []
    failures: list[Failure] = []
    done = 0
    for source, indices in parts:
        read: list[NDArray[np.int64]] = []
        for batch in source.batches(spec, _AT_ONCE, indices):
            for path, own in paths.items():
                files[path][done : done + len(batch.indices)] = prepare_pictures(
                    batch.images, own, batch.indices
                )
            done += len(batch.indices)
            digests += [
                hashlib.blake2b(image.tobytes(), digest_size=16).digest() for image in batch.images
            ]
            read.append(batch.indices)
            failures += batch.failures
        readable.append(np.isin(indices, np.concatenate(read) if read else []))
    _tell(failures, done)
    for path, file in files.items():
        _close(path, file, done)
    told_apart = np.frombuffer(b"".join(digests), np.uint8).reshape(done, 16)
    return Decoded(large, small, np.concatenate(readable), told_apart)


def _tell(failures: list[Failure], done: int) -> None:
    causes = "; ".join(f"{f.id}: {f.error}" for f in failures[:3])
    more = f"; and {len(failures) - 3} more" if len(failures) > 3 else ""
    if not done:
        raise NoReadableImage(f"not one of {len(failures)} pictures can be read: {causes}{more}")
    if failures:
        warnings.warn(
            f"{len(failures)} unreadable pictures are left out. {causes}{more}",
            SkippedImages,
            stacklevel=4,
        )


def _close(path: Path, file: NDArray[np.uint8], count: int) -> None:
    """Keep the first ``count`` pictures of a file alone."""
    if count < len(file):
        shorter = path.with_suffix(".part.npy")
        np.save(shorter, file[:count])
        shorter.replace(path)
