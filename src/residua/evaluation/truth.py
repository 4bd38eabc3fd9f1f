"""Which pictures are anomalous, by the classes that are named."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua.errors import BadLabels, nearest_names

GOOD = "good"


def truth_of(
    labels: Sequence[str | None] | None,
    *,
    normal: Sequence[str] | None = None,
    anomalous: Sequence[str] | None = None,
) -> NDArray[np.bool_]:
    """Say which pictures are anomalous.

    Parameters
    ----------
    labels : sequence of str, or None
        Class of each picture. None: the pictures have none.
    normal, anomalous : sequence of str, or None
        Classes of one kind; every class that is not named is of the other kind. Exactly one of
        the two is given, or both, if together they name every class.

    Returns
    -------
    ndarray of bool, shape (N,)

    Raises
    ------
    BadLabels
        There are no labels, no class is named, a class is of no picture or is named as both, or
        both are given and leave a class out.
    """
    if labels is None:
        raise BadLabels(
            "the pictures have no classes, so none can be called normal or anomalous; put each "
            "class into a sub-folder of its own"
        )
    if not normal and not anomalous:
        raise BadLabels(
            "no class is named; say which are normal or which are anomalous, of "
            + ", ".join(sorted({str(label) for label in labels}))
        )
    known = {label for label in labels if label is not None}
    for name in (*(normal or ()), *(anomalous or ())):
        if name not in known:
            raise BadLabels(f"no picture is of the class {name!r}; {nearest_names(name, known)}")
    if normal and anomalous:
        both = sorted(set(normal) & set(anomalous))
        if both:
            raise BadLabels(f"{both[0]!r} is named as normal and as anomalous; name it once")
        neither = sorted(known - set(normal) - set(anomalous))
        if neither:
            raise BadLabels(
                f"{neither[0]!r} is named neither normal nor anomalous; name every class, or only "
                "those of one kind"
            )
    if anomalous:
        return np.isin(np.asarray(labels, dtype=object), list(anomalous))
    return ~np.isin(np.asarray(labels, dtype=object), list(normal or ()))


def default_truth(data: Any, labels: Sequence[str | None] | None) -> NDArray[np.bool_] | None:
    """Return the truth (N,) that goes without saying; None: nothing says it.

    A registered data set knows its anomalous classes; in a folder the class ``good`` is normal,
    as in the layout of MVTec AD, if there are others beside it.

    Parameters
    ----------
    data : any
        What was named as pictures.
    labels : sequence of str, or None
        Class of each picture.
    """
    from residua.images.datasets import DATASETS

    if labels is None:
        return None
    known = set(labels)
    if isinstance(data, str) and data in DATASETS and not os.path.lexists(data):
        classes = [name for name in DATASETS[data].anomalous if name in known]
        return truth_of(labels, anomalous=classes) if classes else None
    if GOOD in known and len(known) > 1:
        return truth_of(labels, normal=[GOOD])
    return None


def known_truth(
    data: Any,
    labels: Sequence[str | None] | None,
    *,
    normal: Sequence[str] | None = None,
    anomalous: Sequence[str] | None = None,
) -> NDArray[np.bool_] | None:
    """Return the truth (N,) by the classes named, else by what goes without saying, if anything.

    Of all pictures of a source, before any is scored: a class that does not exist is refused at
    once, and the only picture of a class may turn out to be unreadable.

    Parameters
    ----------
    data : any
        What was named as pictures.
    labels : sequence of str, or None
        Class of each picture.
    normal, anomalous : sequence of str, or None
        See `truth_of`.

    Raises
    ------
    BadLabels
        A class that is named does not exist, or there are none.
    """
    if normal or anomalous:
        return truth_of(labels, normal=normal, anomalous=anomalous)
    return default_truth(data, labels)
