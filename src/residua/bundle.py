"""The saved model: a folder of JSON, safetensors and ONNX that runs no code when it is read.

The checksums tell of accidents. Against someone who writes checksums that fit stand the limits of
`residua.vetting`: nothing outside of the folder is read, nothing is run but operators that compute
numbers, and nothing takes more time or memory than is known beforehand.

::

    NAME.residua/
        residua.json          the manifest: everything but the numbers
        weights.safetensors   the network's weights
        model.onnx            uint8 pixels to score, error map, reconstruction and code
        calibration.npz       scores of the held-out normal pictures
        SHA256SUMS            of all files above, as sha256sum writes them
"""

from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from residua import storage
from residua.errors import (
    BundleAltered,
    BundleError,
    BundleIncomplete,
    BundleNotFound,
    BundleRefused,
    BundleTooNew,
    NotABundle,
    NothingStored,
    StorageError,
)
from residua.manifest import SCHEMA_VERSION, Manifest
from residua.scoring.verdicts import batch_size_for
from residua.storage import Location, as_local
from residua.vetting.arrays import read_array
from residua.vetting.files import content_of, opened, sha256_of
from residua.vetting.graph import vet_graph
from residua.vetting.json_file import read_json
from residua.vetting.text import shown
from residua.vetting.weights import LONGEST_HEADER, shapes_within
from residua.writing import put_back

MANIFEST = "residua.json"
WEIGHTS = "weights.safetensors"
GRAPH = "model.onnx"
CALIBRATION = "calibration.npz"
CHECKSUMS = "SHA256SUMS"
FILES = (MANIFEST, WEIGHTS, GRAPH, CALIBRATION)
"""What the checksums are of."""
_REVISION_DIGITS = 12
LIMITS = {
    MANIFEST: 4_000_000,
    WEIGHTS: 2**31 - 1,
    GRAPH: 2**31 - 1,
    CALIBRATION: 32_000_000,
    CHECKSUMS: 10_000,
}
"""Bytes that each file may have, the one written last standing last: 20,000 epochs, 4 million
calibration scores, and what protocol buffers can hold. A file beyond is not read."""
# What fits into 4 bytes; ONNX computes in it.
_FLOAT32 = 4


class Bundle(BaseModel):
    """A bundle on disk, its files verified."""

    model_config = ConfigDict(frozen=True)

    path: Path
    manifest: Manifest
    graph_sha256: str
    """SHA-256 of the ONNX file, hexadecimal."""
    weights_sha256: str
    """SHA-256 of the safetensors file, hexadecimal."""
    weight_shapes: dict[str, tuple[int, ...]]
    """Shapes of the tensors in the safetensors file, by name."""
    working_memory: int
    """Bytes that scoring a batch takes at most, about, without the weights."""
    origin: str | None = None
    """The URL of which ``path`` is a copy. None: it is no copy."""

    @property
    def location(self) -> Path | str:
        """Where the bundle was found: its path, or the URL that it was copied from."""
        return self.origin or self.path

    @property
    def graph(self) -> Path:
        """The ONNX file."""
        return self.path / GRAPH

    @property
    def weights(self) -> Path:
        """The safetensors file."""
        return self.path / WEIGHTS

    def read_graph(self) -> bytes:
        """Return the content of the ONNX file, verified: what is computed is what was saved.

        Raises
        ------
        BundleAltered
            It is no longer the file that was verified when the bundle was opened.
        """
        return self._content(GRAPH, self.graph_sha256)

    def read_weights(self) -> bytes:
        """Return the content of the safetensors file, verified.

        Raises
        ------
        BundleAltered
            It is no longer the file that was verified when the bundle was opened.
        """
        return self._content(WEIGHTS, self.weights_sha256)

    def files(self) -> dict[str, bytes]:
        """Return all files of the bundle, name to content, for another machine to open.

        Raises
        ------
        BundleRefused
            One has grown beyond what is read.
        BundleAltered
            One cannot be read any more.
        """
        try:
            return {
                name: content_of(self.path / name, LIMITS[name]) for name in (*FILES, CHECKSUMS)
            }
        except OSError as error:
            raise BundleAltered(f"{self.path} cannot be read any more: {error.strerror}") from error

    def _content(self, name: str, sha256: str) -> bytes:
        path = self.path / name
        try:
            content = content_of(path, LIMITS[name])
        except OSError as error:
            raise BundleAltered(f"{path} cannot be read any more: {error.strerror}") from error
        if hashlib.sha256(content).hexdigest() != sha256:
            raise BundleAltered(f"{path} was altered while it was in use; copy the bundle again")
        return content

    def calibration_scores(self) -> NDArray[np.float64]:
        """Return the scores of the calibration pictures (n,), in no order; n ≥ 1, all finite.

        Raises
        ------
        BundleAltered
            The file holds no such scores.
        """
        path = self.path / CALIBRATION
        try:
            limit = LIMITS[CALIBRATION]
            scores = read_array(content_of(path, limit), "scores", limit)
        except BundleError:
            raise
        except Exception as error:  # a damaged file makes NumPy, zipfile and zlib raise many kinds
            raise BundleAltered(
                f"{path} holds no calibration scores ({shown(str(error)[:300])}); copy the bundle "
                f"again, or fit anew"
            ) from error
        if scores.dtype.kind != "f" or scores.ndim != 1 or not scores.size:
            raise BundleAltered(
                f"{path} holds no calibration scores but {scores.dtype} of shape {scores.shape}; "
                f"wanted floating-point numbers of shape (n,), n ≥ 1; copy the bundle again, or "
                f"fit anew"
            )
        if not np.isfinite(scores).all():
            raise BundleAltered(
                f"{path} holds a calibration score that is NaN or infinite; copy the bundle again, "
                f"or fit anew"
            )
        return scores.astype(np.float64, copy=False)


