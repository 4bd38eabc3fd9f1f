"""The trap, sprung by us first: does the score measure surprise, or how much is in a picture?

Pictures without content are easy for any network. Where they score below nearly all normal
pictures, though no normal picture looks like them, what the score says of others is confounded.
Held-out normal pictures and generated ones are enough to see it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from residua.graph import ScoringGraph
from residua.images.simple import Outcome, outcome_of, simple_families, unlike

FEWEST = 20
"""With fewer normal pictures a rank among them says little."""
_MOST_NORMAL = 400
# Pixel values that are looked at, and scored at a time.
_VALUES = 6_000_000
_VALUES_AT_A_TIME = 2_000_000


def fooled_by(
    graph: ScoringGraph, pixels: NDArray[np.uint8], held_out: NDArray[np.int64], seed: int
) -> list[Outcome]:
    """Return the families of simple pictures that pass for the most normal ones.

    Parameters
    ----------
    graph : ScoringGraph
    pixels : ndarray of shape (N, H, W, C), uint8
    held_out : ndarray of int64
        Rows of normal pictures that the network was not trained on; at most 400 are taken.
    seed : int

    Returns
    -------
    list of Outcome
        Empty where none does, or where there are fewer than 20 normal pictures. Of families made
        by blurring and fading normal pictures none is in it: to lose detail is another matter.
    """
    most = int(np.clip(_VALUES // pixels[0].size, FEWEST, _MOST_NORMAL))
    rng = np.random.default_rng(seed)
    normal = pixels[np.sort(rng.permutation(held_out)[:most])]
    if len(normal) < FEWEST:
        return []
    among = np.sort(_scores(graph, normal))
    outcomes = []
    for family in simple_families(normal[:1], seed):
        if family.made_from is not None:  # those come last
            break
        kept = unlike(family, normal)
        if kept.any():
            scores = _scores(graph, family.images[kept])
            outcomes.append(outcome_of(family, scores, among))
    return [outcome for outcome in outcomes if outcome.fools]


def describe(score: str, fooled: list[Outcome], sound: str | None) -> str:
    """Say what fools the score ``score``, and which other score is not fooled, if any is."""
    names = " and ".join(dict.fromkeys(outcome.family for outcome in fooled))
    found = (
        f"the score {score!r} follows how much there is in a picture: {names} pictures score below "
        f"nearly all held-out normal ones, though no normal picture looks like them. What is "
        f"simpler than the pictures it learned from passes for normal; "
    )
    if sound is not None:
        return f"{found}the score {sound!r} is not fooled by them: fit with --score '{sound}'"
    return (
        f"{found}no other score of this network stands it either: fit with a smaller latent_dim "
        f"or another model"
    )


def first_sound(names: list[str], fooled: Callable[[str], list[Outcome]]) -> str | None:
    """Return the first score that nothing fools; None: there is none."""
    return next((name for name in names if not fooled(name)), None)


def _scores(graph: ScoringGraph, images: NDArray[np.uint8]) -> NDArray[np.float64]:
    step = max(1, min(64, _VALUES_AT_A_TIME // images[0].size))
    with torch.inference_mode():
        parts = [
            graph(torch.from_numpy(np.ascontiguousarray(images[start : start + step])))[0].numpy()
            for start in range(0, len(images), step)
        ]
    return np.concatenate(parts)
