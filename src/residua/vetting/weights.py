"""What a safetensors file of a stranger says that it holds, found without reading the numbers.

https://github.com/huggingface/safetensors#format
"""

from __future__ import annotations

import math
from typing import Any

from residua.vetting.json_file import read_json

LONGEST_HEADER = 4_000_000
"""Bytes; a thousand tensors take some 100,000."""
_MOST_SIDES = 16
_WIDTHS = {"BOOL": 1, "U8": 1, "I8": 1, "I16": 2, "I32": 4, "I64": 8, "F16": 2, "BF16": 2}
_WIDTHS |= {"U16": 2, "U32": 4, "U64": 8, "F32": 4, "F64": 8, "C64": 8}

Shapes = dict[str, tuple[int, ...]]
"""Tensors by name."""


def shapes_within(head: bytes, size: int) -> Shapes:
    """Return which tensors a file holds.

    Parameters
    ----------
    head : bytes
        The file's first 8 + `LONGEST_HEADER` bytes, or all of it.
    size : int
        The file's length in bytes.

    Raises
    ------
    ValueError, RecursionError
        It says what it does not hold, or more than once.
    """
    length = int.from_bytes(head[:8], "little")
    if len(head) < 8 or length > min(LONGEST_HEADER, len(head) - 8):
        raise ValueError(f"its header is cut short, or longer than {LONGEST_HEADER:,} bytes")
    header = read_json(head[8 : 8 + length])
    if not isinstance(header, dict):
        raise ValueError("its header is of another kind")
    header.pop("__metadata__", None)
    found = {name: _tensor(name, entry) for name, entry in header.items()}
    at = 0
    for start, end, _ in sorted(found.values()):
        if start != at:
            raise ValueError("its tensors overlap, or have gaps between them")
        at = end
    if at != size - 8 - length:
        raise ValueError(f"its tensors take {at:,} bytes, and it has {size - 8 - length:,}")
    return {name: shape for name, (_, _, shape) in found.items()}


def _tensor(name: str, entry: Any) -> tuple[int, int, tuple[int, ...]]:
    wrong = ValueError(f"its tensor {name[:100]!r} is not described as one")
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise wrong
    shape, ends = entry["shape"], entry["data_offsets"]
    if not (_is_whole(shape) and _is_whole(ends) and len(ends) == 2 and len(shape) <= _MOST_SIDES):
        raise wrong
    width = _WIDTHS.get(entry["dtype"]) if isinstance(entry["dtype"], str) else None
    if width is None or ends[1] - ends[0] != width * math.prod(shape):
        raise ValueError(f"its tensor {name[:100]!r} has other bytes than its shape and type take")
    return ends[0], ends[1], tuple(shape)


def _is_whole(values: Any) -> bool:
    return isinstance(values, list) and all(type(one) is int and 0 <= one < 2**63 for one in values)
