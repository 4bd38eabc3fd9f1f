"""Fingerprints of pictures, and which of them are nearly equal.

Candidates share a part of a 64-bit hash of the picture's coarse structure; they count as
near-duplicates when their small grey pictures also agree far better than two pictures of the same
data do by chance. Aligned pictures of alike parts thus stay apart.
"""

from __future__ import annotations

import hashlib
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from residua.images.preprocess import InputSpec
from residua.images.source import ImageSource

MOST_PRINTED = 20_000
"""Pictures of one source that are compared, at most."""
SIDE = 32
_COARSE = 8
_BANDS = (11, 11, 11, 11, 10, 10)
# Neighbours of one band's bucket with which a picture is compared.
_WINDOW = 96
_MOST_BITS = 8
_PAIRS_AT_A_TIME = 4_096
_PIXELS_AT_A_TIME = 1_000_000
_SAMPLED_PAIRS = 2_000
# Difference of near-duplicates, as a share of the picture's own contrast, and of the median
# difference of two pictures.
_OF_CONTRAST = 0.1
_OF_RANDOM = 0.08
_FLAT = 1 / 255


class Prints(NamedTuple):
    """Fingerprints of M pictures."""

    positions: NDArray[np.int64]
    """Index of each picture in its source (M,)."""
    hashes: NDArray[np.uint64]
    """Signs of the low spatial frequencies (M,)."""
    digests: NDArray[np.bytes_]
    """Hash of all pixels at the model's input size (M,)."""
    small: NDArray[np.float32]
    """Grey pictures of 32 × 32, levels from 0 to 1 (M, 1024)."""
    spread: NDArray[np.float32]
    """Standard deviation of the grey levels of the small picture (M,)."""

    def __len__(self) -> int:
        return len(self.positions)


class Pair(NamedTuple):
    """Pairs of near-duplicates (P,)."""

    first: NDArray[np.int64]
    """Rows of the prints."""
    second: NDArray[np.int64]
    exact: NDArray[np.bool_]
    """Whether all pixels agree at the model's input size."""


