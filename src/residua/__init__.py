"""Residua finds the images that don't belong.

It learns to rebuild trusted pictures with a convolutional autoencoder; a picture that it cannot
rebuild is suspect, and Residua says how suspect and where.

The names below are imported when they are first used, so that ``import residua`` is quick and a
saved model is scored without torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from residua.detector import AutoencoderDetector, load
    from residua.errors import ResiduaError, ResiduaWarning
    from residua.evaluation.evaluate import evaluate_model
    from residua.images.datasets import load_dataset
    from residua.images.preprocess import InputSpec
    from residua.images.source import ImageSource
    from residua.runtime import BundleScorer
    from residua.scoring.verdicts import Verdict

__version__ = "0.1.0"

__all__ = [
    "AutoencoderDetector",
    "BundleScorer",
    "ImageSource",
    "InputSpec",
    "ResiduaError",
    "ResiduaWarning",
    "Verdict",
    "evaluate_model",
    "load",
    "load_dataset",
]

_HOMES = {
    "AutoencoderDetector": "residua.detector",
    "BundleScorer": "residua.runtime",
    "ImageSource": "residua.images.source",
    "InputSpec": "residua.images.preprocess",
    "ResiduaError": "residua.errors",
    "ResiduaWarning": "residua.errors",
    "Verdict": "residua.scoring.verdicts",
    "evaluate_model": "residua.evaluation.evaluate",
    "load": "residua.detector",
    "load_dataset": "residua.images.datasets",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'residua' has no attribute {name!r}")
    try:
        return getattr(import_module(_HOMES[name]), name)
    except ModuleNotFoundError as error:
        from residua.errors import MissingExtra

        missing = MissingExtra.behind(error)
        if missing is None:
            raise
        raise missing from error


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
