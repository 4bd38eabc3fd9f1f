"""Calibration scores and weights that are code, too many, or no numbers."""

from __future__ import annotations

import io
import json
import os
import struct
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from reliability.hostile_bundles.case import SECRET, Case, put
from residua.bundle import CALIBRATION, WEIGHTS


def _npz(folder: Path, arrays: dict[str, bytes], *, method: int = zipfile.ZIP_STORED) -> None:
    with zipfile.ZipFile(folder / CALIBRATION, "w", method) as archive:
        for name, content in arrays.items():
            archive.writestr(name, content)


def _npy(array: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=True)
    return buffer.getvalue()


def _npy_header(shape: str, content: bytes = b"") -> bytes:
    header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}".encode()
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + content


class _Opens:
    """What a pickle of this class would do when it is read."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch pickle-was-run",)


def _pickle(folder: Path) -> None:
    _npz(folder, {"scores.npy": _npy(np.array([_Opens()], dtype=object))})


def _zip_bomb(folder: Path) -> None:
    content = _npy_header(f"({1 << 24},)", bytes(1 << 27))
    _npz(folder, {"scores.npy": content}, method=zipfile.ZIP_DEFLATED)


def _packed_otherwise(method: int, folder: Path) -> None:
    """Too much in few bytes, by a way of packing that unpacks all of it at once."""
    _npz(folder, {"scores.npy": _npy_header(f"({1 << 24},)", bytes(1 << 27))}, method=method)


def _encrypted(folder: Path) -> None:
    _npz(folder, {"scores.npy": _npy(np.arange(9.0))})
    content = bytearray((folder / CALIBRATION).read_bytes())
    content[6] |= 1
    content[content.index(b"PK\1\2") + 8] |= 1
    (folder / CALIBRATION).write_bytes(content)


def _many_entries(folder: Path) -> None:
    _npz(folder, {f"{number}.npy": b"" for number in range(10_000)})


def _weights(header: dict[str, Any] | bytes, content: bytes, folder: Path) -> None:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    (folder / WEIGHTS).write_bytes(struct.pack("<Q", len(text)) + text + content)


def _one_weight(
    change: Callable[[np.ndarray[Any, Any]], np.ndarray[Any, Any]], folder: Path
) -> None:
    from safetensors.numpy import load_file, save_file

    weights = load_file(folder / WEIGHTS)
    weights["to_code.weight"] = change(weights["to_code.weight"])
    save_file(weights, folder / WEIGHTS)


CASES: tuple[Case, ...] = (
    Case("calibration scores that are a pickle", _pickle, "score"),
    Case("calibration scores of 134 MB in 130 kB", _zip_bomb, "score"),
    *(
        Case(f"calibration scores packed by {name}", partial(_packed_otherwise, method), "score")
        for name, method in (("bzip2", zipfile.ZIP_BZIP2), ("LZMA", zipfile.ZIP_LZMA))
    ),
    Case("calibration scores under a password", _encrypted, "score"),
    Case("calibration scores in 10,000 parts", _many_entries, "score"),
    Case(
        "calibration scores of 8 TB that are not there",
        lambda folder: _npz(folder, {"scores.npy": _npy_header(f"({10**12},)")}),
        "score",
    ),
    Case(
        "calibration scores under a path",
        lambda folder: _npz(folder, {f"../{SECRET}": _npy(np.arange(9.0))}),
        "score",
    ),
    Case(
        "calibration scores with NaN",
        lambda folder: _npz(folder, {"scores.npy": _npy(np.array([np.nan, 1]))}),
        "score",
    ),
    Case("weights with a header of 8 EB", partial(put, WEIGHTS, b"\xff" * 7 + b"\x7f" + b"{}")),
    Case("weights with a header that is nested deeply", partial(_weights, b"[" * 1_000_000, b"")),
    Case(
        "weights of 4 EB that are not there",
        partial(
            _weights,
            {"a": {"dtype": "F32", "shape": [1 << 60], "data_offsets": [0, 1 << 62]}},
            b"",
        ),
    ),
    Case(
        "weights that overlap",
        partial(
            _weights,
            {n: {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]} for n in "ab"},
            bytes(4),
        ),
    ),
    Case("weights of another shape", partial(_one_weight, lambda w: w[:, :3].copy()), "load"),
    Case("weights that are NaN", partial(_one_weight, lambda w: w * np.float32("nan")), "load"),
)