def prints_of(source: ImageSource, positions: NDArray[np.int64], spec: InputSpec) -> Prints:
    """Read pictures of a source, by position, and take their fingerprints."""
    kept, digests, small = [], [], []
    down, right = _shrinking(spec.height), _shrinking(spec.width)
    at_a_time = max(1, min(256, _PIXELS_AT_A_TIME // (spec.height * spec.width)))
    for batch in source.batches(spec, at_a_time, positions):
        kept.append(batch.indices)
        digests += [hashlib.blake2b(image, digest_size=16).digest() for image in batch.images]
        level = batch.images.mean(axis=-1, dtype=np.float32) / np.float32(255)
        small.append((down @ level @ right.T).reshape(len(level), -1))
    pictures = np.concatenate(small) if small else np.empty((0, SIDE * SIDE), np.float32)
    return Prints(
        np.concatenate(kept) if kept else np.empty(0, np.int64),
        _hashes(pictures),
        np.array(digests, dtype="S16"),
        pictures,
        pictures.std(axis=1),
    )


def joined(a: Prints, b: Prints) -> Prints:
    """Return the prints of both, those of ``a`` first."""
    columns: Any = zip(a, b, strict=True)
    return Prints(*(np.concatenate(pair) for pair in columns))


def near_duplicates(prints: Prints, seed: int) -> Pair:
    """Find pairs of nearly equal pictures, in less than quadratic time."""
    n = len(prints)
    if n < 2:
        nothing = np.empty(0, np.int64)
        return Pair(nothing, nothing, np.empty(0, bool))
    codes = np.unique(np.concatenate([_candidates(prints.hashes), _equal(prints.digests)]))
    first, second = codes // n, codes % n
    exact = prints.digests[first] == prints.digests[second]
    limit = _OF_RANDOM * _median_difference(prints.small, seed)
    keep = exact.copy()
    for start in range(0, len(first), _PAIRS_AT_A_TIME):
        part = slice(start, start + _PAIRS_AT_A_TIME)
        i, j = first[part], second[part]
        difference = np.sqrt(np.square(prints.small[i] - prints.small[j]).mean(axis=1))
        contrast = np.minimum(prints.spread[i], prints.spread[j])
        near = difference <= np.minimum(limit, _OF_CONTRAST * contrast)
        keep[part] |= near & (contrast > _FLAT)
    return Pair(first[keep], second[keep], exact[keep])


def groups(n: int, pairs: Pair) -> list[NDArray[np.int64]]:
    """Join pairs into groups of rows, the largest first."""
    parent = list(range(n))

    def root(row: int) -> int:
        while parent[row] != row:
            parent[row] = parent[parent[row]]
            row = parent[row]
        return row

    for first, second in zip(pairs.first.tolist(), pairs.second.tolist(), strict=True):
        parent[root(second)] = root(first)
    members: dict[int, list[int]] = {}
    for row in np.unique(np.concatenate([pairs.first, pairs.second])).tolist():
        members.setdefault(root(row), []).append(row)
    found = [np.array(rows, np.int64) for rows in members.values()]
    return sorted(found, key=lambda rows: (-len(rows), int(rows[0])))


def _candidates(hashes: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Return pairs ``i * n + j``, i < j, that share a band and differ in few bits."""
    n = len(hashes)
    found = []
    shift = 0
    for width in _BANDS:
        # The band first, then the rest: neighbours in this order are near in the rest too.
        turned = (hashes >> np.uint64(shift)) | (hashes << np.uint64((64 - shift) % 64))
        turned = hashes if shift == 0 else turned
        band = turned & np.uint64((1 << width) - 1)
        order = np.lexsort((turned, band))
        sorted_band, sorted_hash = band[order], hashes[order]
        for step in range(1, min(_WINDOW, n - 1) + 1):
            same = sorted_band[step:] == sorted_band[:-step]
            if not same.any():
                break
            at = np.flatnonzero(same)
            bits = np.bitwise_count(sorted_hash[at] ^ sorted_hash[at + step])
            at = at[bits <= _MOST_BITS]
            i, j = order[at], order[at + step]
            found.append(np.minimum(i, j) * n + np.maximum(i, j))
        shift += width
    return np.concatenate(found) if found else np.empty(0, np.int64)


def _equal(digests: NDArray[np.bytes_]) -> NDArray[np.int64]:
    """Return pairs ``i * n + j``, i < j, that chain all pictures of equal content."""
    n = len(digests)
    order = np.argsort(digests, kind="stable")
    same = np.flatnonzero(digests[order][1:] == digests[order][:-1])
    pairs: NDArray[np.int64] = order[same] * n + order[same + 1]
    return pairs


def _median_difference(small: NDArray[np.float32], seed: int) -> float:
    rng = np.random.default_rng(seed)
    first = rng.integers(0, len(small), _SAMPLED_PAIRS)
    second = (first + rng.integers(1, len(small), _SAMPLED_PAIRS)) % len(small)
    return float(np.median(np.sqrt(np.square(small[first] - small[second]).mean(axis=1))))


def _hashes(small: NDArray[np.float32]) -> NDArray[np.uint64]:
    """Return 64 bits a picture: whether each low frequency lies above the picture's median."""
    if not len(small):
        return np.empty(0, np.uint64)
    grid = np.pi * (np.arange(SIDE) + 0.5) / SIDE
    waves = np.cos(np.outer(np.arange(_COARSE), grid)).astype(np.float32)
    low = (waves @ small.reshape(-1, SIDE, SIDE) @ waves.T).reshape(len(small), -1)
    bits = (low > np.median(low, axis=1, keepdims=True)).astype(np.uint64)
    hashes: NDArray[np.uint64] = (bits << np.arange(64, dtype=np.uint64)).sum(
        axis=1, dtype=np.uint64
    )
    return hashes


def _shrinking(side: int) -> NDArray[np.float32]:
    """Return the (32, side) matrix that averages a row over 32 equal parts of it."""
    edges = np.linspace(0, side, SIDE + 1)
    left = np.arange(side)
    overlap = np.minimum(edges[1:, None], left + 1) - np.maximum(edges[:-1, None], left)
    weights = np.clip(overlap, 0, None)
    matrix: NDArray[np.float32] = (weights / weights.sum(1, keepdims=True)).astype(np.float32)
    return matrix
