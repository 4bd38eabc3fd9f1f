"""The arrays that figures are drawn from, checked once and named in errors."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from residua.errors import BadArray, BadLabels, EmptySource, InputError
from residua.images.resolve import resolve_source
from residua.scoring.verdicts import ScoredBatch


def checked_scores(scores: ArrayLike, what: str = "scores") -> NDArray[np.float64]:
    """Return scores (N,) as float64.

    Raises
    ------
    InputError
        There is none, or one is NaN or infinite.
    """
    values = np.asarray(scores, dtype=np.float64)
    if values.ndim != 1:
        raise BadArray(f"the {what} have the shape {values.shape}; wanted (N,), one a picture")
    if values.size == 0:
        raise InputError(f"there are no {what}; a figure needs at least one")
    if not np.isfinite(values).all():
        first = int(np.argmin(np.isfinite(values)))
        raise InputError(f"of the {what}, number {first} is {values[first]}; wanted finite numbers")
    return values


def checked_marks(marks: ArrayLike, count: int, what: str = "anomalous") -> NDArray[np.bool_]:
    """Return one truth value a picture (N,).

    Raises
    ------
    BadLabels
        Of another number, or not of truth values.
    """
    values = np.asarray(marks)
    if values.shape != (count,):
        raise BadLabels(
            f"{what!r} has the shape {values.shape} and there are {count} pictures; "
            "wanted one truth value a picture"
        )
    if values.dtype != np.bool_ and not np.isin(values, (0, 1)).all():
        raise BadLabels(f"{what!r} holds {values.dtype} values; wanted True and False, or 1 and 0")
    return values.astype(np.bool_)


def both_classes(anomalous: NDArray[np.bool_], figure: str) -> None:
    """Refuse labels of one class only.

    Raises
    ------
    InputError
        All pictures are normal, or all are anomalous.
    """
    if anomalous.all() or not anomalous.any():
        kind = "anomalous" if anomalous.all() else "normal"
        raise InputError(
            f"{figure} cannot be drawn: all {len(anomalous)} pictures are {kind}; it needs normal "
            "and anomalous ones"
        )


def checked_images(images: ArrayLike) -> NDArray[np.uint8]:
    """Return pictures (N, H, W, C), uint8; grey ones may come as (N, H, W).

    Raises
    ------
    BadArray
        Of another shape or type.
    EmptySource
        There is none.
    """
    array = np.asarray(images)
    if array.ndim == 3:
        array = array[..., np.newaxis]
    if array.ndim != 4 or array.dtype != np.uint8 or 0 in array.shape[1:]:
        raise BadArray(
            f"the pictures are {array.dtype} of shape {np.shape(images)}; wanted uint8 of shape "
            "(N, H, W, C) or (N, H, W)"
        )
    if len(array) == 0:
        raise EmptySource("there is no picture to draw; give at least one")
    return array


def checked_rebuilt(
    x_hat: ArrayLike, images: NDArray[np.uint8], what: str = "x_hat"
) -> NDArray[np.float32]:
    """Return reconstructions (N, H, W, C) in [0, 1].

    Raises
    ------
    BadArray
        Not of the pictures' shape, or not finite.
    """
    array = np.asarray(x_hat, dtype=np.float32)
    if array.ndim == 3:
        array = array[..., np.newaxis]
    if array.shape != images.shape:
        raise BadArray(f"{what} has the shape {array.shape} and the pictures {images.shape}")
    if not np.isfinite(array).all():
        raise BadArray(f"{what} has values that are NaN or infinite")
    return array


def checked_maps(maps: ArrayLike, images: NDArray[np.uint8], what: str) -> NDArray[Any]:
    """Return maps (N, H, W) of the pictures' size.

    Raises
    ------
    BadArray
        Of another shape, or not finite.
    """
    array = np.asarray(maps)
    if array.shape != images.shape[:3]:
        raise BadArray(
            f"the {what} have the shape {array.shape}; wanted {images.shape[:3]}, as the pictures"
        )
    if not np.isfinite(array).all():
        raise BadArray(f"the {what} have values that are NaN or infinite")
    return array


def checked_titles(titles: Any, count: int) -> list[str] | None:
    """Return one title a picture, or None.

    Raises
    ------
    BadLabels
        Of another number.
    """
    if titles is None:
        return None
    texts = [str(title) for title in titles]
    if len(texts) != count:
        raise BadLabels(f"there are {len(texts)} titles for {count} pictures; wanted one each")
    return texts


def spread(count: int, n: int) -> NDArray[np.int64]:
    """Return at most ``n`` positions, evenly spaced over ``count``."""
    if count <= n:
        return np.arange(count)
    return np.linspace(0, count - 1, n).round().astype(np.int64)


def scored_pictures(detector: Any, X: Any, n: int) -> tuple[NDArray[np.uint8], ScoredBatch]:
    """Return ``n`` pictures of X, evenly spaced, as the detector sees them, and what it finds.

    Raises
    ------
    InputError
        None is readable.
    """
    source = resolve_source(X, prefer="test")
    images: list[NDArray[np.uint8]] = []
    for batch in source.batches(detector.input_spec_, n, spread(len(source), n)):
        images.append(batch.images)
        if not len(batch.images) and batch.failures:
            raise batch.failures[0].error
    pictures = np.concatenate(images)
    return pictures, detector.score_batch(pictures)
