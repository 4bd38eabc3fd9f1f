"""One way to fit and score, whatever the detector: scikit-learn's, PyOD's or Residua's own."""

from __future__ import annotations

import copy
import importlib
import pkgutil
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua.errors import ConfigurationError, MissingExtra, UnknownName

PYOD_PREFIX = "pyod:"
_BLOCK = 2_048


def is_pyod(detector: object) -> bool:
    """Say whether a detector is PyOD's, whose scores are higher for the more abnormal.

    Told by its classes' names, so that PyOD need not be installed.
    """
    return _descends(detector, "pyod.models.base", "BaseDetector")


def takes_pictures(detector: object) -> bool:
    """Say whether a detector takes pictures (N, H, W, C), uint8; others take flattened rows."""
    own = _descends(detector, "residua.detector", "AutoencoderDetector")
    return own or bool(getattr(detector, "takes_pictures", False))


def check_detector(detector: object, name: str) -> None:
    """Refuse an object that is no outlier detector.

    Raises
    ------
    ConfigurationError
        It has no ``fit``, or neither ``score_samples`` nor ``decision_function``; or it is the
        local outlier factor without ``novelty``.
    """
    if getattr(detector, "novelty", None) is False:
        raise ConfigurationError(
            f"method {name!r} only scores the pictures that it was fitted on; set novelty=True"
        )
    scoring = ("score_samples", "decision_function")
    if not hasattr(detector, "fit") or not any(hasattr(detector, n) for n in scoring):
        raise ConfigurationError(
            f"method {name!r} is a {type(detector).__name__}; wanted an outlier detector with fit "
            "and score_samples or decision_function, or a method's name"
        )


def seeded(detector: Any, seed: int) -> Any:
    """Return a copy that is not fitted, with the seed wherever none was set.

    Parameters
    ----------
    detector : object
        Stays as it is. Without scikit-learn's parameters it is copied and no more.
    seed : int
        Goes into each ``random_state`` that is None, those of a pipeline's steps included.
    """
    if not hasattr(detector, "get_params"):
        return copy.deepcopy(detector)
    from sklearn.base import clone

    fresh = clone(detector, safe=False)
    states = {
        name: seed
        for name, value in fresh.get_params(deep=True).items()
        if value is None and name.rpartition("__")[2] == "random_state"
    }
    return fresh.set_params(**states) if states else fresh


def as_input(detector: object, pictures: NDArray[np.uint8]) -> NDArray[Any]:
    """Return pictures (N, H, W, C) as the detector takes them; rows are float32 in [0, 1]."""
    if takes_pictures(detector):
        return pictures
    return pictures.reshape(len(pictures), -1).astype(np.float32) / np.float32(255)


def anomaly_scores(detector: Any, pictures: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Score pictures (N, H, W, C) with a fitted detector; higher is more anomalous.

    In blocks, but PyOD's all at once: some of its detectors judge a picture by the others too.

    Returns
    -------
    ndarray of float64, shape (N,)
    """
    size = len(pictures) if is_pyod(detector) else _BLOCK
    blocks = [
        _signed(detector, as_input(detector, pictures[start : start + size]))
        for start in range(0, len(pictures), size)
    ]
    return np.concatenate(blocks)


def pyod_detector(name: str) -> Any:
    """Build a detector of PyOD with its default parameters.

    Parameters
    ----------
    name : str
        "pyod:ECOD" or "ECOD": the class's name, in any case.

    Raises
    ------
    MissingExtra
        PyOD is not installed, or what this detector needs is not.
    UnknownName
        PyOD has no such detector.
    """
    wanted = name.removeprefix(PYOD_PREFIX)
    models = _imported("pyod.models")
    modules = {
        _plain(found.name): found.name
        for found in pkgutil.iter_modules(models.__path__)
        if not found.name.startswith("_")
    }
    if _plain(wanted) not in modules:
        raise UnknownName.among("PyOD detector", wanted, [n.upper() for n in modules.values()])
    module = _imported(f"pyod.models.{modules[_plain(wanted)]}")
    for attribute, value in vars(module).items():
        if isinstance(value, type) and _plain(attribute) == _plain(wanted):
            return value()
    raise UnknownName(f"PyOD's module {module.__name__} holds no detector {wanted!r}")


def _signed(detector: Any, rows: NDArray[Any]) -> NDArray[np.float64]:
    if is_pyod(detector):
        return np.asarray(detector.decision_function(rows), np.float64).ravel()
    score = getattr(detector, "score_samples", None) or detector.decision_function
    return -np.asarray(score(rows), np.float64).ravel()


def _descends(detector: object, module: str, name: str) -> bool:
    return any(c.__module__ == module and c.__name__ == name for c in type(detector).__mro__)


def _plain(name: str) -> str:
    return name.replace("_", "").lower()


def _imported(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        missing = (error.name or module).partition(".")[0]
        raise MissingExtra(
            f"this needs {missing!r}, which is not installed; install it with: "
            f"pip install {missing}"
        ) from error
