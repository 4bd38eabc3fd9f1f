"""Whether the graph of a saved model may be computed: what it holds, and what that takes."""

from __future__ import annotations

from pathlib import Path

from residua.errors import BundleRefused
from residua.vetting.onnx_file import read_onnx
from residua.vetting.sizes import Size, size_of

INPUT = "images"
"""What a graph takes: uint8 pictures (B, H, W, C)."""
SCORES, ERROR_MAPS, X_HAT, LATENT = "scores", "error_maps", "x_hat", "latent"


def vet_graph(data: bytes, shape: tuple[int, int, int], batch: int, path: Path) -> Size:
    """Refuse a graph that is not what a saved model computes; return what a batch takes.

    Parameters
    ----------
    data, shape, batch
        As of `graph_size`.
    path : Path
        What the error calls it.

    Raises
    ------
    BundleRefused
        Names what no saved model has.
    """
    try:
        return graph_size(data, shape, batch)
    except BundleRefused as error:
        raise BundleRefused(
            f"{path} is not computed: {error}; do not use this bundle, or fit anew"
        ) from error


def graph_size(data: bytes, shape: tuple[int, int, int], batch: int) -> Size:
    """Return what computing a batch takes by a graph that may be one of a saved model.

    Parameters
    ----------
    data : bytes
        The ONNX file.
    shape : (int, int, int)
        Rows, columns and channels of the pictures.
    batch : int
        Pictures at a time. One alone is looked at too.

    Raises
    ------
    BundleRefused
        It holds what no saved model has; the text says what, not in what file.
    """
    height, width, _ = shape
    graph = read_onnx(data)
    found = [
        size_of(
            graph,
            {INPUT: (count, *shape)},
            {
                SCORES: (count,),
                ERROR_MAPS: (count, height, width),
                X_HAT: (count, *shape),
                LATENT: (count, -1),
            },
        )
        for count in sorted({1, batch})
    ]
    return Size(max(one.numbers for one in found), max(one.work for one in found))
