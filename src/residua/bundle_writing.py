"""Writing the saved model that `residua.bundle` opens: what has its final name is always whole."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua import storage
from residua.bundle import (
    CALIBRATION,
    CHECKSUMS,
    FILES,
    GRAPH,
    LIMITS,
    MANIFEST,
    WEIGHTS,
    Bundle,
    has_part_of_bundle,
    read_checksums,
)
from residua.errors import BundleAltered, OutputError
from residua.manifest import Manifest
from residua.storage import Location, as_local
from residua.vetting.files import opened, sha256_of
from residua.writing import check_folder, whole_folder

# What a store is given last: a folder without these is no bundle.
_LAST = (MANIFEST, CHECKSUMS)


def write_bundle(
    path: Location,
    manifest: Manifest,
    *,
    weights: Mapping[str, NDArray[Any]],
    graph: bytes,
    calibration_scores: NDArray[np.float64],
) -> Path | str:
    """Write a bundle beside its final name, then rename it.

    A bundle of that name is replaced, and deleted only then. What has the final name is always
    whole; see `residua.writing.whole_folder`. In an object store, which renames nothing, the
    checksums go first and come last: what has none is no bundle.

    Parameters
    ----------
    path : path-like or URL
        The bundle's folder, by custom ``NAME.residua``.
    manifest : Manifest
    weights : mapping of str to ndarray
        The network's state.
    graph : bytes
        The ONNX graph.
    calibration_scores : ndarray of shape (n,), float64

    Raises
    ------
    OutputError
        The folder cannot be written, or something that is no bundle lies there.
    """
    from safetensors.numpy import save

    check_writable(path)
    with storage.written(path, last=_LAST) as final, _writing(final) as beside:
        (beside / WEIGHTS).write_bytes(save(dict(weights)))
        (beside / GRAPH).write_bytes(graph)
        _complete(beside, manifest, calibration_scores)
    return _given(path)


def write_recalibrated(
    path: Location,
    bundle: Bundle,
    manifest: Manifest,
    calibration_scores: NDArray[np.float64],
) -> Path | str:
    """Write a bundle with another's weights and graph, byte for byte; it may take its place.

    It needs no training package. See `write_bundle` for what becomes of a bundle of that name.

    Parameters
    ----------
    path : path-like or URL
        The new bundle's folder; ``bundle.location`` to replace it.
    bundle : Bundle
        Where weights and graph come from.
    manifest : Manifest
    calibration_scores : ndarray of shape (n,), float64

    Raises
    ------
    BundleAltered
        A file of the old bundle is no longer the one that was verified.
    OutputError
        The folder cannot be written, or something that is no bundle lies there.
    """
    check_writable(path)
    sums = read_checksums(bundle.path)
    with storage.written(path, last=_LAST) as final, _writing(final) as beside:
        for name in set(FILES) - {MANIFEST, CALIBRATION}:
            with (
                opened(bundle.path / name, LIMITS[name]) as old,
                (beside / name).open("xb") as new,
            ):
                shutil.copyfileobj(old, new)
            if sha256_of(beside / name, LIMITS[name]) != sums.get(name):
                raise BundleAltered(
                    f"{bundle.path / name} was altered while it was in use; copy the bundle again"
                )
        _complete(beside, manifest, calibration_scores)
    return _given(path)


def check_writable(location: Location) -> None:
    """Refuse, before any work is done, a place where no bundle can be written.

    Raises
    ------
    OutputError
        The parent folder is missing or read-only, or something that is no bundle lies there.
    StorageError
        The object store does not let anything be written there.
    """
    local = as_local(location)
    if local is not None:
        _check_local(Path(local))
        return
    url = os.fspath(location)
    storage.check_writable(url)
    if storage.exists(url) and not has_part_of_bundle(url):
        raise OutputError(f"{url} exists and is not a Residua bundle; choose another name")


def bundle_exists(location: Location) -> bool:
    """Tell whether something lies where a bundle is to be written.

    Raises
    ------
    StorageError
        The object store does not tell.
    """
    local = as_local(location)
    return storage.exists(os.fspath(location)) if local is None else Path(local).exists()


def _complete(folder: Path, manifest: Manifest, calibration_scores: NDArray[np.float64]) -> None:
    """Add to weights and graph what makes a bundle of them."""
    np.savez(folder / CALIBRATION, scores=calibration_scores)
    text = json.dumps(manifest.model_dump(mode="json"), indent=2, allow_nan=False)
    (folder / MANIFEST).write_text(text + "\n", encoding="utf-8")
    sums = [f"{sha256_of(folder / name, LIMITS[name])}  {name}\n" for name in FILES]
    (folder / CHECKSUMS).write_text("".join(sums), encoding="ascii")


def _given(location: Location) -> Path | str:
    local = as_local(location)
    return os.fspath(location) if local is None else Path(local)


def _check_local(path: Path) -> None:
    parent = path.absolute().parent
    if path.is_symlink() or (path.exists() and not (path / MANIFEST).is_file()):
        raise OutputError(f"{path} exists and is not a Residua bundle; choose another name")
    if not parent.is_dir():
        raise OutputError(f"the folder {parent} does not exist; make it first: mkdir -p {parent}")
    check_folder(parent)


@contextlib.contextmanager
def _writing(final: Path) -> Iterator[Path]:
    """Yield a sibling folder that becomes ``final`` when the block ends without an error."""
    try:
        with whole_folder(final) as beside:
            yield beside
    except OSError as error:
        raise OutputError(
            f"the bundle {final} cannot be written: {error.strerror or error}"
        ) from error