def revision_of(path: Location) -> str:
    """Return what tells a bundle from others of its name: 12 digits of its checksums' SHA-256.

    Raises
    ------
    OSError
        There is none; also where the store of a URL does not let it be read.
    """
    try:
        if storage.is_remote(path):
            # Read to a bound: nobody knows what lies there.
            sums = storage.read_prefix(storage.joined(path, CHECKSUMS), LIMITS[CHECKSUMS])
        else:
            sums = content_of(Path(as_local(path) or "", CHECKSUMS), LIMITS[CHECKSUMS])
    except BundleRefused as error:
        raise OSError(errno.EINVAL, str(error)) from error
    except StorageError as error:
        raise OSError(errno.EIO, str(error)) from error
    return hashlib.sha256(sums).hexdigest()[:_REVISION_DIGITS]


def open_bundle(path: Location) -> Bundle:
    """Open a bundle and verify every file of it.

    One in an object store is copied to the user's cache, where it stays until another one takes
    its place in the store; the copy is verified each time.

    Raises
    ------
    BundleNotFound, NotABundle, BundleIncomplete, BundleAltered, BundleRefused, BundleTooNew
        By name of what is wrong.
    StorageError
        The object store does not let it be read.
    """
    local = as_local(path)
    return _opened(Path(local)) if local is not None else _opened_copy(os.fspath(path))


def _opened_copy(url: str) -> Bundle:
    from platformdirs import user_cache_path

    cache = user_cache_path("residua", appauthor=False) / "bundles"
    try:
        copy = storage.cached_folder(url, LIMITS, cache)
    except NothingStored as error:
        raise _no_checksums(url) from error
    try:
        return _opened(copy).model_copy(update={"origin": url})
    except BundleError as error:
        # Not kept: the next copy may be a sound one.
        storage.drop_copy(copy)
        raise type(error)(str(error).replace(str(copy), url)) from error


def _no_checksums(url: str) -> BundleError:
    """Say what a URL is that has no checksums, which are written last."""
    if not storage.exists(url):
        return BundleNotFound(f"there is no bundle at {url}; make one with: residua fit")
    if not has_part_of_bundle(url):
        return NotABundle(f"{url} is not a Residua bundle, which is a folder with {MANIFEST} in it")
    return BundleIncomplete(
        f"{url} lacks {CHECKSUMS}, which is written last: it is still being written, or that was "
        f"broken off; wait, or copy the whole folder again"
    )


def has_part_of_bundle(url: str) -> bool:
    """Tell whether an object of a bundle's file names lies below a URL.

    Raises
    ------
    StorageError
        The object store does not tell.
    """
    return any(storage.is_object(storage.joined(url, name)) for name in (*FILES, CHECKSUMS))


