"""What the scores are called and what they measure, in words and without torch."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

SURPRISE = "surprise"
"""The default score, which joins some of the parts."""

SCORES: Mapping[str, str] = MappingProxyType(
    {
        SURPRISE: "relative errors and the distance of the code, each in standard deviations of "
        "normal pictures, joined",
        "error": "the error map reduced to a number, as it is",
        "relative": "the error against how much there is in the picture",
        "worst": "the error of the worst twentieth of the picture against how much there is in it",
        "normalised": "the error of each pixel against what is usual there",
        "normalised_relative": "the error of each pixel against what is usual there and how much "
        "there is in the picture",
        "mahalanobis": "distance of the code from the centre of normal codes",
        "knn": "distance of the code from the nearest normal codes",
    }
)
"""What each score measures."""

# Where features are rebuilt, no pixel is compared.
_OF_FEATURES: Mapping[str, str] = MappingProxyType(
    {
        SURPRISE: "errors of the feature maps and of the descriptor, and the angle between its "
        "code and normal codes, each in standard deviations of normal pictures, joined",
        "error": "the relative error of the feature maps, reduced to a number",
        "relative": "the relative error of the feature maps, reduced to a number",
        "worst": "the relative error of the feature maps, reduced to a number",
        "normalised": "the error of each position against what is usual there",
        "normalised_relative": "the error of each position against what is usual there",
        "knn": "angle between the code and the nearest normal codes",
    }
)

_UNITS: Mapping[str, str] = MappingProxyType(
    {
        SURPRISE: "standard deviations of surprise",
        "error": "reconstruction error",
        "relative": "relative error",
        "worst": "relative error of the worst twentieth",
        "normalised": "normalised error",
        "normalised_relative": "normalised relative error",
        "mahalanobis": "distance of the code",
        "knn": "distance of the code",
    }
)
_CODE_ALONE = ("mahalanobis", "knn")
# They look at the error map and not at its reduction.
_OF_THE_MAP = ("worst", "normalised", "normalised_relative")
MAX_CODE = 4_096
"""Wider codes are no bottleneck, and distances in them say nothing."""
_ERRORS_ALONE = (
    "relative errors, each in standard deviations of normal pictures, joined (the code is too wide "
    "for distances)"
)


def base_name(score: str) -> str:
    """Return a score's name without its arguments: ``"knn"`` of ``"knn(10)"``."""
    return score.partition("(")[0].strip()


def is_of_code(score: str) -> bool:
    """Say whether a score looks at the code alone, and at no error."""
    return base_name(score) in _CODE_ALONE


def in_words(
    score: str, error_map: str, reduction: str, *, code_size: int = 1, features: bool = False
) -> str:
    """Say which score a model has and what it measures.

    Parameters
    ----------
    score : str
        A name from `SCORES`, with its arguments.
    error_map, reduction : str
        As of `residua.scoring.errors.ImageScore`.
    code_size : int, default=1
        Numbers in the network's code.
    features : bool, default=False
        Whether features of a backbone are rebuilt instead of pixels.
    """
    name = base_name(score)
    what = (_OF_FEATURES.get(name) if features else None) or SCORES.get(name, "")
    if name == SURPRISE and code_size > MAX_CODE:
        what = _ERRORS_ALONE
    said = f"{score}: {what}" if what else score
    if is_of_code(score):
        return said
    if features:
        return said if name.startswith("normalised") else f"{said}; reduced by {reduction}"
    return f"{said}; {error_map}" + ("" if name in _OF_THE_MAP else f", {reduction}")


def unit_of(score: str) -> str:
    """Return what a score counts, for the label of an axis: ``"relative error"``."""
    return _UNITS.get(base_name(score), score)
