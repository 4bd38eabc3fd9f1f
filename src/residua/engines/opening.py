"""An engine that was asked for, opened and compared; or ONNX Runtime in its place."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray

from residua.bundle import Bundle
from residua.engines.base import Comparison, Engine, Load, Precision, compare
from residua.engines.registry import DEFAULT, ENGINES, EngineKind
from residua.errors import BundleAltered, EngineReplaced, MissingExtra
from residua.scoring.verdicts import ScoredBatch

_AT_A_TIME = 16


def open_default(bundle: Bundle, load: Load) -> Engine:
    """Open ONNX Runtime."""
    return ENGINES[DEFAULT].open(bundle, load, "float32")


def open_engine(
    name: str,
    precision: Precision,
    bundle: Bundle,
    load: Load,
    default: Engine,
    probe: NDArray[np.uint8],
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
    default : Engine
        ONNX Runtime, opened for the same load.
    probe : ndarray of shape (B, H, W, C), uint8
        Pictures on which its scores are compared with those of ONNX Runtime.

    Raises
    ------
    BundleAltered
        The bundle's files are no longer those that were verified.
    """
    kind = ENGINES[name]
    try:
        engine = require_installed(kind).open(bundle, load, precision)
        fault = compared(engine, default, probe, spread_of(bundle)).fault
    except BundleAltered:
        raise
    except Exception as error:  # of a package that is not ours, on a machine that we do not know
        _warn(kind, f"cannot be used ({in_one_line(error)})")
        return default
    if fault:
        _warn(kind, f"in {precision} does not agree with ONNX Runtime: {fault}")
        return default
    return Replaceable(engine, default)


def require_installed(kind: EngineKind) -> EngineKind:
    """Return the engine's kind where its package is there.

    Raises
    ------
    MissingExtra
        It is not installed.
    """
    if not kind.installed:
        raise MissingExtra.of(kind.name, kind.extra or "all")
    return kind


def compared(
    engine: Engine, default: Engine, probe: NDArray[np.uint8], spread: float
) -> Comparison:
    """Compare an engine's results of pictures (B, H, W, C) with those of the default one.

    Few pictures at a time are scored, since that is how they are going to be.
    """
    found = [
        compare(engine(images), default(images), engine.precision, spread)
        for images in (probe[at : at + _AT_A_TIME] for at in range(0, len(probe), _AT_A_TIME))
    ]
    fault = next((one.fault for one in found if one.fault), "")
    return Comparison(max(one.deviation for one in found), fault)


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
    def on_card(self) -> bool:  # type: ignore[override]
        """Whether a card computes now."""
        return self._engine.on_card

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
            scored = self._other(images)  # raises where it is the pictures' fault
            if self._engine is engine:  # no other thread has said it
                self._engine = self._other
                _warn(ENGINES[engine.name], f"failed on a batch ({in_one_line(error)})")
            return scored


def _warn(kind: EngineKind, what: str) -> None:
    warnings.warn(
        f"{kind.title} {what}; {ENGINES[DEFAULT].title} computes in its place",
        EngineReplaced,
        stacklevel=2,
    )


def in_one_line(error: Exception) -> str:
    """Return what an error says, cut to what fits a warning."""
    return " ".join(str(error).split())[:300] or type(error).__name__
