"""The trap: whether pictures without content pass for the most normal ones of a served model."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from residua.images.simple import Family, outcome_of, simple_families
from residua.service.served import ServedModel

# With fewer calibration scores a rank among them says little.
_FEWEST = 20


def families_that_fool(
    model: ServedModel, *, ended: Callable[[], bool] = lambda: False
) -> tuple[str, ...] | None:
    """Score simple pictures, and name the families that score below nearly all normal ones.

    One processor computes, so that requests go on beside it.

    Parameters
    ----------
    model : ServedModel
    ended : callable
        Asked before each batch whether the answer is of no use any more.

    Returns
    -------
    names : tuple of str, or None
        Empty: none does, or there are too few calibration scores to tell. None: it was ended.
    """
    if model.calibration_scores.size < _FEWEST:
        return ()
    fooling = []
    blank = np.zeros((1, *model.manifest.input.shape), np.uint8)
    for family in simple_families(blank, seed=0):
        if family.made_from is not None:  # those come last
            break
        fools = _fools(family, model, ended)
        if fools is None:
            return None
        if fools:
            fooling.append(family.name)
    return tuple(fooling)


def _fools(family: Family, model: ServedModel, ended: Callable[[], bool]) -> bool | None:
    scores = []
    for at in range(0, len(family.images), model.batch_size):
        if ended():
            return None
        images = family.images[at : at + model.batch_size]
        scores.append(model.compute(images, at_once=model.threads).scores)
    return outcome_of(family, np.concatenate(scores), model.calibration_scores).fools
