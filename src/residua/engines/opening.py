"""An engine that was asked for, opened and compared; or ONNX Runtime in its place."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray

from residua.bundle import Bundle
from residua.engines.base import TOLERANCE, Engine, Load, Precision, deviation
from residua.engines.registry import DEFAULT, ENGINES, EngineKind
from residua.errors import BundleAltered, EngineReplaced
from residua.scoring.verdicts import ScoredBatch


def open_default(bundle: Bundle, load: Load) -> Engine:
    """Open ONNX Runtime."""
    return ENGINES[DEFAULT].open(bundle, load, "float32")


def open_engine(
    name: str, precision: Precision, bundle: Bundle, load: Load, probe: NDArray[np.uint8]
) -> Engine:
    """Open an engine; what cannot be had, fails, or computes other scores is replaced.

    ONNX Runtime takes its place, with a warning that names it. So does it later, should the engine
    fail on a batch.

    Parameters
    ----------
    name : str
        A name from `residua.engines.registry.ENGINES`.
    precision : {"float32", "bf16"}
    bundle : Bundle
    load : Load
    probe : ndarray of shape (B, H, W, C), uint8
        Pictures on which its scores are compared with those of ONNX Runtime.

    Raises
    ------
    BundleAltered
        The bundle's files are no longer those that were verified.
    BundleError
        Not even ONNX Runtime can use it.
    """
    default = open_default(bundle, load)
    if name == DEFAULT:
        return default
    kind = ENGINES[name]
    try:
        engine = require_installed(kind).open(bundle, load, precision)
        found = compared(engine, default, probe, spread_of(bundle))
    except BundleAltered:
        raise
    except Exception as error:  # of a package that is not ours, on a machine that we do not know
        _warn(kind, f"cannot be used ({_in_one_line(error)})")
        return default
    if found > TOLERANCE[precision]:
        _warn(
            kind,
            f"in {precision} gives scores that differ by {found:.1e} from those of ONNX Runtime, "
            f"and {TOLERANCE[precision]:.0e} is allowed",
        )
        return default
    return Replaceable(engine, default)


def require_installed(kind: EngineKind) -> EngineKind:
    """Return the engine's kind where its package is there.

    Raises
    ------
    ModuleNotFoundError
        It is not installed.
    """
    if not kind.installed:
        raise ModuleNotFoundError(
            f"it is not installed; install it with: pip install 'residua[{kind.extra}]'"
        )
    return kind


def compared(engine: Engine, default: Engine, probe: NDArray[np.uint8], spread: float) -> float:
    """Return how far an engine's scores of the probe are from the default one's."""
    return deviation(engine(probe).scores, default(probe).scores, spread)


def spread_of(bundle: Bundle) -> float:
    """Return the standard deviation of the bundle's calibration scores."""
    return float(np.std(bundle.calibration_scores()))


class Replaceable(Engine):
    """An engine, until it fails on a batch; from then on another one."""

    def __init__(self, engine: Engine, other: Engine) -> None:
        self._engine, self._other = engine, other

    @property
    def name(self) -> str:  # type: ignore[override]
        """Name of the engine that computes now."""
        return self._engine.name

    @property
    def precision(self) -> Precision:  # type: ignore[override]
        """Arithmetic of the engine that computes now."""
        return self._engine.precision

    def __call__(self, images: NDArray[np.uint8]) -> ScoredBatch:
        """Score pictures (B, H, W, C); see `Engine`."""
        engine = self._engine
        try:
            return engine(images)
        except Exception as error:
            if engine is self._other:
                raise
            if self._engine is engine:  # no other thread has said it
                self._engine = self._other
                _warn(ENGINES[engine.name], f"failed on a batch ({_in_one_line(error)})")
            return self._other(images)


def _warn(kind: EngineKind, what: str) -> None:
    warnings.warn(
        f"{kind.title} {what}; {ENGINES[DEFAULT].title} computes in its place",
        EngineReplaced,
        stacklevel=2,
    )


def _in_one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