def _opened(path: Path) -> Bundle:
    try:
        put_back(path)
        return _verified(path)
    except OSError as error:
        raise BundleError(
            f"the bundle {path} cannot be read ({error.strerror}); it and all its files must be "
            f"readable for this user"
        ) from error


def _verified(folder: Path) -> Bundle:
    if not folder.exists():
        raise BundleNotFound(f"there is no bundle at {folder}; make one with: residua fit")
    if not folder.is_dir() or not (folder / CHECKSUMS).is_file() | (folder / MANIFEST).is_file():
        raise NotABundle(
            f"{folder} is not a Residua bundle, which is a folder with {MANIFEST} in it"
        )
    missing = [name for name in (*FILES, CHECKSUMS) if not os.path.lexists(folder / name)]
    if missing:
        raise BundleIncomplete(
            f"{folder} lacks {', '.join(missing)}; copy the whole folder again, or fit anew"
        )
    # What was hashed is what is read, also where another process writes meanwhile.
    text = content_of(folder / MANIFEST, LIMITS[MANIFEST])
    graph = content_of(folder / GRAPH, LIMITS[GRAPH])
    manifest = _read_manifest(folder, text)
    sums = read_checksums(folder)
    found = {
        MANIFEST: hashlib.sha256(text).hexdigest(),
        WEIGHTS: sha256_of(folder / WEIGHTS, LIMITS[WEIGHTS]),
        GRAPH: hashlib.sha256(graph).hexdigest(),
        CALIBRATION: sha256_of(folder / CALIBRATION, LIMITS[CALIBRATION]),
    }
    for name in FILES:
        if found[name] != sums.get(name):
            raise BundleAltered(
                f"{folder / name} is not the file that was saved: its SHA-256 differs from the "
                f"one in {CHECKSUMS} (altered or cut short); copy the bundle again, or fit anew"
            )
    checked = _validated(folder, manifest)
    spec = checked.input
    size = vet_graph(graph, spec.shape, batch_size_for(spec), folder / GRAPH)
    return Bundle(
        path=folder,
        manifest=checked,
        graph_sha256=found[GRAPH],
        weights_sha256=found[WEIGHTS],
        weight_shapes=_weight_shapes(folder / WEIGHTS),
        working_memory=_FLOAT32 * size.numbers,
    )


def _read_manifest(folder: Path, text: bytes) -> dict[str, Any]:
    path = folder / MANIFEST
    try:
        manifest = read_json(text)
    except (ValueError, RecursionError) as error:
        raise BundleAltered(f"{path} is not readable as JSON: {shown(str(error))}") from error
    if not isinstance(manifest, dict) or manifest.get("format") != "residua":
        raise NotABundle(f"{path} is not the manifest of a Residua bundle")
    version = manifest.get("schema_version")
    if type(version) is not int or version < 1:
        raise NotABundle(f"{path} has no schema version that Residua knows: {version!r:.40}")
    if version > SCHEMA_VERSION:
        raise BundleTooNew(
            f"{folder} has schema version {version} and this Residua reads up to "
            f"{SCHEMA_VERSION}; upgrade with: pip install -U residua"
        )
    return manifest


def _validated(folder: Path, manifest: dict[str, Any]) -> Manifest:
    try:
        return Manifest.model_validate(manifest)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise NotABundle(f"{folder / MANIFEST}: {where[:200]}: {first['msg'][:300]}") from error


def _weight_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    try:
        with opened(path, LIMITS[WEIGHTS]) as file:
            return shapes_within(file.read(8 + LONGEST_HEADER), os.fstat(file.fileno()).st_size)
    except (ValueError, RecursionError) as error:
        raise BundleAltered(
            f"{path} holds no weights: {error}; copy the bundle again, or fit anew"
        ) from error


def read_checksums(folder: Path) -> dict[str, str]:
    """Return the SHA-256 that a bundle's checksums give each file name; lines of no sense too.

    Raises
    ------
    BundleRefused
        They are no plain file, or too large.
    OSError
        They cannot be read.
    """
    sums: dict[str, str] = {}
    text = content_of(folder / CHECKSUMS, LIMITS[CHECKSUMS]).decode("ascii", "replace")
    for line in text.splitlines():
        digest, _, name = line.partition("  ")
        sums[name] = digest
    return sums
