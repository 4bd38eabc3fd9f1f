"""The engines that there are, without importing any of them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from importlib.util import find_spec

from residua.bundle import Bundle
from residua.engines.base import Engine, Load, Precision
from residua.errors import ConfigurationError, UnknownName

DEFAULT = "onnxruntime"
"""What every installation has, and what the others are compared with."""
AUTO = "auto"


@dataclass(frozen=True)
class EngineKind:
    """One package that can compute a saved model."""

    name: str
    title: str
    extra: str | None
    """The extra that brings it; None: every installation has it."""
    precisions: tuple[Precision, ...]
    open: Callable[[Bundle, Load, Precision], Engine]

    @property
    def installed(self) -> bool:
        """Whether the package is there; it is not imported."""
        return find_spec(self.name) is not None

    @property
    def version(self) -> str:
        """The installed package's version."""
        # The package of a name may come with another distribution, such as onnxruntime-gpu.
        for distribution in _distributions(self.name):
            with contextlib.suppress(PackageNotFoundError):
                return version(distribution)
        return "of unknown version"


def _distributions(package: str) -> Iterator[str]:
    """Yield the names that a package may be installed under; the second step takes a while."""
    yield package
    yield from packages_distributions().get(package, ())


def _onnx_runtime(bundle: Bundle, load: Load, _: Precision) -> Engine:
    from residua.engines.with_onnx_runtime import OnnxRuntimeEngine

    return OnnxRuntimeEngine(bundle, load)


def _openvino(bundle: Bundle, load: Load, precision: Precision) -> Engine:
    from residua.engines.with_openvino import OpenVinoEngine

    return OpenVinoEngine(bundle, load, precision)


def _torch(bundle: Bundle, load: Load, precision: Precision) -> Engine:
    from residua.engines.with_torch import TorchEngine

    return TorchEngine(bundle, load, precision)


ENGINES = {
    kind.name: kind
    for kind in (
        EngineKind(DEFAULT, "ONNX Runtime", None, ("float32",), _onnx_runtime),
        EngineKind("openvino", "OpenVINO", "openvino", ("float32", "bf16"), _openvino),
        EngineKind("torch", "torch", "train", ("float32", "bf16"), _torch),
    )
}


def require_engine(engine: str, precision: str) -> None:
    """Refuse an engine or a precision that there is not.

    Raises
    ------
    UnknownName
        No such engine; the nearest are offered.
    ConfigurationError
        No such precision, or one in which that engine does not compute.
    """
    if engine != AUTO and engine not in ENGINES:
        raise UnknownName.among("engine", engine, [AUTO, *ENGINES])
    if precision not in ("float32", "bf16"):
        raise ConfigurationError(f"precision is {precision!r}; it must be 'float32' or 'bf16'")
    if engine != AUTO and precision not in ENGINES[engine].precisions:
        able = [kind.name for kind in ENGINES.values() if precision in kind.precisions]
        raise ConfigurationError(
            f"{ENGINES[engine].title} does not compute in {precision}; choose {' or '.join(able)}"
        )
